"""Routing codes beside a flat scan and an HNSW graph: what is found, how fast, from how much memory.

    python -m benchmarks.routing [--memories 100000] [--dimension 384] [--topics 2000] [--texts 2000]
        [--graph 128]

recall@10 is the share of a query's ten nearest, by the float vectors, that a search over the int8 rows returned. "read"
is the share of the log's rows that a search looks at, "hot" what stays in memory besides the rows on disk. Without
`usearch` (pip install "isocost[bench]") its rows are left out. A million of 768 dimensions takes some eight minutes
and 0.8 GB of disk; with HNSW half an hour and 2 GB of memory more. Bars: recall@10 >= .95 at eight probes on clustered
data, at most 4 bytes a memory and .6 MB hot.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from benchmarks.routing_data import (
    ASKED,
    DIALOGUES,
    HISTORIES,
    NEIGHBOURS,
    QUERIES,
    Corpus,
    Ids,
    Topics,
    clustered,
    real,
)
from memory_core.codebook import CODES, SAMPLE_PER_CODE, AdaptiveCodebook, Codebook, spaced, train
from memory_core.index import Bytes8, Floats, quantise
from memory_core.routing import PROBES, RoutingIndex, Rows

RECALL_MIN = 0.95
BYTES_A_MEMORY, CODEBOOK_MB = 4, 0.6
ENGINE_SECONDS_MAX = 20.0
"""Slow searches are asked fewer queries than all, but at least 20."""

EXPANSION = 128
"""How many neighbours HNSW looks at for each row it takes in: usearch's own default."""

ADAPTATIONS = (0.01, 0.05)
ERAS = 5

_FLAT_BLOCK_ROWS = 256
_ADD_ROWS = 16_384

Search = Callable[[Floats], Sequence[int]]


@dataclass(frozen=True, slots=True)
class Engine:
    """A way to search a corpus, and what it took to build."""

    name: str
    search: Search
    build_s: float
    hot_mb: float
    read: float | None = 1.0


@dataclass(frozen=True, slots=True)
class Measured:
    """What came of it; times in ms."""

    recall: float
    p50: float
    p99: float


def measure(engine: Engine, corpus: Corpus) -> Measured:
    """recall@10 and latency over the corpus' queries, one after the other."""
    engine.search(corpus.queries[0])
    found, times, began = [], [], time.monotonic()
    for query, nearest in zip(corpus.queries, corpus.nearest, strict=True):
        started = time.perf_counter()
        answer = engine.search(query)
        times.append(1e3 * (time.perf_counter() - started))
        found.append(len(np.intersect1d(answer, nearest)) / len(nearest))
        if len(times) >= 20 and time.monotonic() - began > ENGINE_SECONDS_MAX:
            break
    return Measured(float(np.mean(found)), *(float(np.percentile(times, at)) for at in (50, 99)))


def flat(corpus: Corpus) -> Engine:
    """numpy over every row, in blocks that fit the cache."""

    def search(query: Floats) -> Ids:
        cosines = np.empty(len(corpus.rows), np.float32)
        for start in range(0, len(cosines), _FLAT_BLOCK_ROWS):
            wide = np.asarray(corpus.rows[start : start + _FLAT_BLOCK_ROWS]).astype(np.float32)
            cosines[start : start + len(wide)] = np.vecdot(wide, query) / np.sqrt(np.vecdot(wide, wide))
        return np.argpartition(-cosines, NEIGHBOURS)[:NEIGHBOURS]

    return Engine("flat scan, numpy", search, 0.0, 0.0)


def routed(corpus: Corpus, codes: int, probes: Sequence[int]) -> Iterator[Engine]:
    """Static routing codes, trained on rows evenly spaced in the log."""
    started = time.monotonic()
    index = RoutingIndex(_trained(corpus.rows, codes), _taken(corpus.rows))
    index.append(np.asarray(corpus.rows))
    seconds = time.monotonic() - started
    for m in probes:
        yield Engine(
            f"routing, {codes} codes, m = {m}", _search(index, m), seconds, index.nbytes / 1e6, _read(index, corpus, m)
        )


def usearch(corpus: Corpus, expansion: int) -> Iterator[Engine]:
    """usearch on the same int8 rows: its exact scan and, unless `expansion` is 0, an HNSW graph built with it."""
    import onnxruntime  # noqa: F401  (imported after usearch 2.26 it kills the process)
    from usearch.index import Index, MetricKind, search

    rows = np.asarray(corpus.rows)

    def exact(query: Floats) -> Ids:
        asked = quantise(query[None])[0]
        return search(rows, asked, NEIGHBOURS, MetricKind.Cos, exact=True, threads=1).keys.astype(np.int64)

    yield Engine("flat scan, usearch", exact, 0.0, 0.0)
    if not expansion:
        return
    graph = Index(ndim=rows.shape[1], metric=MetricKind.Cos, dtype="i8", expansion_add=expansion)
    started = time.monotonic()
    for start in range(0, len(rows), _ADD_ROWS):
        block = rows[start : start + _ADD_ROWS]
        graph.add(np.arange(start, start + len(block)), block, threads=2)
        print(f"\rHNSW {start + len(block):,}, {time.monotonic() - started:.0f} s", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    seconds = time.monotonic() - started

    def approximate(query: Floats) -> Ids:
        return graph.search(quantise(query[None])[0], NEIGHBOURS, threads=1).keys.astype(np.int64)

    for searched in (64, 256):
        graph.expansion_search = searched
        yield Engine(f"HNSW, usearch, ef = {searched}", approximate, seconds, graph.memory_usage / 1e6, None)


def print_table(corpus: Corpus, engines: Iterator[Engine]) -> list[tuple[Engine, Measured]]:
    """One row an engine, each measured before the next is built."""
    print("| search | recall@10 | p50 ms | p99 ms | read | hot MB | build s |")
    print("|---|---|---|---|---|---|---|")
    results = []
    for engine in engines:
        m = measure(engine, corpus)
        results.append((engine, m))
        read = "graph" if engine.read is None else f"{engine.read:.1%}"
        figures = f"{m.recall:.3f} | {m.p50:.2f} | {m.p99:.2f} | {read} | {engine.hot_mb:.2f} | {engine.build_s:.0f}"
        print(f"| {engine.name} | {figures} |", flush=True)
    return results


def engines(corpus: Corpus, codes: Sequence[int], expansion: int) -> Iterator[Engine]:
    """Every row of a corpus' table; routing with each of these numbers of codes."""
    yield flat(corpus)
    for number in codes:
        yield from routed(corpus, number, (1, 4, 8, 16))
    if find_spec("usearch"):
        yield from usearch(corpus, expansion)
    else:
        print("usearch is not installed: its rows are left out", file=sys.stderr)


def print_drift(name: str, corpora: Sequence[tuple[str, Corpus]]) -> None:
    """Codebooks trained on the first fifth of a log that goes on to other topics, at eight probes."""
    rows = np.asarray(corpora[0][1].rows)
    early, doubled, late = (_trained(rows[: len(rows) * eras // ERAS]) for eras in (1, 4, ERAS))
    books: list[tuple[str, Codebook | AdaptiveCodebook, Sequence[int]]] = [("static", early, (PROBES, 16, 24))]
    books += [(f"adaptive, {rate:g} a member", AdaptiveCodebook(early, rate), (PROBES,)) for rate in ADAPTATIONS]
    books += [("static, retrained at two and four fifths", doubled, (PROBES,))]
    books += [("static, retrained on all of it", late, (PROBES,))]
    print(f"\n{name}; trained on its first {len(rows) // ERAS:,}\n")
    print("| codebook |" + "".join(f" {asked}: recall@10 | read |" for asked, _ in corpora) + " hot MB |")
    print("|---" * (2 + 2 * len(corpora)) + "|")
    for title, book, probes in books:
        index = RoutingIndex(book, _taken(rows))
        index.append(rows)
        for m in probes:
            cells = [
                f"{measure(Engine(title, _search(index, m), 0, 0), corpus).recall:.3f} | {_read(index, corpus, m):.1%}"
                for _, corpus in corpora
            ]
            print(f"| {title}, m = {m} | " + " | ".join(cells) + f" | {index.nbytes / 1e6:.2f} |", flush=True)


def drifting(topics: int, memories: int, dimension: int, path: Path) -> list[tuple[str, Corpus]]:
    """A log in five eras: seven of ten memories are on an era's own topics, the rest on any topic so far."""
    source = Topics(topics, dimension, seed=1)
    era = np.arange(memories) * ERAS // memories
    own = source.random.random(memories) < 0.7
    low = np.where(own, era, 0) * topics // ERAS
    topic_of = source.random.integers(low, (era + 1) * topics // ERAS)
    corpora = []
    for name, first in (("first topics", 0), ("last topics", ERAS - 1)):
        asked = source.random.integers(first * topics // ERAS, (first + 1) * topics // ERAS, QUERIES)
        corpora.append((name, source.draw(asked, ASKED)))
    both = clustered(source, topic_of, np.concatenate([queries for _, queries in corpora]), path)
    halves = (slice(0, QUERIES), slice(QUERIES, None))
    return [
        (name, Corpus(both.rows, queries, both.nearest[half]))
        for (name, queries), half in zip(corpora, halves, strict=True)
    ]


def _trained(rows: Bytes8, codes: int = CODES) -> Codebook:
    return train(np.asarray(rows[spaced(len(rows), codes * SAMPLE_PER_CODE)]), codes)


def _taken(rows: Bytes8) -> Rows:
    return lambda memories: rows.take(memories, axis=0)  # a quarter faster than rows[memories]


def _search(index: RoutingIndex, probes: int) -> Search:
    return lambda query: [match.memory for match in index.search(query, NEIGHBOURS, probes)]


def _read(index: RoutingIndex, corpus: Corpus, probes: int) -> float:
    """The mean share of the log that a search reads, counted by the rows it asks for."""
    asked = 0

    def counting(memories: Ids) -> Bytes8:
        nonlocal asked
        asked += len(memories)
        return corpus.rows[memories]

    counted = RoutingIndex.from_bytes(index.to_bytes(), counting)
    for query in corpus.queries[:50]:
        counted.search(query, NEIGHBOURS, probes)
    return asked / len(corpus.queries[:50]) / len(corpus.rows)


def main(
    memories: int = 100_000, dimension: int = 384, topics: int = 2_000, texts: int = 2_000, graph: int = 0
) -> bool:
    """Print the tables; False if a bar is missed."""
    with tempfile.TemporaryDirectory() as folder:
        source = Topics(topics, dimension)
        asked = source.draw(source.random.integers(0, topics, QUERIES), ASKED)
        corpus = clustered(source, source.random.integers(0, topics, memories), asked, Path(folder, "rows"))
        print(f"Clustered: {memories:,} memories of {dimension} dimensions on {topics:,} topics; {corpus.describe()}\n")
        results = print_table(corpus, engines(corpus, [CODES], graph))
        sliding = min(memories // 2, 100_000)
        print_drift(
            f"Drift: {sliding:,} memories on {topics // 2:,} topics that appear over time",
            drifting(topics // 2, sliding, dimension, Path(folder, "drift")),
        )
    if DIALOGUES.exists() and HISTORIES.exists():
        corpus = real(texts)
        print(f"\nReal: {len(corpus.rows):,} turns and chunks of LoCoMo and LongMemEval; {corpus.describe()}\n")
        print_table(corpus, engines(corpus, [CODES // 4, CODES], EXPANSION))
        print_drift("The same texts, in their order", [("questions", corpus)])
    else:
        print(f"\nReal embeddings: skipped, {DIALOGUES.name} or {HISTORIES.name} is not beside this checkout")
    engine, measured = next(row for row in results if row[0].name == f"routing, {CODES} codes, m = {PROBES}")
    return measured.recall >= RECALL_MIN and engine.hot_mb <= memories * BYTES_A_MEMORY / 1e6 + CODEBOOK_MB


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.routing", description=__doc__)
    parser.add_argument("--memories", type=int, default=100_000)
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--topics", type=int, default=2_000)
    parser.add_argument("--texts", type=int, default=2_000)
    parser.add_argument(
        "--graph",
        type=int,
        default=0,
        metavar="EXPANSION",
        help=f"HNSW for the clustered table too, {EXPANSION} being usearch's default: minutes, for a million an hour",
    )
    sys.exit(0 if main(**vars(parser.parse_args())) else 1)
