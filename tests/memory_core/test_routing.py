import hashlib
import struct
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory_core.codebook import AdaptiveCodebook, Codebook, train
from memory_core.index import Bytes8, Floats, quantise, unit_rows
from memory_core.postings import Memories, Postings
from memory_core.routing import Match, RoutingIndex
from tests.support.memories import unit

D = 8
CHECK = 16


def rows_of(seed: int, count: int) -> Bytes8:
    """Small whole numbers, so that cosines collide."""
    rows = np.random.default_rng(seed).integers(-2, 3, (count, D)).astype(np.int8)
    rows[~rows.any(axis=1)] = 1
    return rows


def indexed(rows: Bytes8, codes: int = 6) -> RoutingIndex:
    index = RoutingIndex(train(rows[:50], codes), rows.__getitem__)
    index.append(rows)
    return index


def flat(rows: Bytes8, query: Floats) -> list[float]:
    wide, asked = rows.astype(np.float64), query.astype(np.float64)
    cosines: list[float] = (wide @ asked / np.linalg.norm(wide, axis=1) / np.linalg.norm(asked)).tolist()
    return cosines


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**16), st.integers(1, 200), st.integers(0, 20), st.integers(1, 8), st.integers(1, 9))
def test_matches_are_ranked_and_every_code_probed_is_the_flat_scan(
    seed: int, count: int, limit: int, codes: int, probes: int
) -> None:
    rows, query = rows_of(seed, count), unit(seed, 1, D)[0]
    index, cosines = indexed(rows, codes), flat(rows, query)
    found = index.search(query, limit, probes)
    assert len(found) == min(limit, count)
    assert found == sorted(found, key=lambda match: (-match.cosine, match.memory))
    assert [match.cosine for match in found] == pytest.approx([cosines[match.memory] for match in found], abs=2e-6)
    everything = index.search(query, limit, codes)
    assert [match.cosine for match in everything] == pytest.approx(sorted(cosines, reverse=True)[:limit], abs=2e-6)


def test_equal_cosines_keep_the_order_of_the_log() -> None:
    rows = np.tile(rows_of(3, 10), (600, 1))  # long enough that most are merged and some wait
    query = rows[4].astype(np.float32)
    found = indexed(rows).search(query, 25)
    assert found == [Match(4 + 10 * time, 1.0) for time in range(25)]


def test_eight_probes_find_nearly_all_on_clustered_data_and_read_little() -> None:
    topics, random = unit(1, 200, 64), np.random.default_rng(2)
    vectors = topics[random.integers(0, 200, 10_000)] + unit(3, 10_000, 64)
    queries = topics[:100] + unit(4, 100, 64)
    rows, read = quantise(vectors), 0

    def counting(memories: Memories) -> Bytes8:
        nonlocal read
        assert 0 < len(memories) <= 256
        assert (np.diff(memories.astype(np.int64)) > 0).all()
        read += len(memories)
        return rows[memories]

    index = RoutingIndex(train(rows[::2], 100), counting)
    index.append(rows)
    found = [{match.memory for match in index.search(query, 10)} for query in queries]
    exact = np.argsort(-(queries @ unit_rows(rows).T), axis=1)[:, :10]
    assert np.mean([len(one & set(ten)) / 10 for one, ten in zip(found, exact.tolist(), strict=True)]) >= 0.95
    assert read / len(queries) < 0.15 * len(rows)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**16), st.lists(st.integers(0, 40) | st.tuples(st.integers(0, 120)), max_size=8))
def test_any_appends_and_truncations_are_one_append_of_what_is_left(seed: int, steps: list[int | tuple[int]]) -> None:
    source, book = rows_of(seed, 400), train(rows_of(seed + 1, 30), 5)
    log = source[:0]
    index = RoutingIndex(book, lambda memories: log[memories])
    for number, step in enumerate(steps):
        if isinstance(step, tuple):
            index.truncate(step[0])
            log = log[: step[0]]
        else:
            more = source[40 * number : 40 * number + step]
            index.append(more)
            log = np.concatenate([log, more])
    fresh = RoutingIndex(book, log.__getitem__)
    fresh.append(log)
    query = unit(seed, 1, D)[0]
    assert index.count == len(log)
    assert index.search(query, 10, 2) == fresh.search(query, 10, 2)
    assert index.to_bytes() == fresh.to_bytes()


def at(degrees: Sequence[float]) -> Bytes8:
    """Rows of two dimensions in these directions."""
    radians = np.radians(degrees)
    return quantise(np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32))


def test_a_code_without_memories_is_not_a_probe() -> None:
    rows = at([75, -31])
    index = RoutingIndex(Codebook(at([0, 50, -60])), rows.__getitem__)
    index.append(rows)
    query = np.array([1, 0], np.float32)
    assert [match.memory for match in index.search(query, 1, 1)] == [0]  # of the nearest code that has any
    assert [match.memory for match in index.search(query, 1, 2)] == [1]


def test_the_length_of_a_query_does_not_matter() -> None:
    index, query = indexed(rows_of(0, 100)), unit(5, 1, D)[0].astype(np.float64)
    assert index.search(query * 1e-30, 5) == index.search(query, 5) == index.search(query * 1e30, 5)


@pytest.mark.parametrize(
    "query",
    [
        np.zeros(D, np.float32),
        np.full(D, np.nan, np.float32),
        np.array([np.inf] + [0] * (D - 1), np.float32),
        np.ones(D + 1, np.float32),
        np.ones((1, D), np.float32),
    ],
)
def test_bad_queries_are_refused(query: Floats) -> None:
    with pytest.raises(ValueError, match="query"):
        indexed(rows_of(0, 20)).search(query, 5)


@pytest.mark.parametrize(("limit", "probes"), [(-1, 8), (5, 0)])
def test_bad_limits_are_refused(limit: int, probes: int) -> None:
    with pytest.raises(ValueError, match="limit"):
        indexed(rows_of(0, 20)).search(np.ones(D, np.float32), limit, probes)


@pytest.mark.parametrize(
    "rows",
    [
        np.ones((2, D + 1), np.int8),
        np.ones((2, D)),
        np.full((2, D), np.nan),
        np.vstack([rows_of(0, 1), np.zeros((1, D), np.int8)]),
    ],
)
def test_bad_rows_are_refused_and_nothing_is_taken_in(rows: Bytes8) -> None:
    index = indexed(rows_of(0, 20))
    with pytest.raises(ValueError, match=r"row|dimension|direction"):
        index.append(rows)
    assert index.count == 20


@pytest.mark.parametrize(
    "fetch",
    [
        lambda memories: np.ones((len(memories), D)),
        lambda _: rows_of(0, 3),
        lambda m: np.ones((len(m), D + 1), np.int8),
    ],
)
def test_rows_that_are_not_those_asked_for_are_an_error(fetch: Callable[[Memories], Bytes8]) -> None:
    index = RoutingIndex(train(rows_of(0, 20), 2), fetch)
    index.append(rows_of(0, 20))
    with pytest.raises(ValueError, match="int8 rows"):
        index.search(np.ones(D, np.float32), 5)


def test_an_empty_index_finds_nothing() -> None:
    assert RoutingIndex(train(rows_of(0, 20), 2), rows_of(0, 20).__getitem__).search(np.ones(D, np.float32), 5) == []
    with pytest.raises(ValueError, match="keep -1"):
        indexed(rows_of(0, 20)).truncate(-1)


@pytest.mark.parametrize("adaptation", [0.0, 0.1])
def test_bytes_hold_everything(adaptation: float) -> None:
    rows, later = rows_of(0, 5_000), rows_of(1, 50)
    book = train(rows, 6)
    index = RoutingIndex(AdaptiveCodebook(book, adaptation) if adaptation else book, rows.__getitem__)
    index.append(rows)
    restored = RoutingIndex.from_bytes(index.to_bytes(), rows.__getitem__)
    query = unit(5, 1, D)[0]
    assert restored.search(query, 10, 2) == index.search(query, 10, 2)
    assert restored.to_bytes() == index.to_bytes()
    restored.append(later)
    index.append(later)
    assert restored.to_bytes() == index.to_bytes()
    assert len(index.to_bytes()) < 2 * 5_050 + 300


@settings(deadline=None)
@given(st.data())
def test_damaged_bytes_are_refused(data: st.DataObject) -> None:
    sound = indexed(rows_of(0, 40)).to_bytes()
    place = data.draw(st.integers(0, len(sound) - 1))
    flipped = bytearray(sound)
    flipped[place] ^= data.draw(st.integers(1, 255))
    for damaged in (bytes(flipped), sound[:place], sound + b"\0"):
        with pytest.raises(ValueError, match="damaged"):
            RoutingIndex.from_bytes(damaged, rows_of(0, 40).__getitem__)


@pytest.mark.parametrize(
    ("codes", "dimension", "count", "adaptation", "body"),
    [
        (2, 2, 3, 0.0, b"\1\2\3\4" + struct.pack("<3H", 0, 1, 2)),  # a code that the codebook lacks
        (2, 2, 4, 0.0, b"\1\2\3\4" + struct.pack("<3H", 0, 1, 0)),  # fewer codes than memories
        (2, 2, 2**63, 0.0, b"\1\2\3\4" + struct.pack("<3H", 0, 1, 0)),
        (0, 2, 0, 0.0, b""),
        (2, 0, 0, 0.0, b""),
        (2, 2, 0, 0.0, b"\1\2\0\0"),  # a centroid of zeros
        (65_537, 1, 0, 0.0, b"\1" * 65_537),
        (1, 2, 0, 0.1, struct.pack("<2f", 3, 4)),  # not a unit vector
        (1, 2, 0, 0.1, struct.pack("<2f", float("nan"), 1)),
        (1, 2, 0, float("nan"), struct.pack("<2f", 0, 1)),
        (1, 2, 0, 1.5, struct.pack("<2f", 0, 1)),
    ],
)
def test_forged_bytes_are_refused(codes: int, dimension: int, count: int, adaptation: float, body: bytes) -> None:
    forged = struct.pack("<IIQd", codes, dimension, count, adaptation) + body
    with pytest.raises(ValueError, match=r"routing|direction|codes|centroids|share"):
        RoutingIndex.from_bytes(hashlib.blake2b(forged, digest_size=CHECK).digest() + forged, rows_of(0, 9).__getitem__)


def test_a_log_of_the_same_rows_gives_the_same_bytes() -> None:
    assert indexed(rows_of(7, 300)).to_bytes() == indexed(rows_of(7, 300).copy(order="F")).to_bytes()


def test_an_adaptive_codebook_cannot_be_cut_back() -> None:
    index = RoutingIndex(AdaptiveCodebook(train(rows_of(0, 20), 2)), rows_of(0, 20).__getitem__)
    with pytest.raises(ValueError, match="replay"):
        index.truncate(0)


def test_a_million_memories_of_768_dimensions_take_less_than_4_6_mb() -> None:
    book = Codebook(quantise(unit(0, 256, 768)))
    postings = Postings(256)
    postings.append(np.random.default_rng(0).integers(0, 256, 1_000_000).astype(np.uint16))
    assert 4_000_000 <= postings.nbytes + book.nbytes <= 4_600_000
    index = RoutingIndex(book, rows_of(0, 9).__getitem__)
    assert index.nbytes == Postings(256).nbytes + book.nbytes
