"""A fold cut back and grown again is the fold that was grown straight, bit for bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory_core.codec import decode_state, encode_state
from memory_core.fold import CHECKPOINT_TURNS, Fold
from memory_core.index import quantise
from memory_core.recall import rank
from memory_core.state import Capacities, MemoryState
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


def repeated(turn: int) -> tuple[np.ndarray, str]:
    """Talk that comes back to itself: six directions, and every fifth turn says the last input's words again."""
    row = np.eye(DIMENSION, dtype=np.float32)[turn * turn % 6] + 0.1 * np.eye(DIMENSION, dtype=np.float32)[turn % 8]
    return row, f"about subject {turn * turn % 6}" if turn % 5 else "yes"


@settings(max_examples=8, deadline=None)
@given(first=st.integers(0, 70), cut=st.integers(0, 70), last=st.integers(0, 70))
def test_accesses_clusters_and_repeats_survive_a_cut_and_a_codec(first: int, cut: int, last: int):
    def grown(fold: Fold, turns: int) -> Fold:
        while fold.turns < turns:
            fold.update(*repeated(fold.turns), {"role": "user" if fold.turns % 3 else "assistant"})
        return fold

    fold = grown(Fold(DIMENSION, SMALL), first)
    fold.truncate(cut)
    whole = grown(Fold(DIMENSION, SMALL), max(last, fold.turns))
    grown(fold, whole.turns)
    assert fold.digests == whole.digests
    for turns in range(whole.turns + 1):
        state = whole.state_at(turns)
        assert fold.state_at(turns).same(state)
        state.check()
        assert decode_state(encode_state(state, "e"), "e").same(state)


def said_by_user(*said: tuple[str, np.ndarray]) -> MemoryState:
    fold = Fold(DIMENSION)
    for text, row in said:
        fold.update(row, text)
    return fold.state_at(fold.turns)


def test_the_same_words_again_are_an_access_and_other_words_a_memory_however_near():
    row, near = np.eye(DIMENSION, dtype=np.float32)[0], np.eye(DIMENSION, dtype=np.float32)[0]
    near[1] = 0.1
    state = said_by_user(("The code is 7431.", row), ("the  CODE is 7431.", near))
    assert [(kept.turn, kept.accesses, kept.touched) for kept in state.kept] == [(1, 1, 2)]
    state = said_by_user(("The code is 7431.", row), ("The code is 7432.", near))
    assert [(kept.turn, kept.accesses, kept.leader) for kept in state.kept] == [(1, 1, 0), (2, 0, 1)]
    state = said_by_user(("Ann owes Bob", row), ("Bob owes Ann", row))
    assert [kept.turn for kept in state.kept] == [1, 2]


def test_the_same_words_far_apart_are_two_memories():
    rows = np.eye(DIMENSION, dtype=np.float32)
    assert [kept.turn for kept in said_by_user(("yes", rows[0]), ("yes", rows[1])).kept] == [1, 2]


def test_a_user_who_repeats_one_message_a_thousand_times_fills_one_place():
    state = said_by_user(*[("Are you there?", np.eye(DIMENSION, dtype=np.float32)[0])] * 300)
    assert [(kept.turn, kept.accesses) for kept in state.kept] == [(1, 299)]
    assert state.turns == 300


def test_the_librarys_way_in_reports_and_chains():
    fold = Fold(DIMENSION)
    row = np.eye(DIMENSION)[0]
    first = fold.update(row, "I moved to Lisbon.", {"role": "user"})
    fold.update([row, 2 * row], ["Lovely. ", "Since when?"], {"role": "assistant"})
    third = fold.update((3 * row).tolist(), "Since May.")
    assert (first.similarity, third.similarity) == (0.0, pytest.approx(1.0))
    state = fold.state_at(3)
    assert (state.turns, state.inputs, len(set(fold.digests))) == (3, 2, 3)
    other = Fold(DIMENSION)
    other.update(row, "I moved to Porto.", {"role": "user"})
    assert fold.shared(other.digests) == 0


def test_importance_is_taken_from_meta():
    plain, dear = Fold(DIMENSION), Fold(DIMENSION)
    plain.update(np.eye(DIMENSION)[0], "tea")
    dear.update(np.eye(DIMENSION)[0], "tea", {"importance": "3"})
    assert dear.state_at(1).kept[0].weight == 3 * plain.state_at(1).kept[0].weight


@pytest.mark.parametrize(("rows", "text"), [(np.ones(7), "a"), (np.ones((2, 8)), "a"), (np.ones(8), ["a", "b"])])
def test_vectors_of_another_shape_are_refused_and_leave_no_trace(rows: np.ndarray, text: str | list[str]):
    fold = Fold(DIMENSION)
    with pytest.raises(ValueError, match=r"expected .* vectors, got"):
        fold.update(rows, text)
    assert fold.turns == fold.index.turns == 0


def test_a_turn_without_a_chunk_is_refused():
    fold = Fold(DIMENSION)
    with pytest.raises(ValueError, match="at least one chunk"):
        fold.append(b"x", np.zeros((0, DIMENSION), np.int8), (), is_input=True)
    assert fold.turns == fold.index.turns == 0


@pytest.mark.parametrize("poison", [np.nan, np.inf, 0.0])
def test_a_vector_of_nothing_is_found_by_its_words(poison: float):
    fold = Fold(DIMENSION)
    fold.update(np.eye(DIMENSION)[0], "tea with milk")
    fold.update(np.full(DIMENSION, poison), "zebra crossing")
    state = fold.state_at(2)
    state.check()
    assert np.isfinite(fold.index.vectors(2)).all()
    assert [
        m.turn for m in rank(fold.index, state, "zebra", np.eye(DIMENSION, dtype=np.float32)[5], turns=2, limit=1)
    ] == [2]


def test_an_input_comes_back_to_the_kept_turn_whose_first_chunk_is_nearest():
    fold, rows = Fold(DIMENSION), np.eye(DIMENSION)
    fold.update(rows[:3], ["a long text", "in three", "chunks"])
    for row, text in ((3, "a kettle"), (4, "a ladder"), (3, "the kettle again")):
        fold.update(rows[row], text)
    assert [(kept.turn, kept.accesses, kept.touched) for kept in fold.state_at(4).kept] == [
        (1, 0, 0),
        (2, 1, 4),
        (3, 0, 0),
        (4, 0, 0),
    ]
    assert fold.state_at(4).kept[3].cluster == 2


@pytest.mark.slow
def test_ten_thousand_turns_are_folded_and_the_state_stays_small():
    fold = Fold(384)
    random = np.random.default_rng(0)
    weights = {}
    for turn in range(1, 10_001):
        text = " ".join(f"word{number}" for number in random.zipf(1.4, 12) % 5_000)
        fold.update(random.normal(size=384), text, {"role": "user" if turn % 2 else "assistant"})
        if turn in (1_000, 10_000):
            weights[turn] = len(encode_state(fold.state_at(turn), "e"))
    assert len(fold.state_at(10_000).kept) == 265
    assert weights[10_000] == pytest.approx(weights[1_000], rel=0.1)
    assert weights[10_000] < 10_000
