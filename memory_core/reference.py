"""The oracle: update and recall once more, slow and obvious, in plain Python from the whole transcript.

It ships because it documents the maths: the fast code must agree with it (tests/memory_core).
"""

import math
from collections.abc import Sequence
from itertools import pairwise

from memory_core.lexical import query_terms, terms
from memory_core.recall import BM25_B, BM25_K1, LEXICAL_SHARE, NEIGHBOUR_SHARE, SPREAD_MIN
from memory_core.state import NORM_MAX
from memory_core.update import BETA_BASIS, BETA_MAX

Vector = Sequence[float]


def cosine(left: Vector, right: Vector) -> float:
    """The cosine of two vectors; 0 if one of them is zero."""
    norms = math.sqrt(sum(x * x for x in left)) * math.sqrt(sum(x * x for x in right))
    return sum(x * y for x, y in zip(left, right, strict=True)) / norms if norms > 1e-12 else 0.0


def state_vector(inputs: Sequence[Vector], dimension: int) -> list[float]:
    """The state vector after these inputs, from the first on."""
    state = [0.0] * dimension
    for embedding in inputs:
        beta = BETA_BASIS + (BETA_MAX - BETA_BASIS) * max(0.0, cosine(state, embedding))
        state = [beta * old + (1 - beta) * new for old, new in zip(state, embedding, strict=True)]
        norm = math.sqrt(sum(x * x for x in state))
        if norm > NORM_MAX:
            state = [x * NORM_MAX / norm for x in state]
    return state


def kept_turns(informations: Sequence[float], short: int, medium: int, long: int) -> set[int]:
    """Which turns (from 1) the tiers keep after turns of this information."""
    tiers: list[list[tuple[float, int]]] = [[], [], []]
    for turn, information in enumerate(informations, start=1):
        tiers[0].append((information, turn))
        if len(tiers[0]) > short:
            tiers[1].append(tiers[0].pop(0))
        for tier, below, capacity in ((tiers[1], tiers[2], medium), (tiers[2], [], long)):
            if len(tier) > capacity:
                least = min(tier)
                tier.remove(least)
                below.append(least)
    return {turn for tier in tiers for _, turn in tier}


def information(texts: Sequence[Sequence[str]]) -> float:
    """IDF mass of the last turn, each turn given as the texts of its chunks."""
    memories = [set(terms(text)) for turn in texts for text in turn]
    last = {term for text in texts[-1] for term in terms(text)}
    return sum(math.log1p(len(memories) / sum(term in memory for memory in memories)) for term in last)


def scores(texts: Sequence[str], vectors: Sequence[Vector], query: str, vector: Vector) -> list[float]:
    """The score of each memory for the query, as recall.py defines it."""
    wanted = query_terms(query)
    documents = [terms(text) for text in texts]
    around = [[t for part in documents[max(0, i - 1) : i + 2] for t in part] for i in range(len(documents))]
    alone = [cosine(v, vector) for v in vectors]
    sums = [[x + y for x, y in zip(a, b, strict=True)] for a, b in pairwise(vectors)]
    paired = [cosine(v, vector) for v in [*vectors[:1], *sums]]
    dense = _added(_scaled(alone), _scaled(paired))
    lexical = _added(_scaled(_bm25(documents, wanted)), _scaled(_bm25(around, wanted)))
    mixed = _added(
        [(1 - LEXICAL_SHARE) * value for value in _scaled(dense)],
        [LEXICAL_SHARE * value for value in _scaled(lexical)],
    )
    return [value + NEIGHBOUR_SHARE * _best_neighbour(mixed, i) for i, value in enumerate(mixed)]


def _best_neighbour(values: Sequence[float], place: int) -> float:
    return max([*values[max(0, place - 1) : place], *values[place + 1 : place + 2], 0.0])


def _bm25(documents: Sequence[Sequence[str]], wanted: Sequence[str]) -> list[float]:
    count = len(documents)
    mean_length = max(sum(len(document) for document in documents) / count, 1e-12)
    totals = []
    for document in documents:
        total = 0.0
        for term in wanted:
            holding = sum(term in other for other in documents)
            frequency = document.count(term)
            idf = math.log(1 + (count - holding + 0.5) / (holding + 0.5))
            damping = BM25_K1 * (1 - BM25_B + BM25_B * len(document) / mean_length)
            total += idf * frequency * (BM25_K1 + 1) / (frequency + damping)
        totals.append(total)
    return totals


def _scaled(values: Sequence[float]) -> list[float]:
    low, high = min(values), max(values)
    return [(value - low) / (high - low) for value in values] if high - low >= SPREAD_MIN else [0.0] * len(values)


def _added(left: Sequence[float], right: Sequence[float]) -> list[float]:
    return [x + y for x, y in zip(left, right, strict=True)]
