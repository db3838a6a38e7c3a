"""What is kept of many, by weight: who comes once pushes out nobody who goes on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.segmented import Segmented

STEPS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 40), st.booleans()), max_size=60)


@given(STEPS, st.integers(0, 100), st.sampled_from([0.0, 0.25, 1.0]))
def test_each_segment_keeps_the_newest_that_fit(steps, most, probation):
    """Against lists, searched from the end."""
    kept = Segmented(most, probation=probation)
    new, lasting = {}, {}
    for key, weight, lasts in steps:
        kept.put(key, f"{key}", weight, lasts=lasts)
        segment = lasting if lasts or key in lasting else new
        for each in (new, lasting) if lasts else (segment,):
            each.pop(key, None)
        segment[key] = weight
        room = most - int(most * probation) if segment is lasting else int(most * probation)
        while sum(segment.values()) > room and len(segment) > 1:
            del segment[next(iter(segment))]
        for each in range(10):
            assert kept.get(each) == (f"{each}" if each in new or each in lasting else None)


@pytest.mark.parametrize("lasts", [False, True])
def test_what_is_used_is_the_newest(lasts):
    kept = Segmented(4, probation=0.5)
    for key in "ab":
        kept.put(key, key, 1, lasts=lasts)
    assert kept.get("a") == kept.use("a") == "a"
    kept.put("c", "c", 1, lasts=lasts)
    assert [kept.get(key) for key in "abc"] == ["a", None, "c"]
    assert kept.use("b") is None


def test_what_goes_on_leaves_its_room_to_others():
    kept = Segmented(4, probation=0.5)
    kept.put("a", 1, 2, lasts=False)
    kept.put("a", 2, 2, lasts=True)
    kept.put("b", 3, 2, lasts=False)
    assert (kept.get("a"), kept.get("b")) == (2, 3)
    kept.put("a", 4, 2, lasts=False)  # what has gone on once lasts
    kept.put("c", 5, 2, lasts=False)
    assert (kept.get("a"), kept.get("b"), kept.get("c")) == (4, None, 5)
