"""The learner: one bounded queue, one worker, the only one that writes.

`offer` never waits and never raises, so it can stand in a `finally` that a hang-up has cancelled. What is lost to a
full queue or a broken store is counted; a client that resends its history brings it back with the next request.
"""

import asyncio
import logging
from dataclasses import dataclass

from embedders import EmbedderError
from memory_core.codec import MismatchError, StateCorruptionError
from memory_core.stores import Store, StoreError
from proxy.errors import ProxyError
from proxy.ledger import Row, encode_row, tallies
from proxy.lineage import Lineage, extended
from proxy.metrics import Metrics
from proxy.remember import Remember
from proxy.runs import Runs
from proxy.wire import Message

log = logging.getLogger(__name__)

LEARNING_ERRORS = (StoreError, StateCorruptionError, MismatchError, EmbedderError, ProxyError)


@dataclass(frozen=True, slots=True)
class Exchange:
    """What a request leaves behind: its transcript (None if only the row counts), the answer, the ledger row.

    `tenant` (hexadecimal) is whose totals the row adds to.
    """

    conversation: str
    lineage: Lineage | None
    answer: Message | None
    row: Row
    tenant: str = ""


class Learner:
    """Run `run()` as a task; `drain()` at the end."""

    def __init__(self, remember: Remember, runs: Runs, store: Store, metrics: Metrics, *, queue_max: int) -> None:
        self._remember = remember
        self._runs = runs
        self._store = store
        self._metrics = metrics
        self._queue: asyncio.Queue[tuple[Exchange, asyncio.Future[bool]]] = asyncio.Queue(queue_max)
        self._unlearned = 0

    def offer(self, exchange: Exchange) -> asyncio.Future[bool]:
        """Leave an exchange to be learned. The future tells whether it was."""
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        try:
            self._queue.put_nowait((exchange, done))
            self._unlearned += 1
        except asyncio.QueueFull:
            self._metrics.learned.labels("dropped").inc()
            log.warning("the learner's queue is full: one exchange is not learned now")
            done.set_result(False)
        self._metrics.learner_queue.set(self._queue.qsize())
        return done

    async def run(self) -> None:
        """Learn for ever, one step of one exchange after the other; an unfinished one goes to the end of the queue."""
        while True:
            exchange, done = await self._queue.get()
            outcome: bool | None = False
            try:
                outcome = await self._learn(exchange)
                if outcome is None:
                    outcome = await self._again(exchange, done)
            finally:
                if outcome is not None:
                    self._settle(done, outcome)
                self._queue.task_done()
                self._metrics.learner_queue.set(self._queue.qsize())

    async def _again(self, exchange: Exchange, done: asyncio.Future[bool]) -> bool | None:
        """Back into the queue; where it is full, go on with this one until a place is free or it is learned."""
        outcome: bool | None = None
        while outcome is None:
            try:
                self._queue.put_nowait((exchange, done))
            except asyncio.QueueFull:
                outcome = await self._learn(exchange)
            else:
                return None
        return outcome

    def _settle(self, done: asyncio.Future[bool], learned: bool) -> None:
        if not done.done():
            done.set_result(learned)
        self._unlearned -= 1

    async def drain(self, timeout_s: float) -> int:
        """Wait until all that was offered is learned; returns how many were not in time."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._queue.join()
        except TimeoutError:
            log.warning("%d exchanges were not learned before the end", self._unlearned)
        return self._unlearned

    async def _record(self, exchange: Exchange) -> None:
        row = exchange.row
        totals = tallies(row, exchange.conversation, exchange.tenant)
        await self._store.record(exchange.conversation, encode_row(row), row.at, totals)

    async def _learn(self, exchange: Exchange) -> bool | None:
        """One step: True if that was all, False if it failed, None if more is left."""
        try:
            with self._metrics.stage("learn"):
                lineage, at = exchange.lineage, exchange.row.at
                if lineage is not None:
                    if not await self._remember.learn(lineage, exchange.answer, at):
                        return None
                    if exchange.answer is not None:
                        await self._runs.note(extended(lineage, exchange.answer))
                await self._record(exchange)
        except LEARNING_ERRORS as error:
            self._metrics.learned.labels("failed").inc()
            log.warning("an exchange was not learned: %s", type(error).__name__)
            return False
        except Exception:  # a bug must not end the only writer; it is logged with its trace, never swallowed
            self._metrics.learned.labels("failed").inc()
            log.exception("an exchange was not learned")
            return False
        self._metrics.learned.labels("learned").inc()
        return True
