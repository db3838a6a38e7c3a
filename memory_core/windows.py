"""What stands around each memory: the best and the sums within so many to either side, and Okapi BM25 of such sums."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from memory_core.index import Counts

Values = NDArray[np.float64]


def best_within(values: Values, reach: int, out: Values) -> None:
    """The best of each and of `reach` to either side: of two, of four and so on, at last of two runs that overlap."""
    best = np.empty(len(values) + 2 * reach)
    best.fill(-np.inf)
    best[reach : reach + len(values)] = values
    width, wanted = 1, 2 * reach + 1
    while width < wanted:
        step = min(width, wanted - width)
        best = np.maximum(best[:-step], best[step:])
        width += step
    out[:] = best


def sums_within(rows: Counts, reaches: Sequence[int], out: Values) -> None:
    """Each column summed with so many to either side; into float64 [reaches, rows, n].

    The rows, int32 [rows, widest + 1 + n + widest], have zeros at both ends, and are overwritten: a window is the
    difference of two running sums, of integers, which are exact and summed in a fifth of the time.
    """
    widest, count = max(reaches), out.shape[-1]
    sums = np.add.accumulate(rows, 1, None, rows)
    for window, reach in zip(out, reaches, strict=True):
        above, below = widest + 1 + reach, widest - reach
        np.subtract(sums[:, above : above + count], sums[:, below : below + count], out=window)


def damping(lengths: Values, k1: float, b: float) -> Values:
    """What BM25 adds to a frequency below the line, by how long each window is beside their mean; [kinds, n]."""
    mean = np.maximum(np.add.reduce(lengths, axis=1, keepdims=True) / lengths.shape[1], 1e-12)
    damped: Values = k1 * (1 - b + b * lengths / mean)
    return damped


def bm25(frequencies: Values, damped: Values, k1: float) -> None:
    """What each term is worth in each window but for its IDF, in place of its frequency there: [kinds, terms, n]."""
    below = frequencies + damped[:, np.newaxis]
    frequencies *= k1 + 1
    frequencies /= below


def idf(holds: NDArray[np.bool_]) -> Values:
    """ln(1 + (n - df + .5) / (df + .5)) of each row; [..., n] -> [...]; never negative."""
    frequency = np.add.reduce(holds.view(np.uint8), axis=-1, dtype=np.uint32) + 0.5
    weights: Values = np.log1p((holds.shape[-1] + 1 - frequency) / frequency)
    return weights
