"""No text is embedded twice: a bounded cache by digest, and shared computations.

The first who asks for a text computes it, whoever else asks meanwhile waits for that one; where it leaves before it is
done, the next of those who wait computes it: no task of its own that would have to be started, heard of and cancelled.
Who is in a hurry does not wait for what was begun by one who can wait (LATER): that may take long. Keys are digests; no
text is kept.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from embedders import LATER, Embedder, Vectors
from embedders.batching import closed_error

Rows = dict[bytes, NDArray[np.float32]]
"""By the digests of their texts."""

# What an entry costs beside its numbers: key, array header, slot in the ordered dict. tracemalloc counted
# 236 bytes over 5,000 entries; the rest is for the dict just after it has grown.
ENTRY_OVERHEAD_BYTES = 320


class _Flight:
    """One call of the inner embedder under way."""

    __slots__ = ("_aboard", "later")

    def __init__(self, *, later: bool) -> None:
        self.later = later
        self._aboard: list[asyncio.Future[Rows | Exception]] = []

    def board(self) -> asyncio.Future[Rows | Exception]:
        """What it brings: no rows if it was given up, or the error that it ended with."""
        told: asyncio.Future[Rows | Exception] = asyncio.get_running_loop().create_future()
        self._aboard.append(told)
        return told

    def land(self, outcome: Rows | Exception) -> None:
        """Tell all aboard who have not left."""
        for told in self._aboard:
            if not told.done():
                told.set_result(outcome)


class CachingEmbedder:
    """An embedder in front of `inner`, which it owns and closes.

    Holds the least recently used rows out, in at most `bytes_max` bytes (0: shares, but keeps nothing).
    `hits` and `misses` count texts; one that another call is already computing is a hit.
    """

    def __init__(self, inner: Embedder, bytes_max: int) -> None:
        self.hits = 0
        self.misses = 0
        self._inner = inner
        self._rows_max = bytes_max // (inner.dimension * 4 + ENTRY_OVERHEAD_BYTES)
        self._rows: OrderedDict[bytes, NDArray[np.float32]] = OrderedDict()
        self._flights: dict[bytes, _Flight] = {}
        self._closed = False

    @property
    def name(self) -> str:
        return self._inner.name

    @property
    def dimension(self) -> int:
        return self._inner.dimension

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """float32 [len(texts), dimension], unit rows, in order; raises EmbedderError."""
        if self._closed:
            raise closed_error(self.name)
        if not texts:
            return np.zeros((0, self.dimension), np.float32)
        digests = [_digest(text) for text in texts]
        wanted = dict(zip(digests, texts, strict=True))
        found = self._cached(wanted)
        self.hits += len(texts)
        while not found.keys() >= wanted.keys():
            await self._find(wanted, found)
        return np.concatenate([found[digest] for digest in digests]).reshape(-1, self.dimension)

    async def aclose(self) -> None:
        self._closed = True
        self._rows.clear()
        await self._inner.aclose()  # and ends those who wait for it

    def _cached(self, wanted: Mapping[bytes, str]) -> Rows:
        found = {}
        for digest in wanted:
            row = self._rows.get(digest)
            if row is not None:
                self._rows.move_to_end(digest)
                found[digest] = row
        return found

    async def _find(self, wanted: Mapping[bytes, str], found: Rows) -> None:
        """Compute what nobody does, and wait for what others do; where one of them has left, that is not found yet."""
        later = LATER.get()
        own: dict[bytes, str] = {}
        others: dict[_Flight, asyncio.Future[Rows | Exception]] = {}
        for digest, text in wanted.items():
            flight = self._flights.get(digest)
            if digest in found:
                continue
            if flight is None or flight.later > later:
                own[digest] = text
            elif flight not in others:
                others[flight] = flight.board()
        self.hits -= len(own)
        self.misses += len(own)
        if own:
            found |= await self._fly(own, _Flight(later=later))
        for landed in others.values():
            outcome = await landed
            if isinstance(outcome, Exception):
                raise outcome
            found |= outcome

    async def _fly(self, own: Mapping[bytes, str], flight: _Flight) -> Rows:
        self._flights.update(dict.fromkeys(own, flight))
        try:
            rows = dict(zip(own, await self._inner.embed([*own.values()]), strict=True))
        except asyncio.CancelledError:
            self._land(own, flight, {})
            raise
        except Exception as error:
            self._land(own, flight, error)
            raise
        self._keep(rows)
        self._land(own, flight, rows)
        return rows

    def _land(self, own: Iterable[bytes], flight: _Flight, outcome: Rows | Exception) -> None:
        for digest in own:
            if self._flights.get(digest) is flight:
                del self._flights[digest]
        flight.land(outcome)

    def _keep(self, rows: Rows) -> None:
        if self._closed:
            return
        for digest, row in rows.items():
            self._rows[digest] = row.copy()  # a view would keep the whole batch alive, and bytes_max would not hold
        while len(self._rows) > self._rows_max:
            self._rows.popitem(last=False)


def _digest(text: str) -> bytes:
    # surrogatepass: any str has a digest, and different ones differ
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
