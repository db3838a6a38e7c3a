import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from memory_core import windows

REACHES = st.lists(st.integers(0, 6), min_size=1, max_size=3)
ROWS = st.integers(1, 12).flatmap(lambda n: st.lists(st.lists(st.integers(0, 9), min_size=n, max_size=n), min_size=1))


def padded(rows: list[list[int]], widest: int) -> np.ndarray:
    return np.pad(np.array(rows, np.int32), ((0, 0), (widest + 1, widest)))


def within(row: list[int], place: int, reach: int) -> list[int]:
    return row[max(0, place - reach) : place + reach + 1]


@given(ROWS, REACHES)
def test_sums_are_those_of_the_windows(rows: list[list[int]], reaches: list[int]) -> None:
    out = np.empty((len(reaches), len(rows), len(rows[0])))
    windows.sums_within(padded(rows, max(reaches)), reaches, out)
    places = range(len(rows[0]))
    assert out.tolist() == [[[sum(within(row, i, reach)) for i in places] for row in rows] for reach in reaches]


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=30), st.integers(0, 8))
def test_the_best_is_that_of_the_window(values: list[float], reach: int) -> None:
    out = np.empty(len(values))
    windows.best_within(np.array(values), reach, out)
    assert out.tolist() == [max(values[max(0, i - reach) : i + reach + 1]) for i in range(len(values))]


@given(ROWS)
def test_idf_counts_what_holds(rows: list[list[int]]) -> None:
    held = [sum(value > 0 for value in row) for row in rows]
    count = len(rows[0])
    expected = [math.log1p((count - df + 0.5) / (df + 0.5)) for df in held]
    assert np.allclose(windows.idf(np.array(rows) > 0), expected, rtol=1e-12, atol=0)


@given(ROWS, st.floats(0.1, 3), st.floats(0, 1))
def test_bm25_is_okapis(rows: list[list[int]], k1: float, b: float) -> None:
    said = np.array([rows, rows[::-1]], np.float64)
    lengths = said.sum(axis=1) + 1
    expected = [
        [
            [f * (k1 + 1) / (f + k1 * (1 - b + b * length / long.mean())) for f, length in zip(row, long, strict=True)]
            for row in kind
        ]
        for kind, long in zip(said.copy(), lengths, strict=True)
    ]
    windows.bm25(said, windows.damping(lengths, k1, b), k1)
    assert np.allclose(said, expected, rtol=1e-9, atol=0)


def test_windows_without_a_term_are_worth_nothing() -> None:
    said = np.zeros((1, 1, 3))
    windows.bm25(said, windows.damping(np.zeros((1, 3)), 1.2, 0.75), 1.2)
    assert said.tolist() == [[[0.0, 0.0, 0.0]]]
