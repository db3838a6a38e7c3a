"""What is compared of the SDK's tests: each by its name, with what became of it."""

from benchmarks.sdk import differing, outcomes

REPORT = """<testsuites><testsuite>
<testcase classname="tests.a" name="one"/>
<testcase classname="tests.a" name="two"><failure message="no">...</failure></testcase>
<testcase classname="tests.a" name="three"><skipped message="why"/></testcase>
</testsuite></testsuites>"""


def test_outcomes_are_read_by_test(tmp_path):
    report = tmp_path / "direct.xml"
    report.write_text(REPORT)
    assert outcomes(report) == {"tests.a::one": "passed", "tests.a::two": "failure", "tests.a::three": "skipped"}


def test_what_differs_is_named_with_both_outcomes():
    direct = {"a": "passed", "b": "failure", "c": "passed"}
    assert differing(direct, dict(direct)) == []
    assert differing(direct, {"a": "failure", "b": "failure", "d": "passed"}) == [
        "a: passed directly, failure through the proxy",
        "c: passed directly, absent through the proxy",
        "d: absent directly, passed through the proxy",
    ]
