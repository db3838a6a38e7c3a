import hashlib
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory_core.codebook import AdaptiveCodebook, Codebook, spaced, squares_of, train
from memory_core.index import Bytes8, quantise, unit_rows
from tests.support.memories import unit


def made_up(count: int, dimension: int) -> Bytes8:
    """Rows from whole-number arithmetic alone: the same on every machine."""
    number = np.arange(count * dimension, dtype=np.int64).reshape(count, dimension)
    rows: Bytes8 = ((number * number * 48_271 + number * 11) % 65_521 % 255 - 127).astype(np.int8)
    return rows


def nearest(row: Bytes8, centroids: Bytes8) -> int:
    """The code of a row in exact arithmetic: signed squared cosines as fractions, ties to the lower code."""
    cosines = []
    for centroid in centroids.astype(int).tolist():
        dot = sum(a * b for a, b in zip(row.tolist(), centroid, strict=True))
        cosines.append(Fraction(dot * abs(dot), sum(c * c for c in centroid)))
    return cosines.index(max(cosines))


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**16), st.integers(1, 40), st.integers(1, 12), st.integers(1, 6))
def test_a_code_is_the_nearest_centroid_in_exact_arithmetic(seed: int, count: int, codes: int, dimension: int) -> None:
    random = np.random.default_rng(seed)
    rows, centroids = (random.integers(-3, 4, (size, dimension)).astype(np.int8) for size in (count, codes))
    rows[~rows.any(axis=1)] = 1
    centroids[~centroids.any(axis=1)] = 1
    assert Codebook(centroids).assign(rows).tolist() == [nearest(row, centroids) for row in rows]


@pytest.mark.parametrize("dimension", [1_024, 4_096])
def test_a_dot_is_exact_in_any_dimension(dimension: int) -> None:
    row = np.full((1, dimension), 127, np.int8)
    row[0, :2] = 64, 63
    centroids = np.full((2, dimension), 127, np.int8)
    centroids[:, :2] = (10, 11), (11, 10)  # the second is nearer by 1 in 16 or 66 million
    assert Codebook(centroids).assign(row).tolist() == [1]


def test_training_gives_the_same_bits_on_every_machine() -> None:
    book = train(made_up(3_000, 48), 32)
    assert hashlib.sha256(book.centroids.tobytes()).hexdigest()[:16] == "118d1d9822c332a8"


def test_training_leaves_a_sample_closer_to_its_codes_than_the_start_was() -> None:
    topics = unit(1, 20, 32)
    random = np.random.default_rng(2)
    sample = quantise(topics[random.integers(0, 20, 2_000)] + 0.1 * unit(3, 2_000, 32))

    def fit(book: Codebook) -> float:
        assigned = unit_rows(book.centroids)[book.assign(sample)]
        return float(np.vecdot(assigned, unit_rows(sample)).mean())

    assert fit(train(sample, 20, iterations=0)) < fit(train(sample, 20, iterations=1)) < fit(train(sample, 20))
    assert fit(train(sample, 20)) > 0.85


def test_an_empty_code_is_moved_to_where_the_fit_is_worst() -> None:
    sample = np.array([[127, 0, 0]] * 6 + [[0, 127, 0], [0, 0, 127]], np.int8)
    book = train(sample, 3)  # it starts from rows 0, 2 and 5, which are equal
    assert sorted(map(tuple, book.centroids.tolist())) == [(0, 0, 127), (0, 127, 0), (127, 0, 0)]


def test_hopeless_samples_still_train() -> None:
    assert train(np.array([[5, 1]] * 10, np.int8), 4).codes == 4
    assert train(np.array([[1, 0], [-1, 0]], np.int8), 1).centroids.any()  # the members' sum is zero
    assert train(np.array([[1, 2]], np.int8)).codes == 1


@pytest.mark.parametrize("codes", [0, -1, 65_537])
def test_codes_are_in_range(codes: int) -> None:
    with pytest.raises(ValueError, match="codes"):
        train(made_up(10, 4), codes)


@pytest.mark.parametrize(
    "rows",
    [
        np.zeros((0, 4), np.int8),
        np.zeros((2, 4), np.int8),
        np.ones((2, 4), np.float32),
        np.full((2, 4), np.nan),
        np.ones(4, np.int8),
        np.ones((4, 0), np.int8),
    ],
)
def test_bad_rows_are_refused(rows: Bytes8) -> None:
    with pytest.raises(ValueError, match=r"row|direction|codes"):
        train(rows)
    with pytest.raises(ValueError, match=r"row|direction|codes"):
        Codebook(rows)


@given(st.integers(0, 1_000), st.integers(0, 1_000))
def test_a_spaced_sample_is_distinct_ordered_and_even(count: int, wanted: int) -> None:
    picked = spaced(count, wanted).tolist()
    assert len(picked) == min(count, wanted)
    assert picked == sorted(set(picked))
    if picked:
        gaps = [after - before for before, after in pairwise([*picked, count])]
        assert picked[0] == 0
        assert max(gaps) - min(gaps) <= 1


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**16), st.lists(st.integers(0, 60), max_size=4))
def test_adaptive_codes_do_not_depend_on_how_rows_arrive(seed: int, cuts: list[int]) -> None:
    rows = quantise(unit(seed, 60, 8))
    whole, parts = (AdaptiveCodebook(train(rows[:20], 4), 0.1) for _ in range(2))
    expected = whole.assign(rows)
    ends = [0, *sorted(cuts), 60]
    found = [parts.assign(rows[start:end]) for start, end in pairwise(ends)]
    assert np.array_equal(np.concatenate(found), expected)
    assert np.array_equal(parts.centroids, whole.centroids)


def test_an_adaptive_centroid_follows_its_members_and_the_start_stays() -> None:
    start = Codebook(np.array([[127, 0], [0, 127]], np.int8))
    book = AdaptiveCodebook(start, 0.1)
    book.assign(np.array([[100, 60]], np.int8))
    step = 0.9 * np.array([1.0, 0.0]) + 0.1 * np.array([100.0, 60.0]) / np.hypot(100, 60)
    assert book.centroids[0] == pytest.approx(step / np.linalg.norm(step))
    book.assign(np.array([[100, 60]] * 50, np.int8))
    moved = unit_rows(np.array([[100, 60]], np.int8))[0]
    assert book.centroids[0] @ moved > 0.999
    assert book.centroids[1].tolist() == [0, 1]
    assert np.linalg.norm(book.centroids, axis=1) == pytest.approx([1, 1])
    assert start.centroids.tolist() == [[127, 0], [0, 127]]


@pytest.mark.parametrize("adaptation", [0.0, 1.0, -0.1, float("nan")])
def test_adaptation_is_a_share(adaptation: float) -> None:
    with pytest.raises(ValueError, match="share"):
        AdaptiveCodebook(Codebook(np.ones((1, 2), np.int8)), adaptation)


def test_squares_are_those_of_the_rows() -> None:
    rows = made_up(5_000, 7)
    assert squares_of(rows).tolist() == (rows.astype(int) ** 2).sum(axis=1).tolist()
