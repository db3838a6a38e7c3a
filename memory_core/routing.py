"""Search in a log that is larger than one scan should touch: look only where the query's codes point.

Each memory has the code of its nearest centroid (an inverted file, Jégou et al. 2011). A search takes the `probes`
codes nearest to the query and ranks their memories by the exact cosine to their int8 rows, which stay on disk:
`rows` fetches them, from a memory map, SQLite or anywhere else. What stays in memory is 4 bytes a memory and the
codebook, 4.2 MB for a million memories of 768 dimensions. Every code probed is the flat scan.
"""

import hashlib
import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memory_core.codebook import SCORE_DECIMALS, AdaptiveCodebook, Codebook, check_rows
from memory_core.index import Bytes8, Floats
from memory_core.postings import Memories, Postings

PROBES = 8

Cosines = NDArray[np.float64]

Rows = Callable[[Memories], Bytes8]
"""The int8 rows [n, d] of these memories (at most 256, ascending), `lambda asked: mapped.take(asked, axis=0)` of a
memory map for one."""

_BLOCK_ROWS = 256
"""Rows fetched and ranked at a time: as floats they still fit a core's cache."""

_HEADER = struct.Struct("<IIQd")
"""Codes, dimension, memories, adaptation (0 for a static codebook)."""

_CHECK_BYTES = 16


@dataclass(frozen=True, slots=True)
class Match:
    """A memory, numbered from 0 in the order of the log, and its cosine to the query in -1..1, to six decimals."""

    memory: int
    cosine: float


class RoutingIndex:
    """The routing codes of a log; append-only but for `truncate`. Not safe for concurrent writers.

    Args:
        codebook: `codebook.train(...)`, or an AdaptiveCodebook around it.
        rows: fetches int8 rows by memory. It is asked for memories that were appended, and only while searching.
    """

    def __init__(self, codebook: Codebook | AdaptiveCodebook, rows: Rows) -> None:
        self._codebook = codebook
        self._rows = rows
        self._postings = Postings(codebook.codes)

    @property
    def count(self) -> int:
        """How many memories it holds."""
        return len(self._postings)

    @property
    def nbytes(self) -> int:
        """What it keeps in memory: postings, tail and codebook, not the rows."""
        return self._postings.nbytes + self._codebook.nbytes

    def append(self, rows: Bytes8) -> None:
        """Take in the next memories by their int8 rows [n, d]; ValueError, and nothing taken in, for bad ones.

        In one call or in many, the index is the same to every search.
        """
        check_rows(rows)
        if rows.shape[1] != self._codebook.dimension:
            raise ValueError(f"expected vectors of {self._codebook.dimension} dimensions, got {rows.shape[1]}")
        self._postings.append(self._codebook.assign(rows))

    def truncate(self, count: int) -> None:
        """Forget all memories after the first `count`; as if they had never been appended.

        ValueError with an adaptive codebook: its centroids cannot walk back. Replay the log into a new index instead.
        """
        if count < 0:
            raise ValueError(f"cannot keep {count} memories")
        if self._codebook.adaptation:
            raise ValueError("an adaptive codebook cannot be cut back: replay the log")
        self._postings.truncate(count)

    def search(self, query: Floats, limit: int, probes: int = PROBES) -> list[Match]:
        """The best `limit` memories of the `probes` nearest codes, best first; equal cosines keep the log's order.

        `query` is a vector [d] of any length but zero. Codes without a memory are passed over, and more than `probes`
        are looked at while they hold fewer than `limit` memories: min(limit, count) matches always come back.
        Raises ValueError for a query of another shape, not finite or zero, for limit < 0 and probes < 1.
        """
        if limit < 0 or probes < 1:
            raise ValueError(f"limit is at least 0 and probes at least 1, not {limit} and {probes}")
        unit = self._unit(query)
        memories = self._postings.members(self._probed(unit, limit, probes))
        cosines = np.round(self._cosines(memories, unit), SCORE_DECIMALS)
        return [Match(int(memories[place]), float(cosines[place])) for place in _best(cosines, limit)]

    def to_bytes(self) -> bytes:
        """The codes and the codebook, for a cache: 2 bytes a memory. Equal indexes give equal bytes."""
        book = self._codebook
        header = _HEADER.pack(book.codes, book.dimension, self.count, book.adaptation)
        centroids = book.centroids.astype("<f4" if book.adaptation else np.int8).tobytes()
        body = header + centroids + self._postings.codes().astype("<u2").tobytes()
        return _checksum(body) + body

    @classmethod
    def from_bytes(cls, payload: bytes, rows: Rows) -> "RoutingIndex":
        """Inverse of `to_bytes`; ValueError for bytes that are damaged, cut or inconsistent in themselves."""
        check, body = payload[:_CHECK_BYTES], payload[_CHECK_BYTES:]
        if len(body) < _HEADER.size or check != _checksum(body):
            raise ValueError("the bytes of a routing index are damaged")
        codes, dimension, count, adaptation = _HEADER.unpack_from(body)
        split = _HEADER.size + codes * dimension * (4 if adaptation else 1)
        if not codes or not dimension or len(body) != split + 2 * count:
            raise ValueError("the bytes of a routing index do not fit its header")
        index = cls(_codebook(body[_HEADER.size : split], dimension, adaptation), rows)
        stored = np.frombuffer(body, "<u2", offset=split).astype(np.uint16)
        if (stored >= codes).any():
            raise ValueError("a stored routing code is not in its codebook")
        index._postings.append(stored)
        return index

    def _unit(self, query: Floats) -> Floats:
        if query.shape != (self._codebook.dimension,):
            raise ValueError(f"expected a query of {self._codebook.dimension} dimensions, got {list(query.shape)}")
        wide = query.astype(np.float64)
        length = float(np.linalg.norm(wide))
        if not np.isfinite(length) or length == 0:
            raise ValueError("a query that is not finite, or zero, has no direction")
        return (wide / length).astype(np.float32)

    def _probed(self, unit: Floats, limit: int, probes: int) -> NDArray[np.int64]:
        """The codes to look at, nearest first; a tie goes to the lower code."""
        sizes = self._postings.sizes()
        order = np.argsort(-np.round(self._codebook.cosines(unit), SCORE_DECIMALS), kind="stable")
        order = order[sizes[order] > 0]
        enough = int(np.searchsorted(np.cumsum(sizes[order]), limit)) + 1
        return order[: max(probes, enough)]

    def _cosines(self, memories: Memories, unit: Floats) -> Cosines:
        """A dot product a row: a row's cosine does not depend on its neighbours, nor wake BLAS threads, as `@` may."""
        cosines = np.empty(len(memories))
        for start in range(0, len(memories), _BLOCK_ROWS):
            asked = memories[start : start + _BLOCK_ROWS]
            rows = np.asarray(self._rows(asked))
            if rows.dtype != np.int8 or rows.shape != (len(asked), len(unit)):
                raise ValueError(f"expected {len(asked)} int8 rows of {len(unit)}, got {rows.dtype} {rows.shape}")
            wide = rows.astype(np.float32)
            lengths = np.sqrt(np.vecdot(wide, wide))
            cosines[start : start + len(asked)] = np.vecdot(wide, unit) / np.maximum(lengths, 1e-12)
        return cosines


def _best(cosines: Cosines, limit: int) -> NDArray[np.int64]:
    """Places of the `limit` highest, highest first, equal ones in order; without sorting the rest."""
    if limit == 0 or not len(cosines):
        return np.empty(0, np.int64)
    rank = min(limit, len(cosines))
    last = np.partition(cosines, len(cosines) - rank)[len(cosines) - rank]
    candidates = np.flatnonzero(cosines >= last)
    return candidates[np.argsort(-cosines[candidates], kind="stable")[:rank]]


def _codebook(stored: bytes, dimension: int, adaptation: float) -> Codebook | AdaptiveCodebook:
    if adaptation:
        floats = np.frombuffer(stored, "<f4").astype(np.float32).reshape(-1, dimension)
        return AdaptiveCodebook.resumed(floats, adaptation)
    return Codebook(np.frombuffer(stored, np.int8).reshape(-1, dimension))


def _checksum(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=_CHECK_BYTES).digest()
