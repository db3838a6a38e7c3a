"""Rank the past for a query: dense and lexical evidence, each for a memory and for its surroundings.

The pipeline is the one that measured best on LoCoMo with this embedder (EXPERIMENTS.md has the table):
    dense   = mm(cos(v_i, q)) + mm(cos(v_{i-1} + v_i, q))
    lexical = mm(BM25(i)) + mm(BM25(i-1, i, i+1))
    score   = ½ mm(dense) + ½ mm(lexical), then + 0.3 · the better neighbour's score
with mm the min-max scaling to 0..1. Weighted sums, not rank fusion: RRF was worse than BM25 alone there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memory_core.index import Floats, MemoryIndex
from memory_core.lexical import query_terms
from memory_core.state import MemoryState

LEXICAL_SHARE = 0.5
NEIGHBOUR_SHARE = 0.3
BM25_K1 = 1.2
BM25_B = 0.75
"""Robertson's usual values; .9/.4 and 1.5/.75 came within ±.007 of them on LoCoMo (EXPERIMENTS.md)."""

ELLIPTIC_TERMS_MAX = 2
ELLIPTIC_STATE_PULL = 0.5
"""A query of at most two content terms ("and the second one?") borrows its subject from the state vector."""

SPREAD_MIN = 1e-6
"""Values closer together than this are equal: min-max scaling must not blow float noise up to evidence."""

SCORE_DECIMALS = 6
"""Scores are rounded before they are compared, so that the last bits of another BLAS cannot reorder them."""

Scores = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Memory:
    """One recalled chunk: the turn it is from (1-based), which chunk of it (0-based), and its score."""

    turn: int
    chunk: int
    score: float


def rank(index: MemoryIndex, state: MemoryState, query: str, vector: Floats, *, turns: int, limit: int) -> list[Memory]:
    """The best `limit` memories of the first `turns` turns, best first; equal scores keep the order of the log.

    `vector` is the query's unit vector, float32 [d].
    """
    count = index.memories(turns)
    if count == 0:
        return []
    wanted = query_terms(query)
    scored = np.round(scores(index, count, wanted, with_subject(vector, wanted, state)), SCORE_DECIMALS)
    order = np.argsort(-scored, kind="stable")[:limit]
    return [Memory(*index.place(int(memory)), float(scored[memory])) for memory in order]


def with_subject(vector: Floats, wanted: Sequence[str], state: MemoryState) -> Floats:
    """The query's vector, pulled towards the state when the query is too short to name its subject."""
    if len(wanted) > ELLIPTIC_TERMS_MAX or not state.vector.any():
        return vector
    pulled = vector + ELLIPTIC_STATE_PULL * state.vector
    return (pulled / max(float(np.linalg.norm(pulled)), 1e-12)).astype(np.float32)


def scores(index: MemoryIndex, count: int, wanted: Sequence[str], vector: Floats) -> Scores:
    """The score of each of the first `count` memories, float64 [count], in 0..1.3."""
    combined = (1 - LEXICAL_SHARE) * _scaled(_dense(index, count, vector))
    combined += LEXICAL_SHARE * _scaled(_lexical(index, count, wanted))
    neighbours = np.zeros_like(combined)
    neighbours[1:] = combined[:-1]
    np.maximum(neighbours[:-1], combined[1:], out=neighbours[:-1])
    return combined + NEIGHBOUR_SHARE * neighbours


def _dense(index: MemoryIndex, count: int, vector: Floats) -> Scores:
    alone = (index.vectors(count) @ vector).astype(np.float64)
    paired = alone.copy()
    paired[1:] += alone[:-1]
    return _scaled(alone) + _scaled(paired / index.pair_norms(count))


def _lexical(index: MemoryIndex, count: int, wanted: Sequence[str]) -> Scores:
    lengths: Scores = index.lengths(count).astype(np.float64)
    rows = [index.frequencies(term, count) for term in wanted]
    found = [row for row in rows if row is not None]
    if not found:
        return np.zeros(count)
    frequencies: Scores = np.stack(found).astype(np.float64)
    alone = _bm25(frequencies, lengths)
    around = _bm25(_with_neighbours(frequencies), _with_neighbours(lengths))
    return _scaled(alone) + _scaled(around)


def _with_neighbours(rows: Scores) -> Scores:
    """Each column plus the one before and the one after: counts over (i-1, i, i+1)."""
    total = rows.copy()
    total[..., 1:] += rows[..., :-1]
    total[..., :-1] += rows[..., 1:]
    return total


def _bm25(frequencies: Scores, lengths: Scores) -> Scores:
    """Okapi BM25 with the non-negative IDF ln(1 + (n - df + .5) / (df + .5)); [terms, n], [n] -> [n]."""
    count = lengths.shape[0]
    document_frequencies = (frequencies > 0).sum(axis=1)
    idf = np.log1p((count - document_frequencies + 0.5) / (document_frequencies + 0.5))
    damping = BM25_K1 * (1 - BM25_B + BM25_B * lengths / max(float(lengths.mean()), 1e-12))
    weighted: Scores = idf[:, None] * frequencies * (BM25_K1 + 1) / (frequencies + damping)
    total: Scores = weighted.sum(axis=0)
    return total


def _scaled(values: Scores) -> Scores:
    """Min-max scaled to 0..1; all zeros if all are equal."""
    low, high = float(values.min()), float(values.max())
    if high - low < SPREAD_MIN:
        return np.zeros_like(values)
    scaled: Scores = (values - low) / (high - low)
    return scaled
