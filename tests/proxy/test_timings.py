"""Our histogram says what prometheus-client's own would."""

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from proxy.timings import Timings

BOUNDS = (0.0005, 0.001, 0.25, 1.0, 30.0)
SECONDS = st.one_of(st.floats(0, 100), st.sampled_from(BOUNDS))


def lines(registry: CollectorRegistry) -> list[str]:
    """All samples; the time at which a series began is no business of ours."""
    return sorted(
        line for line in generate_latest(registry).decode().splitlines() if "_created" not in line and line[0] != "#"
    )


@given(st.lists(st.tuples(st.sampled_from(["recall", "plan", 'a"b']), SECONDS), min_size=1, max_size=40))
def test_by_label(observed):
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    mine = Timings("stage_seconds", "Text", BOUNDS, "stage")
    ours.register(mine)
    other = Histogram("stage_seconds", "Text", ["stage"], buckets=BOUNDS, registry=theirs)
    for stage, seconds in observed:
        mine.observe(seconds, stage)
        other.labels(stage).observe(seconds)
    assert lines(ours) == lines(theirs)


@given(st.lists(SECONDS, min_size=1, max_size=40))
def test_without_a_label(observed):
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    mine = Timings("all_seconds", "Text", BOUNDS)
    ours.register(mine)
    other = Histogram("all_seconds", "Text", buckets=BOUNDS, registry=theirs)
    for seconds in observed:
        mine.observe(seconds)
        other.observe(seconds)
    assert lines(ours) == lines(theirs)


def test_before_the_first_one_there_is_nothing():
    registry = CollectorRegistry()
    registry.register(Timings("stage_seconds", "Text", BOUNDS, "stage"))
    assert lines(registry) == []
