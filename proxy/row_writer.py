"""Writes the ledger's rows, many together: whether their exchanges can be learned or not, they were paid."""

import asyncio
import logging

from memory_core.stores import Store, StoreError
from proxy.backlog import Backlog
from proxy.exchange import Unwritten
from proxy.metrics import Metrics

log = logging.getLogger(__name__)

ROWS_MAX = 4_096
"""Rows that wait to be written; the store is far behind when there are so many."""

ROWS_TOGETHER_MAX = 64
"""In one write. It takes as long for each of 512, but those hold the interpreter for 8 to 23 ms at a time."""


class RowWriter:
    """Run `run()` as a task. What is lost to a full queue or a broken store is counted, and its receipt says so."""

    def __init__(self, store: Store, metrics: Metrics) -> None:
        self._store = store
        self._metrics = metrics
        self._rows: Backlog[Unwritten] = Backlog(ROWS_MAX)
        metrics.ledger_queue.set_function(lambda: self._rows.undone)

    def offer(self, unwritten: Unwritten, *, urgent: bool) -> None:
        """Leave a row to be written; never waits, never raises."""
        try:
            self._rows.put(unwritten, urgent=urgent)
        except asyncio.QueueFull:
            self._metrics.learned.add("unrecorded")
            unwritten.receipt.tell(False)

    async def run(self) -> None:
        """For ever: the rows that wait, all in one write."""
        while True:
            taken = await self._rows.take(ROWS_TOGETHER_MAX)
            written = False
            try:
                written = await self._record(taken)
            finally:
                for unwritten in taken:
                    unwritten.receipt.tell(written)
                self._rows.done(len(taken))

    async def join(self) -> None:
        """Until all are written, or lost."""
        await self._rows.join()

    async def _record(self, taken: list[Unwritten]) -> bool:
        try:
            with self._metrics.stage("ledger"):
                await self._store.record(*(unwritten.entry() for unwritten in taken))
        except StoreError as error:
            log.warning("rows of the ledger were not written: %s", type(error).__name__)
        except Exception:  # a bug: logged with its trace, and the next rows are written
            log.exception("rows of the ledger were not written")
        else:
            return True
        self._metrics.learned.add("unrecorded", by=len(taken))
        return False
