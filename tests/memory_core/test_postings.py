import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory_core.postings import Postings

CODES = 5
STEPS = st.lists(st.lists(st.integers(0, CODES - 1), max_size=12) | st.integers(0, 60), max_size=12)


@settings(deadline=None)
@given(STEPS, st.sets(st.integers(0, CODES - 1)), st.sampled_from([0, 3, 4_096]))
def test_lists_are_those_of_the_log_after_any_appends_and_truncations(
    steps: list[list[int] | int], asked: set[int], tail_min: int
) -> None:
    postings, log = Postings(CODES, tail_min=tail_min), list[int]()
    for step in steps:
        if isinstance(step, int):
            postings.truncate(step)
            del log[step:]
        else:
            postings.append(np.array(step, np.uint16))
            log += step
        assert len(postings) == len(log)
        assert postings.codes().tolist() == log
        assert postings.sizes().tolist() == [log.count(code) for code in range(CODES)]
        members = postings.members(np.array(sorted(asked), np.int64))
        assert members.dtype == np.uint32
        assert members.tolist() == [memory for memory, code in enumerate(log) if code in asked]


def test_what_waits_is_bounded_and_merged_seldom() -> None:
    postings, merged, packed = Postings(16), 0, 0
    codes = np.random.default_rng(0).integers(0, 16, 200_000).astype(np.uint16)
    for start in range(0, len(codes), 50):
        postings.append(codes[start : start + 50])
        waiting = len(postings._tail)
        assert waiting <= max(4_096, len(postings) / 16)
        if len(postings) - waiting != packed:
            merged += len(postings) - waiting
            packed = len(postings) - waiting
    assert merged < 17 * len(codes)


def test_memory_is_what_it_says_and_no_second_copy_is_made() -> None:
    codes = np.random.default_rng(0).integers(0, 256, 400_000).astype(np.uint16)
    tracemalloc.start()
    postings = Postings(256)
    for start in range(0, len(codes), 5_000):
        postings.append(codes[start : start + 5_000])
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held == pytest.approx(postings.nbytes, rel=0.05)
    assert postings.nbytes <= 4 * len(codes) + 10_000
    assert peak < 1.5 * held
