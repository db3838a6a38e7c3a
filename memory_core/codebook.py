"""A vector-quantised codebook: K directions on the sphere, and the nearest of them is a vector's routing code.

Spherical k-means (Dhillon & Modha 2001) on a sample, trained once and then frozen. Rows and centroids are int8 and
sums are integers, so the same sample gives the same codebook and the same codes, bit for bit, whatever the BLAS.
It starts from rows evenly spaced in the sample, so it needs no random numbers; the more costly k-means++ start found
fewer of the true neighbours on real embeddings (EXPERIMENTS.md).
"""

import numpy as np
from numpy.typing import NDArray

from memory_core.index import Bytes8, Floats, quantise, unit_rows

CODES = 256
CODES_MAX = 2**16
"""A code is a uint16."""

SAMPLE_PER_CODE = 256
"""Rows to train on for each code. On 2,000 topics 64 found .89 of the ten nearest, 256 found .96 (EXPERIMENTS.md)."""

ITERATIONS = 20
"""Fixed, so that no tolerance has to be met on every machine alike. 10 found .01 less, 40 hardly more."""

ADAPTATION = 0.01
"""What an adaptive centroid takes over from each new member, if adaptation is asked for at all."""

SCORE_DECIMALS = 6
"""Cosines are rounded before they are compared, as in recall."""

_EXACT_DIMENSION_MAX = 2**10
"""Up to here a dot of two int8 rows, at most 2^14 · d, is a whole number that float32 holds exactly."""

_FIXED_POINT = 2**14
"""Unit rows in int16: their sums are exact in any order, as sums of floats are not."""

_BLOCK_ROWS = 4_096

Codes = NDArray[np.uint16]
Squares = NDArray[np.float64]


class Codebook:
    """K frozen centroids: what routing uses unless told otherwise.

    Args:
        centroids: int8 [K, d], no row of zeros, 1 <= K <= 65,536; ValueError if not.
    """

    adaptation = 0.0

    def __init__(self, centroids: Bytes8) -> None:
        check_rows(centroids)
        if not 1 <= len(centroids) <= CODES_MAX:
            raise ValueError(f"a codebook has 1 to {CODES_MAX} codes, not {len(centroids)}")
        self.centroids = centroids
        self._squares = squares_of(centroids)

    @property
    def codes(self) -> int:
        """How many codes there are."""
        return len(self.centroids)

    @property
    def dimension(self) -> int:
        """How many components a vector has."""
        return int(self.centroids.shape[1])

    @property
    def nbytes(self) -> int:
        """What it keeps in memory."""
        return self.centroids.nbytes + self._squares.nbytes

    def assign(self, rows: Bytes8) -> Codes:
        """The nearest code of each int8 row, uint16 [n]; a tie goes to the lower code."""
        return self._nearest(rows)[0]

    def cosines(self, query: Floats) -> Floats:
        """Cosine of a unit query to each centroid, float32 [K]."""
        lengths: Floats = np.sqrt(self._squares).astype(np.float32)
        cosines: Floats = (self.centroids.astype(np.float32) @ query) / lengths
        return cosines

    def _nearest(self, rows: Bytes8) -> tuple[Codes, Squares]:
        """The code of each row, and how near it is: signed dot² over the centroid's own square.

        A quotient of whole numbers, so that equal cosines are equal floats; dot over length has a rounded root in it.
        """
        exact = np.dtype(np.float32 if self.dimension <= _EXACT_DIMENSION_MAX else np.float64)
        table = self.centroids.astype(exact).T
        codes, nearness = np.empty(len(rows), np.uint16), np.empty(len(rows))
        for start in range(0, len(rows), _BLOCK_ROWS):
            block = slice(start, start + _BLOCK_ROWS)
            dots: Squares = (rows[block].astype(exact) @ table).astype(np.float64)
            dots *= np.abs(dots)
            dots /= self._squares
            codes[block], nearness[block] = dots.argmax(axis=1), dots.max(axis=1)
        return codes, nearness


class AdaptiveCodebook:
    """A codebook whose centroids follow their new members by an exponential moving average.

    Off by default, as measured under drift (`python -m benchmarks.routing`): on new topics it finds more than a static
    codebook that reads as much of the log (.97 of the ten nearest against .93), but old members keep their codes
    while the centroids walk away (at .05 a member .86 against 1.00), and training anew on the whole log beats both.
    It also costs four times the memory, cannot be cut back for a fork, and its floats are equal only where the BLAS
    is. One index, one adaptive codebook: `assign` changes it.

    Args:
        start: where the centroids begin.
        adaptation: share of a centroid that one new member replaces, in (0, 1).
    """

    def __init__(self, start: Codebook, adaptation: float = ADAPTATION) -> None:
        _check_adaptation(adaptation)
        self.adaptation = adaptation
        self._centroids = unit_rows(start.centroids)

    @classmethod
    def resumed(cls, centroids: Floats, adaptation: float) -> "AdaptiveCodebook":
        """As `centroids` left it: float32 [K, d] unit rows; ValueError for anything else."""
        if not 1 <= len(centroids) <= CODES_MAX or not np.allclose(
            np.linalg.norm(centroids.astype(np.float64), axis=1), 1.0, atol=1e-3
        ):
            raise ValueError("an adaptive codebook has 1 to 65,536 centroids of length 1")
        _check_adaptation(adaptation)
        made = cls.__new__(cls)
        made.adaptation, made._centroids = adaptation, centroids.copy()
        return made

    @property
    def centroids(self) -> Floats:
        """Where they are now, float32 [K, d] unit rows."""
        return self._centroids

    @property
    def codes(self) -> int:
        """How many codes there are."""
        return len(self._centroids)

    @property
    def dimension(self) -> int:
        """How many components a vector has."""
        return int(self._centroids.shape[1])

    @property
    def nbytes(self) -> int:
        """What it keeps in memory."""
        return self._centroids.nbytes

    def assign(self, rows: Bytes8) -> Codes:
        """The nearest code of each int8 row, uint16 [n]; each row moves its centroid before the next is looked at."""
        blocks = (rows[start : start + _BLOCK_ROWS] for start in range(0, len(rows), _BLOCK_ROWS))
        return np.array([self._follow(row) for block in blocks for row in unit_rows(block)], np.uint16)

    def cosines(self, query: Floats) -> Floats:
        """Cosine of a unit query to each centroid, float32 [K]."""
        scores: Floats = self._centroids @ query
        return scores

    def _follow(self, row: Floats) -> int:
        code = int(np.round(self.cosines(row), SCORE_DECIMALS).argmax())
        moved = (1 - self.adaptation) * self._centroids[code] + self.adaptation * row
        self._centroids[code] = moved / max(float(np.linalg.norm(moved)), 1e-12)
        return code


def spaced(count: int, wanted: int) -> NDArray[np.int64]:
    """At most `wanted` of the numbers below `count`, evenly spaced: a sample of a log that needs no random numbers."""
    picked = min(count, wanted)
    return np.arange(picked, dtype=np.int64) * count // max(picked, 1)


def train(sample: Bytes8, codes: int = CODES, iterations: int = ITERATIONS) -> Codebook:
    """Spherical k-means on int8 rows [n, d]; a sample of fewer rows than `codes` gives that many codes.

    A code that lost all its members is moved to the row that is least like its own centroid.
    Raises ValueError for an empty sample, for rows of zeros, and for `codes` out of range.
    """
    check_rows(sample)
    if not 1 <= codes <= CODES_MAX or not len(sample):
        raise ValueError(f"training needs a row and 1 to {CODES_MAX} codes, not {len(sample)} rows and {codes} codes")
    squares = squares_of(sample)
    fixed = np.rint(sample * (_FIXED_POINT / np.sqrt(squares))[:, None]).astype(np.int16)
    book = Codebook(sample[spaced(len(sample), codes)])
    for _ in range(iterations):
        assigned, nearness = book._nearest(sample)
        book = Codebook(_moved(book.centroids, sample, fixed, assigned, nearness / squares))
    return book


def check_rows(rows: Bytes8) -> None:
    """Raise ValueError unless the rows are int8 [n, d] without a row of zeros."""
    if rows.dtype != np.int8 or rows.ndim != 2 or rows.shape[1] < 1:
        raise ValueError(f"expected int8 rows [n, d], got {rows.dtype} {list(rows.shape)}")
    if not rows.any(axis=1).all():
        raise ValueError("a vector of zeros has no direction")


def squares_of(rows: Bytes8) -> Squares:
    """The squared length of each int8 row, a whole number, float64 [n]."""
    squares = np.empty(len(rows))
    for start in range(0, len(rows), _BLOCK_ROWS):
        wide = rows[start : start + _BLOCK_ROWS].astype(np.float64)
        squares[start : start + _BLOCK_ROWS] = np.vecdot(wide, wide)
    return squares


def _moved(before: Bytes8, sample: Bytes8, fixed: NDArray[np.int16], assigned: Codes, fit: Squares) -> Bytes8:
    """One step of k-means: each centroid in the direction of its members' sum."""
    members = np.split(np.argsort(assigned, kind="stable"), np.cumsum(np.bincount(assigned, minlength=len(before))))
    sums = np.stack([fixed[own].sum(axis=0, dtype=np.int64) for own in members[:-1]])
    after = quantise(sums.astype(np.float32))
    cancelled = ~after.any(axis=1)
    after[cancelled] = before[cancelled]
    empty = np.flatnonzero([not len(own) for own in members[:-1]])
    strangers = np.argsort(fit, kind="stable")[: len(empty)]
    after[empty] = sample[strangers]
    return after


def _check_adaptation(adaptation: float) -> None:
    if not 0 < adaptation < 1:
        raise ValueError(f"adaptation is a share in (0, 1), not {adaptation}")
