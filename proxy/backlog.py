"""A bounded queue whose worker takes what waits together, a moment after its first: work that costs as much for one as
for twenty is done for twenty. Who is in a hurry is not waited with."""

import asyncio
from contextlib import suppress
from typing import Generic, TypeVar

T = TypeVar("T")

LINGER_S = 0.05


class Backlog(Generic[T]):
    """Of one event loop."""

    def __init__(self, most: int) -> None:
        self._queue: asyncio.Queue[T] = asyncio.Queue(most)
        self._hurry = asyncio.Event()

    def __len__(self) -> int:
        return self._queue.qsize()

    def put(self, item: T, *, urgent: bool = False) -> None:
        """Raises asyncio.QueueFull."""
        self._queue.put_nowait(item)
        if urgent:
            self._hurry.set()

    async def take(self, most: int) -> list[T]:
        """At least one, oldest first; call `done` for them."""
        taken = [await self._queue.get()]
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_S):
                await self._hurry.wait()
        self._hurry.clear()
        while len(taken) < most and not self._queue.empty():
            taken.append(self._queue.get_nowait())
        if not self._queue.empty():
            self._hurry.set()  # as many wait as can be taken: no reason to linger
        return taken

    def done(self, count: int) -> None:
        """So many that were taken need no more work."""
        for _ in range(count):
            self._queue.task_done()

    async def join(self) -> None:
        """Until all is done."""
        await self._queue.join()
