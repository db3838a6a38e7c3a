"""Work that can wait has its turn in spells. Where requests follow one another without a pause, each exchange that is
learned is in the way of the next request; learned together, many are in the way of a few."""

import asyncio

QUIET_S = 0.05
APART_S = 0.5
"""Of a conversation that goes on sooner the turns are folded by its request itself: a quarter of a millisecond each."""


class Spells:
    """Of one event loop."""

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[None]] = []
        self._until = 0.0
        self._timer: asyncio.TimerHandle | None = None

    async def turn(self) -> None:
        """Wait for the next spell: when no other has come for QUIET_S, and no longer than APART_S after the first."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            self._until = loop.time() + APART_S
        waiter: asyncio.Future[None] = loop.create_future()
        self._waiting.append(waiter)
        self.stir()
        await waiter

    def stir(self) -> None:
        """Something has come: it is not quiet yet."""
        if self._timer is not None:
            self._timer.cancel()
        if self._waiting:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(min(loop.time() + QUIET_S, self._until), self.begin)

    def begin(self) -> None:
        """A spell begins now, for all who wait for one."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)
