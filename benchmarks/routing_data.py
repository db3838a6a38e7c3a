"""What the routing benchmark searches: clustered vectors of any number, and real texts with the built-in embedder."""

import asyncio
import gzip
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.embedding import embed_all
from benchmarks.locomo import read_locomo
from benchmarks.serving import DATA
from memory_core.chunking import chunks
from memory_core.codebook import spaced
from memory_core.index import Bytes8, Floats, quantise, unit_rows

DIALOGUES, HISTORIES = DATA / "locomo.json", DATA / "longmemeval_s.jsonl.gz"
CHUNK_CHARS = 300
NEIGHBOURS = 10
QUERIES = 200

BETWEEN, WITHIN, ASKED = 0.06, 0.5, 0.4
"""Squared share of the common direction, of it and a topic in a memory, and in a query: so the mean cosine of two
memories, and of two of one topic. Two of 20,000 real chunks have .06; of one session .36, but a chunk and its ten
nearest .50 to .68, and a real question is .60 from its nearest chunk and .46 from its tenth."""

CENTRES, RESIDUALS = 61, 168
"""Effective dimensions (Σλ)² / Σλ² of the means of real sessions and of what is left: text uses few of its 384 much."""

_BLOCK_ROWS = 16_384

Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Corpus:
    """int8 rows [n, d], unit queries [q, d], and the ten nearest to each by the floats that the rows were made of."""

    rows: Bytes8
    queries: Floats
    nearest: Ids

    def describe(self) -> str:
        """The cosines by which two corpora can be compared."""
        sample = unit_rows(np.asarray(self.rows[spaced(len(self.rows), 4_000)]))
        cosines = [
            unit_rows(np.asarray(self.rows[ids])) @ query for ids, query in zip(self.nearest, self.queries, strict=True)
        ]
        spectrum = np.linalg.eigvalsh(np.cov(sample.T))
        return (
            f"mean cosine of two memories {float(np.square(sample.mean(axis=0)).sum()):.2f}, of a query to its nearest "
            f"{np.mean([each[0] for each in cosines]):.2f} and tenth {np.mean([each[-1] for each in cosines]):.2f}, "
            f"{spectrum.sum() ** 2 / np.square(spectrum).sum():.0f} effective dimensions"
        )


class Topics:
    """Unit vectors around topics around a common direction, spread like a text embedder's."""

    def __init__(self, topics: int, dimension: int, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self._residuals = self._basis(dimension, RESIDUALS)
        self._centres = self._gaussian(topics, dimension) @ self._basis(dimension, CENTRES)
        common = self._gaussian(1, dimension)
        self._common = common / np.linalg.norm(common)

    def draw(self, topics: Ids, share: float = WITHIN) -> Floats:
        """A memory (or with ASKED a query) of each of these topics, float32 [n, d]."""
        drawn = BETWEEN**0.5 * self._common + (share - BETWEEN) ** 0.5 * self._centres[topics]
        drawn += (1 - share) ** 0.5 * (self._gaussian(len(topics), self._residuals.shape[0]) @ self._residuals)
        unit: Floats = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
        return unit

    def _basis(self, dimension: int, effective: int) -> Floats:
        """Makes gaussians of expected length 1 whose deviations fall as a power of the component, and turns them."""
        powers = np.linspace(0, 1, 201)
        variances = np.arange(1, dimension + 1)[:, None] ** (-2 * powers)
        found = np.square(variances.sum(axis=0)) / np.square(variances).sum(axis=0)
        chosen = variances[:, np.abs(found - effective).argmin()]
        turned, _ = np.linalg.qr(self._gaussian(dimension, dimension).astype(np.float64))
        basis: Floats = (np.sqrt(chosen / chosen.sum())[:, None] * turned).astype(np.float32)
        return basis

    def _gaussian(self, count: int, dimension: int) -> Floats:
        return self.random.standard_normal((count, dimension), np.float32)


def clustered(source: Topics, topic_of: Ids, queries: Floats, path: Path) -> Corpus:
    """Memories of these topics in this order, written to a memory map at `path` a block at a time."""
    rows = np.memmap(path, np.int8, "w+", shape=(len(topic_of), queries.shape[1]))
    best = _Nearest(queries)
    for start in range(0, len(topic_of), _BLOCK_ROWS):
        block = source.draw(topic_of[start : start + _BLOCK_ROWS])
        rows[start : start + len(block)] = quantise(block)
        best.see(block)
    rows.flush()
    return Corpus(rows, queries, best.ids)


def real(count: int) -> Corpus:
    """About `count` turns and chunks of LoCoMo and LongMemEval, evenly spaced, and questions asked of them."""
    dialogues = read_locomo(DIALOGUES)
    with gzip.open(HISTORIES, "rt", encoding="utf-8") as lines:
        histories = [json.loads(line) for line in lines]
    texts = [turn.said for dialogue in dialogues for turn in dialogue.turns]
    sessions = [session for history in histories for session in history["haystack_sessions"]]
    texts += [chunk for session in sessions for turn in session for chunk in chunks(turn["content"], CHUNK_CHARS)]
    texts = [text for text in dict.fromkeys(texts) if text.strip()]
    questions = [question.text for dialogue in dialogues for question in dialogue.questions]
    asked = [history["question"] for history in histories]
    asked += [questions[place] for place in spaced(len(questions), QUERIES - len(asked))]
    chosen = [texts[place] for place in spaced(len(texts), count)]
    rows, queries = asyncio.run(embed_all([chosen, asked]))
    best = _Nearest(queries)
    for start in range(0, len(rows), _BLOCK_ROWS):
        best.see(rows[start : start + _BLOCK_ROWS])
    return Corpus(quantise(rows), queries, best.ids)


class _Nearest:
    """The ten nearest vectors to each query among all blocks seen, by float32 cosine; equal ones in order."""

    def __init__(self, queries: Floats) -> None:
        self._queries = queries
        self._cosines = np.empty((len(queries), 0), np.float32)
        self._seen = 0
        self.ids: Ids = np.empty((len(queries), 0), np.int64)

    def see(self, block: Floats) -> None:
        fresh = np.broadcast_to(np.arange(self._seen, self._seen + len(block)), (len(self._queries), len(block)))
        cosines, ids = np.hstack([self._cosines, self._queries @ block.T]), np.hstack([self.ids, fresh])
        order = np.argsort(-cosines, axis=1, kind="stable")[:, :NEIGHBOURS]
        self._cosines, self.ids = np.take_along_axis(cosines, order, 1), np.take_along_axis(ids, order, 1)
        self._seen += len(block)
