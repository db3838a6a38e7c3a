"""A bounded queue whose worker takes what waits together, once nothing has come for a moment: work that costs as much
for one as for twenty is done for twenty. Who is in a hurry is not waited with."""

import asyncio
from contextlib import suppress
from math import inf
from typing import Generic, TypeVar

T = TypeVar("T")

LINGER_S = 0.05
GATHER_S = 0.25
"""At most, while something comes in each LINGER_S and fewer wait than can be taken."""


class Backlog(Generic[T]):
    """Of one event loop. At most so many wait, and no more than `weight_max` of them together, but for the first.

    Without `lingers` what waits is taken at once.
    """

    def __init__(self, most: int, *, weight_max: float = inf, lingers: bool = True) -> None:
        self._queue: asyncio.Queue[tuple[T, int]] = asyncio.Queue(most)
        self._weight_max = weight_max
        self._weight = 0
        self._lingers = lingers
        self._hurry = asyncio.Event()
        self.undone = 0
        """Those that wait, and those that were taken and are not done."""

    def __len__(self) -> int:
        return self._queue.qsize()

    def put(self, item: T, *, weight: int = 0, urgent: bool = False) -> None:
        """Raises asyncio.QueueFull."""
        if weight and self._weight and self._weight + weight > self._weight_max:
            raise asyncio.QueueFull
        self._queue.put_nowait((item, weight))
        self._weight += weight
        self.undone += 1
        if urgent:
            self._hurry.set()

    async def take(self, most: int) -> list[T]:
        """At least one, oldest first; call `done` for them."""
        taken = [await self._queue.get()]
        if self._lingers:
            await self._linger(most)
        self._hurry.clear()
        while len(taken) < most and not self._queue.empty():
            taken.append(self._queue.get_nowait())
        self._weight -= sum(weight for _, weight in taken)
        if not self._queue.empty():
            self._hurry.set()  # as many wait as can be taken: no reason to linger
        return [item for item, _ in taken]

    async def _linger(self, most: int) -> None:
        time = asyncio.get_running_loop().time
        until, waiting = time() + GATHER_S, -1
        while waiting < len(self) < most - 1 and time() < until:
            waiting = len(self)
            with suppress(TimeoutError):
                async with asyncio.timeout(LINGER_S):
                    await self._hurry.wait()
                    return

    def done(self, count: int) -> None:
        """So many that were taken need no more work."""
        self.undone -= count
        for _ in range(count):
            self._queue.task_done()

    async def join(self) -> None:
        """Until all is done."""
        await self._queue.join()
