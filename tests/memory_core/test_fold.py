"""A fold cut back and grown again is the fold that was grown straight, bit for bit."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from memory_core.fold import CHECKPOINT_TURNS, Fold
from memory_core.index import quantise
from memory_core.state import Capacities
from memory_core.transcript import chain

DIMENSION = 8
SMALL = Capacities(3, 4, 5)


def said(turn: int, branch: int) -> tuple[np.ndarray, str]:
    """What is said in a turn of a branch: a vector and a text that tell them apart."""
    vector = np.random.default_rng([turn, branch]).normal(size=(1, DIMENSION)).astype(np.float32)
    return quantise(vector / np.linalg.norm(vector)), f"turn {turn} of branch {branch} speaks of boat{turn % 7}"


def grow(fold: Fold, turns: int, branch: int = 0) -> None:
    for turn in range(fold.turns, turns):
        rows, text = said(turn, branch)
        parent = fold.digests[-1] if fold.digests else b"root"
        fold.append(chain(parent, [f"{turn} {branch}".encode()])[0], rows, [text], is_input=turn % 2 == 0)


def straight(turns: int, fork: int | None = None) -> Fold:
    fold = Fold(DIMENSION, SMALL)
    if fork is not None:
        grow(fold, fork)
        grow(fold, turns, branch=1)
    else:
        grow(fold, turns)
    return fold


@settings(max_examples=15, deadline=None)
@given(first=st.integers(0, 90), cut=st.integers(0, 90), last=st.integers(0, 90))
def test_cut_and_regrown_is_straight(first: int, cut: int, last: int):
    fold = straight(first)
    fold.truncate(cut)
    kept = min(cut, first)
    assert fold.turns == kept
    grow(fold, max(kept, last), branch=1)
    expected = straight(max(kept, last), fork=kept)
    assert fold.digests == expected.digests
    for turns in range(fold.turns + 1):
        assert fold.state_at(turns).same(expected.state_at(turns))
    count = fold.index.memories()
    assert np.array_equal(fold.index.vectors(count), expected.index.vectors(count))


def test_any_state_is_there_though_few_are_kept():
    fold = straight(10 * CHECKPOINT_TURNS + 5)
    prefix = Fold(DIMENSION, SMALL)
    for turns in (1, CHECKPOINT_TURNS - 1, CHECKPOINT_TURNS, 5 * CHECKPOINT_TURNS + 7, fold.turns):
        grow(prefix, turns)
        assert fold.state_at(turns).same(prefix.state_at(turns))
    assert len(fold._states) <= 10 + 6  # checkpoints, the newest few, the empty one: never one a turn


def test_shared_counts_the_common_turns():
    fold = straight(20)
    assert fold.shared(straight(30).digests) == 20
    assert fold.shared(straight(12).digests) == 12
    assert fold.shared(straight(25, fork=7).digests) == 7
    assert fold.shared([]) == 0


def test_it_knows_about_how_large_it_is():
    small, large = straight(10), straight(200)
    assert 0 < small.nbytes < large.nbytes
