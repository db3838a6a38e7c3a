"""How long an upstream is waited for: its first byte, each next piece, all of it.

One timer watches all the waits of an exchange: an asyncio.timeout for each would cost more than a piece itself.
"""

import asyncio
from dataclasses import dataclass
from math import inf
from typing import Any, Self

import httpx


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds: for a connection, for the first byte of an answer, for its next one, for all of it."""

    connect_s: float
    first_byte_s: float
    idle_s: float
    total_s: float = inf


async def ended(task: "asyncio.Future[Any]", *, within_s: float) -> None:
    """Wait for a task, so many seconds at most; it goes on if it is late or we are cancelled. `asyncio.wait` of one,
    without the sets and the frames of that: each request waits so."""
    loop = asyncio.get_running_loop()
    waiter = loop.create_future()

    def wake(_: object = None) -> None:
        if not waiter.done():
            waiter.set_result(None)

    late = loop.call_later(within_s, wake)
    task.add_done_callback(wake)
    try:
        await waiter
    finally:
        late.cancel()
        task.remove_done_callback(wake)


class Timer:
    """Of one exchange, which must end by `until` (the loop's time). To be stopped.

    It looks every `every_s`, no longer than any wait may last, whether one should have ended. While nothing is waited
    for, as when the client is slow to read, only the whole runs out.
    """

    def __init__(self, until: float, every_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._until = until
        self._every_s = every_s
        self._task: asyncio.Task[object] | None = None
        self._due = inf
        self._late = False
        self._handle = self._loop.call_at(min(self._loop.time() + every_s, until), self._look)

    def begin(self, seconds: float) -> bool:
        """This task waits from now on, for so many seconds at most; False if there is no time left for it."""
        now = self._loop.time()
        self._task = asyncio.current_task()
        self._due = min(now + seconds, self._until)
        return now < self._until

    def extend(self, seconds: float) -> None:
        """What is waited for may take so many seconds from now on."""
        self._due = min(self._loop.time() + seconds, self._until)

    def end(self) -> None:
        """What was waited for has come."""
        self._due = self._until

    def was_late(self) -> bool:
        """To be asked where the wait was cancelled: by this timer, and by nobody else."""
        return self._late and self._task is not None and self._task.uncancel() == 0

    def stop(self) -> None:
        """Look no more."""
        self._handle.cancel()

    def _look(self) -> None:
        now = self._loop.time()
        if self._task is not None and now >= self._due:
            self._late = True
            self._task.cancel()
        else:
            later = min(self._due, now + self._every_s)
            self._handle = self._loop.call_at(min(later, self._until) if now < self._until else later, self._look)


class Timed(httpx.AsyncByteStream):
    """A body whose next piece must come within `idle_s`; reading it raises httpx.ReadTimeout where it does not.

    To be closed; its own iterator, as in connection.py.
    """

    def __init__(self, stream: httpx.AsyncByteStream, idle_s: float, timer: Timer) -> None:
        self._stream = stream
        self._pieces = aiter(stream)
        self._idle_s = idle_s
        self._timer = timer

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if not self._timer.begin(self._idle_s):
            self._timer.stop()
            raise httpx.ReadTimeout("the answer takes too long")
        try:
            piece = await anext(self._pieces)
        except BaseException as error:  # its end, too
            self._timer.stop()
            if isinstance(error, asyncio.CancelledError) and self._timer.was_late():
                raise httpx.ReadTimeout("the answer stopped") from None
            raise
        self._timer.end()
        return piece

    @property
    def is_whole(self) -> bool:
        """All of it is here, and was read."""
        return bool(getattr(self._stream, "is_read", False))

    def was_late(self) -> bool:
        """To be asked where whoever reads it was cancelled: the whole took too long."""
        return self._timer.was_late()

    async def aclose(self) -> None:
        """Close the upstream's."""
        self._timer.stop()
        await self._stream.aclose()
