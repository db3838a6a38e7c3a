import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory_core import reference
from memory_core.index import MemoryIndex, quantise, unit_rows
from memory_core.lexical import terms
from tests.support.memories import VOCABULARY, Turn, indexed, logs, turns, unit

D = 8


def observed(index: MemoryIndex) -> list[object]:
    """All that an index shows of itself, floats as their bytes."""
    count = index.memories()
    found: list[object] = [index.turns, count, [index.place(memory) for memory in range(count)]]
    found += [rows.tobytes() for rows in (index.vectors(count), index.pair_norms(count), index.lengths(count))]
    for number in range(1, index.turns + 1):
        found += [index.memories(number), index.information(number), index.turn_vector(number).tobytes()]
    for term in sorted({term for word in VOCABULARY for term in terms(word)}):
        row = index.frequencies(term, count)
        found.append((term, None if row is None else row.tobytes()))
    return found


@given(st.integers(0, 2**16), st.sampled_from([1, 8, 384]))
def test_quantised_vectors_point_where_they_pointed(seed: int, dimension: int) -> None:
    rows = unit(seed, 5, dimension)
    back = unit_rows(quantise(rows))
    assert np.abs(np.linalg.norm(back, axis=1) - 1).max() < 1e-6
    assert np.abs((back @ rows.T) - (rows @ rows.T)).max() <= 0.012
    assert (1 - (back * rows).sum(axis=1)).max() <= 0.004
    assert np.array_equal(quantise(back), quantise(rows))


def test_a_vector_of_zeros_stays_zero() -> None:
    assert not unit_rows(quantise(np.zeros((2, D), np.float32))).any()


def test_memories_are_numbered_from_0_and_turns_from_1() -> None:
    index = indexed([Turn(("a", "b"), quantise(unit(0, 2, D))), Turn(("c",), quantise(unit(1, 1, D)))], D)
    assert (index.turns, index.memories()) == (2, 3)
    assert [index.memories(n) for n in range(4)] == [0, 2, 3, 3]
    assert [index.place(memory) for memory in range(3)] == [(1, 0), (1, 1), (2, 0)]
    assert index.places(np.array([2, 0, 1])) == ([2, 1, 1], [0, 0, 1])


def test_what_is_derived_is_kept_for_as_long_as_its_memories_are() -> None:
    rows = quantise(unit(0, 1, D))
    index, asked = indexed([Turn((word,), rows) for word in "abcd"], D), list[int]()

    def total(index: MemoryIndex, count: int) -> float:
        asked.append(count)
        return float(index.lengths(count).sum())

    def twice(index: MemoryIndex, count: int) -> float:
        return 2 * total(index, count)

    assert [index.derived(3, total), index.derived(3, total), asked] == [3, 3, [3]]
    index.append(rows, ("e f",))
    index.truncate(3)
    assert [index.derived(3, total), asked] == [3, [3]], "the first three are the same"
    index.truncate(2)
    index.append(rows, ("g h i",))
    assert [index.derived(3, total), index.derived(2, total), asked] == [5, 2, [3, 3, 2]]
    assert [index.derived(2, twice), index.derived(2, total)] == [4, 2]


def test_what_is_derived_follows_what_is_given() -> None:
    index = indexed([Turn(("a b",), quantise(unit(0, 1, D)))], D)

    def times(index: MemoryIndex, count: int, factor: int) -> float:
        return factor * float(index.lengths(count).sum())

    assert [index.derived(1, times, 2), index.derived(1, times, 3), index.derived(1, times, 2)] == [4, 6, 4]


def test_frequencies_see_only_the_memories_asked_for() -> None:
    rows = quantise(unit(0, 1, D))
    index = indexed([Turn(("dog cat dog",), rows), Turn(("bird",), rows), Turn(("dog",), rows)], D)
    assert index.frequencies("dog", 2).tolist() == [2, 0]  # type: ignore[union-attr]
    assert index.frequencies("dog", 3).tolist() == [2, 0, 1]  # type: ignore[union-attr]
    assert index.frequencies("bird", 1) is None
    assert index.frequencies("fish", 3) is None


@pytest.mark.parametrize("shape", [(1, D), (3, D), (2, D + 1)])
def test_vectors_that_do_not_fit_the_chunks_are_refused_and_change_nothing(shape: tuple[int, int]) -> None:
    index = indexed([Turn(("a",), quantise(unit(0, 1, D)))], D)
    before = observed(index)
    with pytest.raises(ValueError, match=r"expected \(2, 8\) vectors"):
        index.append(np.ones(shape, np.int8), ("one", "two"))
    assert observed(index) == before


@settings(deadline=None, max_examples=60)
@given(logs(D))
def test_information_is_the_references_and_depends_on_the_prefix_alone(log: list[Turn]) -> None:
    index = indexed(log, D)
    for number in range(1, len(log) + 1):
        expected = reference.information([turn.texts for turn in log[:number]])
        assert index.information(number) == pytest.approx(expected, abs=1e-9)
        assert index.information(number) == indexed(log[:number], D).information(number)


@settings(deadline=None, max_examples=60)
@given(st.lists(turns(D) | st.integers(0, 12), max_size=30))
def test_truncated_and_regrown_equals_freshly_built_bit_for_bit(steps: list[Turn | int]) -> None:
    index, log = MemoryIndex(D), list[Turn]()
    for step in steps:
        if isinstance(step, int):
            index.truncate(step)
            del log[step:]
        else:
            index.append(step.vectors, step.texts)
            log.append(step)
    assert observed(index) == observed(indexed(log, D))


def test_a_turn_that_says_nothing_has_no_information_and_that_is_a_float() -> None:
    # An int 0 here once gave a replayed state other bytes than the straight fold.
    index = indexed([Turn(("…",), quantise(unit(0, 1, D)))], D)
    assert isinstance(index.information(1), float)
    assert index.information(1) == 0.0


def test_truncating_forgets_counts_and_size_with_the_words() -> None:
    rows = quantise(unit(0, 1, D))
    index = indexed([Turn(("dog",), rows)], D)
    size = index.nbytes
    index.append(rows, ("dog dog dog cat",))
    assert index.nbytes > size
    index.truncate(1)
    assert index.nbytes == size
    index.append(rows, ("dog",))
    assert index.frequencies("dog", 2).tolist() == [1, 1]  # type: ignore[union-attr]


def test_growing_past_the_reserved_rows_keeps_what_was_there() -> None:
    rows = unit(0, 300, D)
    index = MemoryIndex(D)
    for row in rows:
        index.append(quantise(row[None]), ("word",))
    assert np.array_equal(index.vectors(300), unit_rows(quantise(rows)))
    assert index.lengths(300).tolist() == [1] * 300


def test_nbytes_is_about_what_the_index_takes() -> None:
    words = [f"word{number}" for number in range(2_000)]
    rows = quantise(unit(0, 600, 384))
    chosen = np.random.default_rng(0).integers(0, len(words), (600, 25))
    said = [" ".join(words[word] for word in row) for row in chosen]
    terms(" ".join(words))
    tracemalloc.start()
    try:
        index = MemoryIndex(384)
        for row, text in zip(rows, said, strict=True):
            index.append(row[None], (text,))
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert 0.6 * taken <= index.nbytes <= 1.7 * taken


@given(st.lists(st.lists(st.text(max_size=8), min_size=1, max_size=4), min_size=1, max_size=6), st.data())
def test_spans_are_the_chunks_in_the_text_of_their_turn(turns, data):
    index = MemoryIndex(2)
    for texts in turns:
        index.append(quantise(np.ones((len(texts), 2), np.float32)), texts)
    index.truncate(data.draw(st.integers(1, len(turns))))
    for turn, texts in enumerate(turns[: index.turns], start=1):
        for chunk, text in enumerate(texts):
            start, end = index.span(turn, chunk)
            assert "".join(texts)[start:end] == text
