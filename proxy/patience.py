"""How long an upstream is waited for: its first byte, each next piece, all of it.

One timer watches all the waits of an exchange: an asyncio.timeout for each would cost more than a piece itself.
"""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from math import inf
from typing import Self, TypeVar

import httpx

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds: for a connection, for the first byte of an answer, for its next one, for all of it."""

    connect_s: float
    first_byte_s: float
    idle_s: float
    total_s: float = inf


class Timer:
    """Of one exchange, which must end by `until` (the loop's time). To be stopped.

    It looks every `every_s`, no longer than any wait may last, whether one should have ended. While nothing is waited
    for, as when the client is slow to read, nothing runs out.
    """

    def __init__(self, until: float, every_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._until = until
        self._every_s = every_s
        self._task: asyncio.Task[object] | None = None
        self._due = inf
        self._late = False
        self._handle = self._loop.call_at(min(self._loop.time() + every_s, until), self._look)

    async def wait(self, coming: Awaitable[T], seconds: float) -> T:
        """What comes within so many seconds; raises TimeoutError."""
        self._task = asyncio.current_task()
        self._due = min(self._loop.time() + seconds, self._until)
        try:
            return await coming
        except asyncio.CancelledError:
            if not self._late or self._task is None or self._task.uncancel() > 0:  # it was someone else
                raise
            raise TimeoutError from None
        finally:
            self._due = inf

    @property
    def is_over(self) -> bool:
        """There is no time left for another wait."""
        return self._loop.time() >= self._until

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

    To be closed; its own iterator, as in transport.py.
    """

    def __init__(self, stream: httpx.AsyncByteStream, idle_s: float, timer: Timer) -> None:
        self._stream = stream
        self._pieces = aiter(stream)
        self._idle_s = idle_s
        self._timer = timer

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._timer.is_over:
            self._timer.stop()
            raise httpx.ReadTimeout("the answer takes too long")
        try:
            return await self._timer.wait(anext(self._pieces), self._idle_s)
        except TimeoutError:
            self._timer.stop()
            raise httpx.ReadTimeout("the answer stopped") from None
        except BaseException:  # its end, too
            self._timer.stop()
            raise

    async def aclose(self) -> None:
        """Close the upstream's."""
        self._timer.stop()
        await self._stream.aclose()
