import pytest

from memory_core.entries import Entries, add
from memory_core.entries.signatures import signature


def said(*turns: str | tuple[str, str]) -> Entries:
    """The entries after these turns, a user's where no role is given; every state on the way is sound."""
    known = Entries()
    for turn, what in enumerate(turns, 1):
        role, text = ("user", what) if isinstance(what, str) else what
        known = add(known, turn, role, text)
        known.check()
    return known


@pytest.mark.parametrize(
    "text",
    [
        "We decided to deploy on Fridays.",
        "ok so we’ve finally decided to drop Windows support",
        "- **Decision:** keep the old importer until March",
        "Let's go with the blue logo!",
        "Right, I'll use chrony instead of ntpd.",
        "I think I'll go with the smaller boat.",
        "After the review, we agreed on weekly releases.",
        "We'll stick with SQLite.",
        "We switched from Jenkins to Buildkite.",
        "Wir haben uns für Kiefer statt Eiche entschieden.",
        "Wir bleiben bei Python 3.11.",
        "Ich habe mich fu\u0308r das Rennrad entschieden.",
    ],
)
def test_a_decision_is_kept_in_its_own_words(text: str) -> None:
    (decision,) = said("Hi there.", text).decisions
    assert (decision.turn, decision.superseded_by) == (2, 0)
    assert decision.quote == text.removeprefix("- ")


@pytest.mark.parametrize(
    "text",
    [
        "Have we decided to move yet?",
        "We decided to move, right?",
        "If it rains we decided to stay in, I guess?",
        "If the price drops, we'll go with the big one.",
        "She told me they decided to move to Porto.",
        "I can't decide. What would you use instead of salt?",
        "Let's keep in touch! Let's talk soon, let's see.",
        "I'll use the tips you gave me, thanks.",
        "We will see how it goes.",
        "Should we go with oak? Maybe we'll go with oak.",
        "> We decided to use Perl.",
        "```\nwe decided to use Perl\n```",
        "# We decided to use Perl",
        "Imagine we decided to sell everything.",
    ],
)
def test_talk_about_deciding_is_no_decision(text: str) -> None:
    assert not said(text).decisions


def test_a_model_settles_what_it_says_was_settled_and_nothing_by_explaining() -> None:
    explained = said(("assistant", "Let's use the chain rule. We'll use two loops. I decided to write a story."))
    assert not explained.decisions
    assert len(said(("assistant", "As agreed, we'll stick with the chain rule.")).decisions) == 1
    assert not said(("tool", "We decided to use Perl.")).decisions


@pytest.mark.parametrize(
    ("older", "newer", "falls"),
    [
        ("We decided to use Postgres.", "Let's go with SQLite instead of Postgres.", True),
        ("We decided to deploy on Fridays.", "We decided to deploy on Mondays.", True),
        ("We'll use Redis for caching.", "Let's use Memcached for the caching.", True),
        ("We'll use Redis.", "We decided against Redis.", True),
        ("We'll go with Jenkins.", "We switched from Jenkins to Buildkite.", True),
        ("We'll use Redis for caching.", "We'll use Redis for queues.", False),
        ("We decided to use Postgres.", "We decided to use tabs.", False),
        ("We decided to deploy on Fridays.", "We decided to deploy the docs to a bucket.", False),
    ],
)
def test_a_decision_about_the_same_subject_supersedes_the_older(older: str, newer: str, falls: bool) -> None:
    first, second = said(older, "Fine.", newer).decisions
    assert first.superseded_by == (3 if falls else 0)
    assert (second.turn, second.superseded_by) == (3, 0)


def test_a_decision_said_again_is_the_same_decision() -> None:
    (decision,) = said("We'll use Redis.", "So, we'll use Redis!").decisions
    assert decision.turn == 2


@pytest.mark.parametrize(
    "text",
    [
        "Never commit secrets.",
        "Please always answer in French.",
        "The API must never return null.",
        "From now on, prices are net.",
        "Don't ever touch the vendor folder.",
        "I'm allergic to peanuts.",
        "Hi, I am a strict vegan.",
        "I don't eat pork.",
        "I prefer aisle seats.",
        "Ich bin allergisch gegen Haselnüsse.",
        "Passwörter dürfen niemals geloggt werden.",
    ],
)
def test_a_rule_or_standing_fact_of_the_user_is_kept(text: str) -> None:
    (rule,) = said(text).invariants
    assert (rule.quote, rule.first, rule.last) == (text, 1, 1)
    assert not said(("assistant", text)).invariants


@pytest.mark.parametrize(
    "text",
    [
        "Never mind!",
        "Never give up, always follow your dreams.",
        "I've never been to Rome and I always wanted to go.",
        "Always great to hear from you.",
        "That must never have been easy. It must not be true.",
        "Would you say I should never use it?",
        "I don't drink enough water.",
        "Are you allergic to anything? My sister is allergic to cats.",
        "Do you prefer tea? I'd never use that tone.",
    ],
)
def test_chat_with_the_words_of_rules_is_no_rule(text: str) -> None:
    assert not said(text).invariants


def test_a_rule_said_again_or_reversed_takes_the_place_of_the_older() -> None:
    (rule,) = said("Always use tabs in the Makefile.", "Hm.", "Never use tabs in the Makefile!").invariants
    assert (rule.quote, rule.first, rule.last) == ("Never use tabs in the Makefile!", 1, 3)
    assert len(said("Always use tabs in the Makefile.", "Never commit the lock file.").invariants) == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Traceback (most recent call last):\n  File \"a.py\", line 3, in f\nKeyError: 'id'", "KeyError: 'id'"),
        ("E   AssertionError: assert 3 == 4", "AssertionError: assert <n> == <n>"),
        ("FAILED tests/test_a.py::test_x - ValueError: bad row 17", "ValueError: bad row <n>"),
        ("src/app.ts(12,5): error TS2322: Type mismatch.", "error TS2322: Type mismatch"),
        ("main.c:10:5: fatal error: foo.h: No such file", "fatal error: <path>: No such file"),
        ("error[E0308]: mismatched types", "error[E0308]: mismatched types"),
        ("Error: payment gift_card_8190333 not found", "Error: payment <id> not found"),
        ("Fehler: Datei /var/log/x.log fehlt", "Fehler: Datei <path> fehlt"),
        ("thread 'main' panicked at src/main.rs:4:5:", "thread 'main' panicked at <path>"),
        ("bash: frobnicate: command not found", "bash: frobnicate: command not found"),
        ("2025-03-01 10:00:00,123 app ERROR lost shard 7", "ERROR lost shard <n>"),
        ("The endpoint returned HTTP/1.1 503 again.", "HTTP 503"),
        ("I keep getting a TypeError: x is not a function. Any idea?", "TypeError: x is not a function"),
        ('{"ok": false, "error": "seat taken"}', "seat taken"),
    ],
)
def test_an_error_is_known_by_what_does_not_change(text: str, expected: str) -> None:
    (error,) = said(text).errors
    assert error.signature == expected
    assert (error.count, error.first, error.last, error.is_open) == (1, 1, 1, True)
    assert not said(("assistant", text)).errors


@pytest.mark.parametrize(
    "text",
    [
        "It was an error to trust him: I paid 500 dollars.",
        "Errors: 0, and no errors at all. Error: none",
        "try:\n    f()\nexcept KeyError: pass\nraise ValueError('x')\nthrow new TypeError('y');",
        "What is a TypeError? The trial and error method.",
        "We sold 503 tickets and 500 programmes.",
    ],
)
def test_talk_and_code_about_errors_are_no_errors(text: str) -> None:
    assert not said(text).errors


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("OSError: /home/ann/a.txt:3 missing", "OSError: /srv/b/c.txt:99 missing"),
        ("lost 0x7ffe12 after 3.5s", "lost 0xdeadbeef after 12s"),
        ("no job 123e4567-e89b-12d3-a456-426614174000", "no job 00000000-e89b-12d3-a456-426614174fff"),
        ("bad object 3fa9c1d", "bad object 9c1b2aa77f"),
        ("GET https://a.example/x?y=1 timed out", "GET http://b.example/z timed out"),
    ],
)
def test_paths_numbers_addresses_and_ids_do_not_tell_errors_apart(one: str, other: str) -> None:
    assert signature(one) == signature(other) != signature("something else")
    assert signature(signature(one)) == signature(one)


def test_an_error_is_counted_by_turns_and_closed_by_the_statement_that_resolves_it() -> None:
    known = said(
        ("tool", "KeyError: 'a'\nKeyError: 'a'"),
        "OSError: disk full",
        ("tool", "KeyError: 'a'"),
        ("assistant", "The problem was a stale cache. Fixed by clearing it, KeyError 'a' is gone."),
    )
    key, disk = known.errors
    assert (key.count, key.first, key.last, key.fixed, key.is_open) == (2, 1, 3, 4, False)
    assert key.fix == "The problem was a stale cache. Fixed by clearing it, KeyError 'a' is gone."
    assert (disk.fix, disk.is_open) == ("", True)
    back = add(known, 5, "tool", "KeyError: 'a'").errors[0]
    assert (back.count, back.fix, back.is_open) == (3, key.fix, True)


def test_a_fix_that_names_an_error_goes_to_it_and_one_that_comes_too_late_to_none() -> None:
    named = said("OSError: disk full", "KeyError: 'a'", "We fixed the full disk by deleting the logs.")
    assert [bool(error.fix) for error in named.errors] == [True, False]
    late = add(said("OSError: disk full"), 40, "user", "That fixed it.")
    assert not late.errors[0].fix
    before = said("That fixed it, but now: \nOSError: disk full")
    assert not before.errors[0].fix


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("=== 1 failed, 38 passed, 2 skipped, 1 error in 3.41s ===", (38, 2, 2)),
        ("12 passed in 0.10s", (12, 0, 0)),
        ("Ran 9 tests in 0.012s\n\nFAILED (failures=1, errors=2, skipped=3)", (3, 3, 3)),
        ("Ran 9 tests in 0.012s\n\nOK", (9, 0, 0)),
        ("Tests:       1 failed, 2 skipped, 97 passed, 100 total", (97, 1, 2)),
        ("      Tests  1 failed | 97 passed (98)", (97, 1, 0)),
        ("  7 passing (2s)\n  1 pending\n  2 failing\n", (7, 2, 1)),
        ("test result: ok. 2 passed; 0 failed; 1 ignored\n\ntest result: FAILED. 3 passed; 1 failed", (5, 1, 1)),
        ("ok  \ta.example/x\t0.01s\nFAIL\ta.example/y\t0.2s", (1, 1, 0)),
        ("[INFO] Tests run: 10, Failures: 1, Errors: 1, Skipped: 2", (6, 2, 2)),
        ("12 examples, 1 failure, 2 pending", (9, 1, 2)),
        ("92% tests passed, 1 tests failed out of 12", (11, 1, 0)),
        ("3 passed in 1s\nfixed it\n4 passed in 1s", (4, 0, 0)),
    ],
)
def test_the_summary_of_a_runner_is_read(text: str, numbers: tuple[int, int, int]) -> None:
    (result,) = said(("tool", text)).tests
    assert (result.passed, result.failed, result.skipped) == numbers
    assert (result.checkpoint, result.turn) == ("turn 1", 1)


@pytest.mark.parametrize("text", ["200 students passed in May.", "You should see 3 tests passed.", "Do 3 tests fail?"])
def test_talk_about_tests_is_no_result(text: str) -> None:
    assert not said(text).tests
    assert not said(("assistant", f"Run it:\n```\n=== 3 passed in 0.1s ===\n```\n{text}")).tests


@pytest.mark.parametrize(
    ("text", "checkpoint"),
    [
        ("commit 3fa9c1d\n4 passed in 1s", "3fa9c1d"),
        ("[main 9c1b2aa] Fix it\n4 passed in 1s", "9c1b2aa"),
        ("Tagged v1.4.0: all 41 tests pass.", "v1.4.0"),
        ("At checkpoint 'before-split', 41 tests passed.", "before-split"),
        ("commit message follows\n4 passed in 1s", "turn 1"),
    ],
)
def test_a_result_belongs_to_the_checkpoint_that_its_turn_names(text: str, checkpoint: str) -> None:
    (result,) = said(text).tests
    assert result.checkpoint == checkpoint
    again = add(said(text), 2, "tool", f"commit {checkpoint}\n9 passed in 1s").tests
    assert [test.passed for test in again][-1] == 9
    assert len(again) == (2 if checkpoint.startswith(("turn", "v", "before")) else 1)
