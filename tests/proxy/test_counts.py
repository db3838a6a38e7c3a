"""Our counter says what prometheus-client's own would."""

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, generate_latest

from proxy.counts import Counts

AMOUNTS = st.floats(0, 1e9)


def lines(registry: CollectorRegistry) -> list[str]:
    """All samples; the time at which a series began is no business of ours."""
    return sorted(
        line for line in generate_latest(registry).decode().splitlines() if "_created" not in line and line[0] != "#"
    )


@given(st.lists(st.tuples(st.sampled_from(["compact", 'a"b']), st.sampled_from([200, "gone"]), AMOUNTS), max_size=40))
def test_by_labels(counted):
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    mine = Counts("requests", "Text", ["mode", "status"])
    ours.register(mine)
    other = Counter("requests", "Text", ["mode", "status"], registry=theirs)
    for mode, status, amount in counted:
        mine.add(mode, status, by=amount)
        other.labels(mode, status).inc(amount)
    assert lines(ours) == lines(theirs)


@given(st.integers(0, 20))
def test_without_labels_it_is_there_from_the_start(times):
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    mine = Counts("late", "Text")
    ours.register(mine)
    other = Counter("late", "Text", registry=theirs)
    for _ in range(times):
        mine.add()
        other.inc()
    assert lines(ours) == lines(theirs)
