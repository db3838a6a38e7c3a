"""The learner: one bounded queue, one worker, the only one that writes.

`offer` never waits and never raises, so it can stand in a `finally` that a hang-up has cancelled. Conversations are
learned side by side, so that none waits for another: embedded at once, at a low priority, folded and written in spells
(spells.py). What is lost to a full queue or a broken store is counted; a client that resends its history brings it back
with the next request.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from embedders import EmbedderError, giving_way
from memory_core.codec import MismatchError, StateCorruptionError
from memory_core.stores import Store, StoreError
from proxy.backlog import Backlog
from proxy.errors import ProxyError
from proxy.exchange import Exchange, Receipt, Unwritten, Waiting
from proxy.forks import Fork
from proxy.line import Known, Line
from proxy.lineage import Lineage, extended
from proxy.metrics import Metrics
from proxy.remember import Remember
from proxy.row_writer import RowWriter
from proxy.runs import Runs
from proxy.spells import Spells

log = logging.getLogger(__name__)

LEARNING_ERRORS = (StoreError, StateCorruptionError, MismatchError, EmbedderError, ProxyError)

TOGETHER_MAX = 64
"""Exchanges that are under way at once."""

WAITING_TOKENS_MAX = 4_000_000
"""Of the transcripts that wait: some 16 MB of text."""

_KNOWN_MAX = 10_000


class Learner:
    """Run `run()` as a task; `drain()` at the end."""

    def __init__(self, remember: Remember, runs: Runs, store: Store, metrics: Metrics, *, queue_max: int) -> None:
        self._remember = remember
        self._runs = runs
        self._rows = RowWriter(store, metrics)
        self._metrics = metrics
        self._queue: Backlog[Waiting] = Backlog(queue_max, weight_max=WAITING_TOKENS_MAX, lingers=False)
        self._newest: dict[str, Waiting] = {}
        metrics.learner_queue.set_function(lambda: self._unlearned)
        self._known = Known(_KNOWN_MAX)
        self._lines: dict[str, Line] = {}
        self._under_way = 0
        self._freed = asyncio.Event()
        self._spells = Spells()
        self._hurries = False
        self._unlearned = 0
        self._is_full = False

    def offer(self, exchange: Exchange) -> "asyncio.Future[bool]":
        """Leave an exchange to be learned. The future tells whether it was, and its row written."""
        receipt = Receipt()
        row = Unwritten(exchange.conversation, exchange.row, exchange.tenant, receipt)
        self._rows.offer(row, urgent=exchange.is_urgent)
        self._offer_turns(exchange, receipt)
        return receipt.future

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
        await asyncio.gather(self._rows.run(), self._learn_on())

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

    async def _learn_on(self) -> None:
        """A step of each exchange that waits, those of one conversation one after the other; an unfinished one goes to
        the end of the queue. None waits for the others: a long import takes long on a machine that is busy.
        """
        tasks: set[asyncio.Task[None]] = set()
        try:
            while True:
                while self._is_crowded:
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
            self._lines[waiting.exchange.conversation] = Line(waiting)
            return True
        if line.add(waiting):
            self._unlearned -= 1
            self._free_one()
        if waiting.exchange.is_urgent or waiting.had_turn:
            self._spells.begin()
        else:
            self._spells.stir()
        return False

    @property
    def _is_crowded(self) -> bool:  # no more can begin before some are done: nobody is to wait for a spell
        return self._under_way >= TOGETHER_MAX

    def _free_one(self) -> None:
        self._under_way -= 1
        self._freed.set()
        self._queue.done(1)

    async def _one_after_the_other(self, conversation: str) -> None:
        """The exchanges of one conversation."""
        line, together = self._lines[conversation], True
        try:
            while line:
                if line.next is None or (self._is_crowded and not line.have_had_turn):
                    await self._turn(line)
                    together = True
                together = together and await self._log_forks(line)  # what failed once may fail for one of them
                if (waiting := line.next) is not None:
                    await self._learn_one(line, waiting)
        finally:  # cancelled, where any are left
            del self._lines[conversation]
            for waiting in line.clear():
                self._settle(waiting, False)
                self._free_one()

    async def _turn(self, line: Line) -> None:
        """Embed what the first one brings, and wait for a spell, once: a long import goes on with all of them. It is
        for all who are in line by then; who comes while it lasts waits for the next, or it would never end."""
        first = line.first
        if self._is_known(first):
            first.had_turn = True
        elif await self._read_ahead(first):
            if not (self._hurries or self._is_crowded or line.is_urgent):
                await self._spells.turn()
            line.give_turn()
        elif line.remove(first):
            self._settle(first, False)
            self._free_one()

    async def _log_forks(self, line: Line) -> bool:
        """All but the last at once, where that is possible; those that are left are learned one by one. False if it
        failed."""
        forks = [(each, each.whole) for each in line.outrun if each.whole is not None]
        forks = [(each, whole) for each, whole in forks if not whole.explicit and not self._is_known(each)]
        logged: list[Waiting] = []

        async def work() -> None:
            with giving_way():
                told = await self._remember.log([_fork(each, whole) for each, whole in forks])
            done = [fork for fork, is_logged in zip(forks, told, strict=True) if is_logged]
            await self._runs.note(*[whole for each, whole in done if each.exchange.answer])
            logged.extend(each for each, _ in done)

        if forks and not await self._guarded(work, "learn", "exchanges were not written together, but are one by one"):
            return False
        for waiting in logged:
            line.remove(waiting)
            self._known.add(waiting.whole)
            self._settle(waiting, True)
            self._free_one()
        return True

    async def _learn_one(self, line: Line, waiting: Waiting) -> None:
        line.remove(waiting)
        outcome: bool | None = False
        try:
            learned = await self._learn(waiting)
            if learned is None and len(self._queue) == 0:  # it goes on at once: nobody wants its place
                line.put_back(waiting)
                outcome = None
                return
            outcome = await self._again(waiting) if learned is None else learned
        finally:
            if outcome is not None:
                self._settle(waiting, outcome)
            if waiting not in line:
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
        self._metrics.learned.add("learned" if learned else "failed", by=len(waiting.told))
        for receipt in waiting.told:
            receipt.tell(learned)
        self._unlearned -= 1

    async def _learn(self, waiting: Waiting) -> bool | None:
        """One step: True if that was all, False if it failed, None if more is left."""
        outcome: bool | None = True

        async def learn() -> None:
            nonlocal outcome
            outcome = await self._step(waiting)

        if self._is_known(waiting):
            return True
        good = await self._read_ahead(waiting) and await self._guarded(learn, "learn")
        waiting.ahead = None
        return outcome if good else False

    def _is_known(self, waiting: Waiting) -> bool:
        """Nothing is to be learned: no transcript, or the same request again, and the same answer."""
        return waiting.whole is None or waiting.whole in self._known

    async def _step(self, waiting: Waiting) -> bool | None:
        whole, exchange = waiting.whole, waiting.exchange
        if whole is None or exchange.lineage is None:
            return True
        unlogged = waiting.ahead or frozenset()
        if not await self._remember.learn(exchange.lineage, exchange.answer, exchange.row.at, unlogged):
            return None
        if exchange.answer:
            await self._runs.note(whole)
        self._known.add(waiting.whole)
        return True

    async def _read_ahead(self, waiting: Waiting) -> bool:
        """The model's part, in its own time and with nothing locked: on a machine that is busy this may take long, and
        a request that asks this conversation must not wait for it."""

        async def ahead() -> None:
            if waiting.whole is not None and not waiting.exchange.is_urgent:
                with giving_way():
                    waiting.ahead = await self._remember.read_ahead(waiting.whole)

        return waiting.ahead is not None or await self._guarded(ahead, "read ahead")

    async def _guarded(
        self, work: Callable[[], Awaitable[None]], stage: str, sentence: str = "an exchange was not learned"
    ) -> bool:
        """Nothing that goes wrong ends the only writer."""
        try:
            with self._metrics.stage(stage):
                await work()
        except LEARNING_ERRORS as error:
            log.warning("%s: %s", sentence, type(error).__name__)
            return False
        except Exception:  # a bug: logged with its trace, never swallowed
            log.exception(sentence)
            return False
        return True


def _fork(waiting: Waiting, whole: Lineage) -> Fork:
    return Fork(whole, whole.length - len(waiting.exchange.answer), waiting.exchange.row.at)
