"""The learner: one bounded queue, one worker, the only one that writes.

`offer` never waits and never raises, so it can stand in a `finally` that a hang-up has cancelled. What is waiting is
taken together: the ledger's rows are one write, and conversations are learned side by side, so that their texts share
runs of the model. What is lost to a full queue or a broken store is counted; a client that resends its history brings
it back with the next request.
"""

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from embedders import LATER, EmbedderError
from memory_core.codec import MismatchError, StateCorruptionError
from memory_core.stores import LedgerEntry, Store, StoreError
from proxy.errors import ProxyError
from proxy.ledger import Row, encode_row, tallies
from proxy.lineage import Lineage, extended
from proxy.message import Message
from proxy.metrics import Metrics
from proxy.remember import Remember
from proxy.runs import Runs

log = logging.getLogger(__name__)

LEARNING_ERRORS = (StoreError, StateCorruptionError, MismatchError, EmbedderError, ProxyError)

TOGETHER_MAX = 64
"""Exchanges that are taken at once."""

LINGER_S = 0.05
"""So long others are waited for, to be taken together: a write costs as much for one row as for twenty. Nobody waits
with us: a thin client's exchange, whose end is held until it is learned, is taken at once."""

ROWS_MAX = 20_000
"""Rows of exchanges that found the queue full, some 500 bytes each; they are written all the same."""

_KNOWN_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Exchange:
    """What a request leaves behind: its transcript (None if only the row counts), the answer's turns, the ledger row.

    `tenant` (hexadecimal) is whose totals the row adds to.
    """

    conversation: str
    lineage: Lineage | None
    answer: tuple[Message, ...]
    row: Row
    tenant: str = ""

    @property
    def is_urgent(self) -> bool:
        """Someone waits until it is learned."""
        return self.lineage is not None and self.lineage.is_only_ours

    def entry(self) -> LedgerEntry:
        """Its row, for the store."""
        totals = tallies(self.row, self.conversation, self.tenant)
        return LedgerEntry(self.conversation, encode_row(self.row), self.row.at, totals)


@dataclass(slots=True)
class _Waiting:
    exchange: Exchange
    done: "asyncio.Future[bool]"
    recorded: bool | None = field(default=None)
    """Whether its row could be written; None before that was tried."""


class Learner:
    """Run `run()` as a task; `drain()` at the end."""

    def __init__(self, remember: Remember, runs: Runs, store: Store, metrics: Metrics, *, queue_max: int) -> None:
        self._remember = remember
        self._runs = runs
        self._store = store
        self._metrics = metrics
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue(queue_max)
        self._rows: deque[Exchange] = deque(maxlen=ROWS_MAX)
        self._known: OrderedDict[bytes, None] = OrderedDict()
        self._unlearned = 0
        self._is_full = False
        self._hurry = asyncio.Event()

    def offer(self, exchange: Exchange) -> "asyncio.Future[bool]":
        """Leave an exchange to be learned. The future tells whether it was."""
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        try:
            self._queue.put_nowait(_Waiting(exchange, done))
            self._unlearned += 1
            self._is_full = False
            if exchange.is_urgent:
                self._hurry.set()
        except asyncio.QueueFull:
            self._metrics.learned.labels("dropped").inc()
            if not self._is_full:  # once a spell: at a thousand requests a second the log would be the next to fill up
                log.warning("the learner's queue is full: exchanges are not learned now, /metrics counts them")
            self._is_full = True
            self._rows.append(exchange)
            done.set_result(False)
        self._metrics.learner_queue.set(self._queue.qsize())
        return done

    async def run(self) -> None:
        """Learn for ever, a step of each exchange that waits; an unfinished one goes to the end of the queue."""
        while True:
            taken = [await self._queue.get()]
            await self._linger()
            while len(taken) < TOGETHER_MAX and not self._queue.empty():
                taken.append(self._queue.get_nowait())
            try:
                await self._record(taken)
                await asyncio.gather(*map(self._one_after_the_other, _by_conversation(taken)))
            finally:
                for _ in taken:
                    self._queue.task_done()
                self._metrics.learner_queue.set(self._queue.qsize())

    async def _linger(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_S):
                await self._hurry.wait()
        self._hurry.clear()

    async def drain(self, timeout_s: float) -> int:
        """Wait until all that was offered is learned; returns how many were not in time."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._queue.join()
        except TimeoutError:
            log.warning("%d exchanges were not learned before the end", self._unlearned)
        return self._unlearned

    async def _one_after_the_other(self, taken: Sequence[_Waiting]) -> None:
        """The exchanges of one conversation."""
        LATER.set(not any(waiting.exchange.is_urgent for waiting in taken))  # of this task alone
        for waiting in taken:
            outcome: bool | None = False
            try:
                outcome = await self._learn(waiting)
                if outcome is None:
                    outcome = await self._again(waiting)
            finally:
                if outcome is not None:
                    self._settle(waiting.done, outcome)

    async def _again(self, waiting: _Waiting) -> bool | None:
        """Back into the queue; where it is full, go on with this one until a place is free or it is learned."""
        outcome: bool | None = None
        while outcome is None:
            try:
                self._queue.put_nowait(waiting)
            except asyncio.QueueFull:
                outcome = await self._learn(waiting)
            else:
                return None
        return outcome

    def _settle(self, done: "asyncio.Future[bool]", learned: bool) -> None:
        if not done.done():
            done.set_result(learned)
        self._unlearned -= 1

    async def _record(self, taken: Sequence[_Waiting]) -> None:
        """Their rows, and those that found the queue full, into the ledger: first, and whether they can be learned or
        not, for they were sent and paid."""
        new = [waiting for waiting in taken if waiting.recorded is None]
        left, self._rows = list(self._rows), deque(maxlen=ROWS_MAX)

        async def work() -> None:
            entries = [exchange.entry() for exchange in (*left, *(waiting.exchange for waiting in new))]
            await self._store.record(*entries)

        recorded = await self._guarded(work, "ledger")
        for waiting in new:
            waiting.recorded = recorded

    async def _learn(self, waiting: _Waiting) -> bool | None:
        """One step: True if that was all, False if it failed, None if more is left."""
        outcome: bool | None = False

        async def work() -> None:
            nonlocal outcome
            outcome = await self._step(waiting.exchange)

        if not await self._guarded(work, "learn") or (outcome and not waiting.recorded):
            self._metrics.learned.labels("failed").inc()
            return False
        if outcome:
            self._metrics.learned.labels("learned").inc()
        return outcome

    async def _step(self, exchange: Exchange) -> bool | None:
        lineage, answer = exchange.lineage, exchange.answer
        if lineage is None:
            return True
        whole = extended(lineage, *answer)
        end = whole.digests[-1] if whole.length else lineage.root
        if not lineage.explicit and end in self._known:  # the same request again, and the same answer
            return True
        if not await self._remember.learn(lineage, answer, exchange.row.at):
            return None
        if answer:
            await self._runs.note(whole)
        self._known[end] = None
        if len(self._known) > _KNOWN_MAX:
            self._known.popitem(last=False)
        return True

    async def _guarded(self, work: Callable[[], Awaitable[None]], stage: str) -> bool:
        """Nothing that goes wrong ends the only writer."""
        try:
            with self._metrics.stage(stage):
                await work()
        except LEARNING_ERRORS as error:
            log.warning("an exchange was not learned: %s", type(error).__name__)
            return False
        except Exception:  # a bug: logged with its trace, never swallowed
            log.exception("an exchange was not learned")
            return False
        return True


def _by_conversation(taken: Sequence[_Waiting]) -> list[list[_Waiting]]:
    groups: dict[str, list[_Waiting]] = {}
    for waiting in taken:
        groups.setdefault(waiting.exchange.conversation, []).append(waiting)
    return list(groups.values())
