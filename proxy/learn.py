"""The learner: one bounded queue, one worker, the only one that writes.

`offer` never waits and never raises, so it can stand in a `finally` that a hang-up has cancelled. The ledger's rows are
written together. Conversations are learned side by side, so that none waits for another: embedded at once, at a low
priority, folded and written in spells (spells.py). What is lost to a full queue or a broken store is counted; a client
that resends its history brings it back with the next request.
"""

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Sequence

from embedders import LATER, EmbedderError
from memory_core.codec import MismatchError, StateCorruptionError
from memory_core.stores import Store, StoreError
from proxy.backlog import Backlog
from proxy.errors import ProxyError
from proxy.exchange import Exchange, Receipt, Unwritten, Waiting
from proxy.lineage import Lineage, extended
from proxy.metrics import Metrics
from proxy.remember import Remember
from proxy.runs import Runs
from proxy.spells import Spells

log = logging.getLogger(__name__)

LEARNING_ERRORS = (StoreError, StateCorruptionError, MismatchError, EmbedderError, ProxyError)

TOGETHER_MAX = 64
"""Exchanges that are under way at once."""

WAITING_TOKENS_MAX = 4_000_000
"""Of the transcripts that wait: some 16 MB of text."""

ROWS_MAX = 4_096
"""Rows that wait to be written; the store is far behind when there are so many."""

ROWS_TOGETHER_MAX = 64
"""In one write. It takes as long for each of 512, but those hold the interpreter for 8 to 23 ms at a time."""

_KNOWN_MAX = 10_000


class Learner:
    """Run `run()` as a task; `drain()` at the end."""

    def __init__(self, remember: Remember, runs: Runs, store: Store, metrics: Metrics, *, queue_max: int) -> None:
        self._remember = remember
        self._runs = runs
        self._store = store
        self._metrics = metrics
        self._queue: Backlog[Waiting] = Backlog(queue_max, weight_max=WAITING_TOKENS_MAX, lingers=False)
        self._newest: dict[str, Waiting] = {}
        self._rows: Backlog[Unwritten] = Backlog(ROWS_MAX)
        metrics.learner_queue.set_function(lambda: self._unlearned)
        metrics.ledger_queue.set_function(lambda: self._rows.undone)
        self._known: OrderedDict[bytes, None] = OrderedDict()
        self._lines: dict[str, deque[Waiting]] = {}
        self._under_way = 0
        self._freed = asyncio.Event()
        self._spells = Spells()
        self._hurries = False
        self._unlearned = 0
        self._is_full = False

    def offer(self, exchange: Exchange) -> "asyncio.Future[bool]":
        """Leave an exchange to be learned. The future tells whether it was, and its row written."""
        receipt = Receipt()
        self._offer_row(exchange, receipt)
        self._offer_turns(exchange, receipt)
        return receipt.future

    def _offer_row(self, exchange: Exchange, receipt: Receipt) -> None:
        try:
            unwritten = Unwritten(exchange.conversation, exchange.row, exchange.tenant, receipt)
            self._rows.put(unwritten, urgent=exchange.is_urgent)
        except asyncio.QueueFull:
            self._metrics.learned.add("unrecorded")
            receipt.tell(False)

    def _offer_turns(self, exchange: Exchange, receipt: Receipt) -> None:
        whole = None if exchange.lineage is None else extended(exchange.lineage, *exchange.answer)
        earlier = self._newest.get(exchange.conversation)
        if whole is not None and earlier is not None and earlier.goes_on_in(whole):
            earlier.exchange, earlier.whole = exchange, whole
            earlier.told.append(receipt)
            return
        waiting = Waiting(exchange, whole, [receipt])
        try:
            self._queue.put(waiting, weight=exchange.tokens, urgent=exchange.is_urgent)
            self._newest[exchange.conversation] = waiting
            self._unlearned += 1
            self._is_full = False
        except asyncio.QueueFull:
            self._metrics.learned.add("dropped")
            if not self._is_full:  # once a spell: at a thousand requests a second the log would be the next to fill up
                log.warning("the learner's queue is full: exchanges are not learned now, /metrics counts them")
            self._is_full = True
            receipt.tell(False)

    async def run(self) -> None:
        """Write rows and learn, for ever."""
        await asyncio.gather(self._record_on(), self._learn_on())

    async def drain(self, timeout_s: float) -> int:
        """Wait until all that was offered is learned and recorded; returns how many were not in time."""
        self._hurries = True
        self._spells.begin()
        try:
            async with asyncio.timeout(timeout_s):
                await self._rows.join()
                await self._queue.join()
        except TimeoutError:
            log.warning("%d exchanges were not learned before the end", self._unlearned)
        return self._unlearned

    async def _record_on(self) -> None:
        """The rows that wait, all in one write: whether their exchanges can be learned or not, they were paid."""
        while True:
            taken = await self._rows.take(ROWS_TOGETHER_MAX)
            written = False
            try:
                written = await self._record(taken)
            finally:
                for unwritten in taken:
                    unwritten.receipt.tell(written)
                self._rows.done(len(taken))

    async def _record(self, taken: Sequence[Unwritten]) -> bool:
        async def work() -> None:
            await self._store.record(*(unwritten.entry() for unwritten in taken))

        written = await self._guarded(work, "ledger")
        if not written:
            self._metrics.learned.add("unrecorded", by=len(taken))
        return written

    async def _learn_on(self) -> None:
        """A step of each exchange that waits, those of one conversation one after the other; an unfinished one goes to
        the end of the queue. None waits for the others: a long import takes long on a machine that is busy.
        """
        tasks: set[asyncio.Task[None]] = set()
        try:
            while True:
                while self._under_way >= TOGETHER_MAX:
                    self._spells.begin()
                    self._freed.clear()
                    await self._freed.wait()
                for waiting in await self._queue.take(TOGETHER_MAX - self._under_way):
                    conversation = waiting.exchange.conversation
                    if self._newest.get(conversation) is waiting:
                        del self._newest[conversation]
                    if self._line_up(waiting):
                        task = asyncio.create_task(self._one_after_the_other(conversation), name="learner-line")
                        tasks.add(task)
                        task.add_done_callback(tasks.discard)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _line_up(self, waiting: Waiting) -> bool:
        """Whether it is the first of its line; one that the next goes on from need not be learned by itself."""
        line = self._lines.get(waiting.exchange.conversation)
        self._under_way += 1
        if line is None:
            self._lines[waiting.exchange.conversation] = deque([waiting])
            return True
        if line and waiting.whole is not None and line[-1].goes_on_in(waiting.whole):
            waiting.told[:0] = line.pop().told
            self._unlearned -= 1
            self._free_one()
        line.append(waiting)
        if waiting.exchange.is_urgent:
            self._spells.begin()
        return False

    def _free_one(self) -> None:
        self._under_way -= 1
        self._freed.set()
        self._queue.done(1)

    async def _one_after_the_other(self, conversation: str) -> None:
        """The exchanges of one conversation; one wait for a spell is enough for all."""
        line = self._lines[conversation]
        try:
            while line:
                await self._learn_one(line.popleft())
                for waiting in line:
                    waiting.had_turn = True
        finally:
            del self._lines[conversation]

    async def _learn_one(self, waiting: Waiting) -> None:
        outcome: bool | None = False
        try:
            outcome = await self._learn(waiting)
            if outcome is None:
                outcome = await self._again(waiting)
        finally:
            if outcome is not None:
                self._settle(waiting, outcome)
            self._free_one()

    async def _again(self, waiting: Waiting) -> bool | None:
        """Back into the queue; where it is full, go on with this one until a place is free or it is learned."""
        outcome: bool | None = None
        while outcome is None:
            try:
                self._queue.put(waiting, weight=waiting.exchange.tokens)
            except asyncio.QueueFull:
                outcome = await self._learn(waiting)
            else:
                return None
        return outcome

    def _settle(self, waiting: Waiting, learned: bool) -> None:
        for receipt in waiting.told:
            receipt.tell(learned)
        self._unlearned -= 1

    async def _learn(self, waiting: Waiting) -> bool | None:
        """One step: True if that was all, False if it failed, None if more is left."""
        outcome: bool | None = True
        unlogged: frozenset[bytes] = frozenset()

        async def ahead() -> None:
            nonlocal unlogged
            unlogged = await self._read_ahead(waiting)

        async def learn() -> None:
            nonlocal outcome
            outcome = await self._step(waiting, unlogged)

        if not self._is_known(waiting):
            good = await self._guarded(ahead, "read ahead")
            if good and not waiting.exchange.is_urgent:
                await self._turn(waiting)
            if not (good and await self._guarded(learn, "learn")):
                self._metrics.learned.add("failed", by=len(waiting.told))
                return False
        if outcome:
            self._metrics.learned.add("learned", by=len(waiting.told))
        return outcome

    def _is_known(self, waiting: Waiting) -> bool:
        """Nothing is to be learned: no transcript, or the same request again, and the same answer."""
        whole = waiting.whole
        return whole is None or (not whole.explicit and _end(whole) in self._known)

    async def _turn(self, waiting: Waiting) -> None:
        """Wait for a spell, once: a long import goes on with all of them."""
        if not (waiting.had_turn or self._hurries or self._under_way >= TOGETHER_MAX):
            await self._spells.turn()
        waiting.had_turn = True

    async def _step(self, waiting: Waiting, unlogged: frozenset[bytes]) -> bool | None:
        whole, exchange = waiting.whole, waiting.exchange
        if whole is None or exchange.lineage is None:
            return True
        is_newest = whole.explicit or not self._lines.get(exchange.conversation)
        said = exchange.lineage, exchange.answer, exchange.row.at, unlogged
        if (is_newest or not await self._remember.log(*said)) and not await self._remember.learn(*said):
            return None
        if exchange.answer:
            await self._runs.note(whole)
        self._known[_end(whole)] = None
        if len(self._known) > _KNOWN_MAX:
            self._known.popitem(last=False)
        return True

    async def _read_ahead(self, waiting: Waiting) -> frozenset[bytes]:
        """The model's part, in its own time and with nothing locked: on a machine that is busy this may take long, and
        a request that asks this conversation must not wait for it."""
        if waiting.whole is None or waiting.exchange.is_urgent:
            return frozenset()
        later = LATER.set(True)
        try:
            return await self._remember.read_ahead(waiting.whole)
        finally:
            LATER.reset(later)

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


def _end(whole: Lineage) -> bytes:
    return whole.digests[-1] if whole.length else whole.root
