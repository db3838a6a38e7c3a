"""Work on the event loop in pieces, so that what streams beside it goes on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext

PIECE_TURNS = 4
"""A piece holds the event loop for no more than these, a millisecond or two."""

Pace = asyncio.Lock
"""Shared by those who can wait: whatever their number, one of them has a piece in each turn of the loop. Sixty-four
conversations that are learned together would else be folded in a row, 100 ms in which no stream is relayed."""


@asynccontextmanager
async def piece(pace: Pace | None = None) -> AsyncIterator[None]:
    """Do a piece of work, then let others go on; without a pace, one does not wait for others' pieces."""
    async with nullcontext() if pace is None else pace:
        yield
        await asyncio.sleep(0)  # still held: else the next one would have its piece in this turn of the loop
