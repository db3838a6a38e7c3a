"""No text is embedded twice: a bounded cache by digest, and shared computations.

A computation belongs to nobody who asked for it: it runs in a task of its own while anyone waits for it, so a
first caller who leaves does not take the others' vectors along. Only who is in a hurry does not board what was
begun by one who can wait (LATER): that may take long. Keys are digests; no text is kept.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from embedders import LATER, Embedder, EmbedderError, Vectors

# What an entry costs beside its numbers: key, array header, slot in the ordered dict. tracemalloc counted
# 236 bytes over 5,000 entries; the rest is for the dict just after it has grown.
ENTRY_OVERHEAD_BYTES = 320


@dataclass(slots=True, eq=False)
class _Flight:
    """One call of the inner embedder under way, for rows of these digests, and how many callers wait."""

    digests: list[bytes]
    task: asyncio.Task[Vectors]
    later: bool
    waiters: int = 0


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
            raise self._closed_error()
        if not texts:
            return np.zeros((0, self.dimension), np.float32)
        digests = [_digest(text) for text in texts]
        found = self._cached(digests)
        flights = self._join(digests, texts, found)
        if flights:
            found |= await self._landed(flights)
        return np.concatenate([found[digest] for digest in digests]).reshape(-1, self.dimension)

    async def aclose(self) -> None:
        self._closed = True
        tasks = {flight.task for flight in self._flights.values()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self._rows.clear()
        await self._inner.aclose()

    def _cached(self, digests: Sequence[bytes]) -> dict[bytes, NDArray[np.float32]]:
        found = {}
        for digest in digests:
            row = self._rows.get(digest)
            if row is not None:
                self._rows.move_to_end(digest)
                found[digest] = row
        return found

    def _join(
        self, digests: Sequence[bytes], texts: Sequence[str], found: dict[bytes, NDArray[np.float32]]
    ) -> list[_Flight]:
        """The flights that bring what was not found; one new flight takes all that no other does."""
        later = LATER.get()
        missing = {
            digest: text
            for digest, text in zip(digests, texts, strict=True)
            if digest not in found and not (digest in self._flights and self._flights[digest].later <= later)
        }
        self.misses += len(missing)
        self.hits += len(texts) - len(missing)
        if missing:
            self._take_off(missing, later)
        flights = {self._flights[digest] for digest in digests if digest not in found}
        for flight in flights:
            flight.waiters += 1
        return list(flights)

    def _take_off(self, missing: dict[bytes, str], later: bool) -> None:
        task = asyncio.get_running_loop().create_task(self._inner.embed(list(missing.values())))
        flight = _Flight(list(missing), task, later)
        for digest in missing:
            self._flights[digest] = flight
        task.add_done_callback(lambda _: self._land(flight))

    def _land(self, flight: _Flight) -> None:
        """Runs before any waiter wakes, as the first callback of the task."""
        self._forget(flight)
        if flight.task.cancelled() or flight.task.exception() is not None or self._closed:
            return
        for digest, row in zip(flight.digests, flight.task.result(), strict=True):
            # A copy: a view would keep the whole batch alive, and bytes_max would not hold.
            self._rows[digest] = row.copy()
        while len(self._rows) > self._rows_max:
            self._rows.popitem(last=False)

    async def _landed(self, flights: Sequence[_Flight]) -> dict[bytes, NDArray[np.float32]]:
        try:
            for flight in flights:
                await _ended(flight.task)
        finally:
            for flight in flights:
                flight.waiters -= 1
                if flight.waiters == 0 and not flight.task.done():
                    self._forget(flight)  # at once, so that nobody boards what is going down
                    flight.task.cancel()
        rows: dict[bytes, NDArray[np.float32]] = {}
        for flight in flights:
            if flight.task.cancelled():
                raise self._closed_error()
            rows.update(zip(flight.digests, flight.task.result(), strict=True))
        return rows

    def _forget(self, flight: _Flight) -> None:
        for digest in flight.digests:
            if self._flights.get(digest) is flight:
                del self._flights[digest]

    def _closed_error(self) -> EmbedderError:
        return EmbedderError(f"the embedder {self.name} was closed")


async def _ended(task: asyncio.Task[Vectors]) -> None:
    """Wait for a task that goes on if we are cancelled: `asyncio.wait`, without its sets."""
    if not task.done():
        waiter = asyncio.get_running_loop().create_future()
        task.add_done_callback(lambda _: None if waiter.done() else waiter.set_result(None))
        await waiter


def _digest(text: str) -> bytes:
    # surrogatepass: any str has a digest, and different ones differ
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
