"""From a chat request to the body that goes upstream: locate, count, draft; guarded.

Memory never breaks an answer: `compose` is the one guarded call. Whatever fails in it, or takes too long, the
client's bytes go upstream unchanged and the composition says why.
"""

import asyncio
import logging
from dataclasses import dataclass
from math import inf
from typing import Any

import msgspec
from msgspec.structs import replace

from config.prices import Price
from embedders import EmbedderError
from memory_core.stores import StoreError
from proxy.accounts import Prompts
from proxy.claim import Claim
from proxy.draft import Case, Draft, Drafter
from proxy.identity import identity_of
from proxy.lineage import Lineage, trace
from proxy.meter import Meter
from proxy.metrics import Metrics
from proxy.options import Options
from proxy.patience import ended
from proxy.plan import Budget, Layout
from proxy.remember import Remember
from proxy.runs import RUN_TURNS, Runs
from proxy.sampling import Shares
from proxy.wire import ChatRequest, with_messages

log = logging.getLogger(__name__)

PENDING_MAX = 256
"""Requests whose memory goes on catching up after they stopped waiting; past this new ones pass through at once."""

OWN_MAX = 20_000
"""Conversations that are known to be no window on another one."""


class CatchingUpError(Exception):
    """Memory is still reading this conversation."""


class Composition(msgspec.Struct, frozen=True):
    """What goes upstream, and what is said of it. Token counts are 0 where memory failed before counting.

    `share` as in sampling.py, `planned` is the compact prompt that did not go; `prompts` and `price` are for the bill.
    """

    body: bytes
    mode: str = "passthrough"
    lineage: Lineage | None = None
    tenant: str = ""
    full_tokens: int = 0
    sent_tokens: int = 0
    phase: str = "initialization"
    error: str = ""
    share: str = ""
    draft: Draft | None = None
    planned: Draft | None = None
    prompts: Prompts | None = None
    price: Price | None = None

    @property
    def epoch(self) -> int:
        """Counted from 1; 0 is passthrough."""
        return self.draft.epoch.number if self.draft else 0


@dataclass(slots=True)
class Work:
    """Memory at work on a request: waited for `until` (the loop's time), `unchanged` goes where it fails or is late.

    `leaves`: the body is sure to go as it came, whatever memory says, and need not wait for it. No task: too many are
    under way.
    """

    unchanged: Composition
    until: float
    leaves: bool
    task: "asyncio.Task[Composition] | None" = None


class Composer:
    """Everything about memory that a request meets. `mode`, `budget` and its share for a block are what clients may
    override."""

    def __init__(
        self,
        remember: Remember,
        runs: Runs,
        claim: Claim,
        meter: Meter,
        drafter: Drafter,
        metrics: Metrics,
        *,
        mode: str,
        budget: Budget,
        block_share: float,
        shares: Shares,
        memory_timeout_s: float,
        compact_timeout_s: float,
    ) -> None:
        self._remember = remember
        self._runs = runs
        self._claim = claim
        self._meter = meter
        self._drafter = drafter
        self._metrics = metrics
        self._mode = mode
        self._budget = budget
        self._block_share = block_share
        self._shares = shares
        self._memory_timeout_s = memory_timeout_s
        self._compact_timeout_s = compact_timeout_s
        self._pending: set[asyncio.Task[Any]] = set()
        self._behind: set[str] = set()
        self._own: dict[str, None] = {}
        self._logged: set[str] = set()

    async def compose(self, request: ChatRequest, options: Options, at: float) -> Composition:
        """The body to forward; `at` in unix seconds. Never raises."""
        return await self.finish(self.begin(request, options, at))

    def begin(self, request: ChatRequest, options: Options, at: float) -> Work:
        """Memory goes to work on a request, which need not wait: `finish` gives what comes of it."""
        mode = self._mode if options.mode is None else options.mode
        timeout_s = self._compact_timeout_s if mode == "compact" else self._memory_timeout_s
        loop = asyncio.get_running_loop()
        work = Work(Composition(request.body), loop.time() + timeout_s, self._leaves(request, options, mode))
        if len(self._pending) < PENDING_MAX:
            work.task = loop.create_task(self._composed(work, request, options, mode, at))
            self._pending.add(work.task)
            work.task.add_done_callback(self._finished)
        return work

    async def finish(self, work: Work, *, within_s: float = inf) -> Composition:
        """The body to forward. Never raises; what takes too long goes on by itself, for the next request's sake."""
        try:
            return await self._in_time(work, within_s)
        except Exception as error:  # the guard of "memory never breaks an answer"
            reason = "timeout" if isinstance(error, TimeoutError) else type(error).__name__
            self._metrics.memory_errors.add(reason)
            self._log_once(reason, error)
            return replace(work.unchanged, error=reason)

    def _leaves(self, request: ChatRequest, options: Options, mode: str) -> bool:
        """A transcript of no more bytes than a window has tokens is never cut."""
        is_short = options.context_tokens is None and len(request.body) <= self._budget.window_tokens
        return not options.conversation and (mode == "passthrough" or (mode == "auto" and is_short))

    async def aclose(self) -> None:
        """End what still catches up."""
        for task in self._pending:
            task.cancel()
        await asyncio.gather(*self._pending, return_exceptions=True)

    def _hurry(self, mode: str, lineage: Lineage) -> None:
        """Raise CatchingUpError for an `auto` request of a conversation that another one waited for in vain."""
        if mode == "auto" and lineage.conversation in self._behind:
            raise CatchingUpError

    async def _in_time(self, work: Work, within_s: float) -> Composition:
        task = work.task
        if task is not None and not task.done():
            left = min(work.until - asyncio.get_running_loop().time(), within_s)
            await ended(task, within_s=max(0.0, left))
        if task is not None and task.done():
            return task.result()
        if task is not None and work.unchanged.lineage is not None:
            conversation = work.unchanged.lineage.conversation
            self._behind.add(conversation)
            task.add_done_callback(lambda _: self._behind.discard(conversation))
        raise TimeoutError

    def _log_once(self, reason: str, error: Exception) -> None:
        """The first of a kind is logged with its trace, unless it is a known one; /metrics counts them all."""
        if reason in self._logged:
            return
        self._logged.add(reason)
        known = isinstance(error, TimeoutError | CatchingUpError | StoreError | EmbedderError)
        log.warning("memory stood aside (%s); later ones are only counted", reason, exc_info=None if known else error)

    def _finished(self, task: asyncio.Task[Composition]) -> None:
        self._pending.discard(task)
        if not task.cancelled():
            task.exception()

    async def _composed(self, work: Work, request: ChatRequest, options: Options, mode: str, at: float) -> Composition:
        tenant = await self._claim.tenant(options.credential)
        with self._metrics.stage("trace"):
            history, identity = request.history, identity_of(options.conversation, request.fields)
            traced = trace(history.messages, tenant, identity, history.before, history.same)
            history.traced = traced
        work.unchanged = Composition(request.body, lineage=traced, tenant=tenant.hex())
        self._hurry(mode, traced)
        with self._metrics.stage("lineage"):
            lineage = await self._located(traced)
        with self._metrics.stage("count"):
            measured = await self._meter.measure(request, lineage)
        price = self._drafter.price(request)
        case = Case(request, lineage, measured, mode, price, self._budget_of(options), at)
        share = self._shares.of(lineage.conversation) if options.mode is None else ""
        full, tokens = case.full, measured.full
        whole = Composition(
            request.body,
            lineage=lineage,
            tenant=work.unchanged.tenant,
            full_tokens=tokens,
            sent_tokens=tokens,
            phase=self._remember.phase(lineage.conversation),
            share=share,
            prompts=Prompts(full, full),
            price=price,
        )
        draft = None if mode == "passthrough" or share == "holdout" else await self._drafter.draft(case)
        if draft is None or share == "shadow":
            return await self._whole(case, whole, draft)
        return _compact(whole, case, draft)

    async def _located(self, lineage: Lineage) -> Lineage:
        """The lineage with what is stored before it: by its id, or by the run that a window of it repeats."""
        if lineage.explicit:
            return await self._remember.resume(lineage)
        if lineage.length <= RUN_TURNS or lineage.conversation in self._own:
            return lineage
        if await self._remember.knows(lineage.conversation):
            self._keep_own(lineage.conversation)
            return lineage
        run = await self._runs.find(lineage)
        if run is None or run.conversation == lineage.conversation:
            self._keep_own(lineage.conversation)
            return lineage
        found = await self._remember.attach(lineage, run.conversation, run.end, at_least=RUN_TURNS)
        return lineage if found is None else found

    def _keep_own(self, conversation: str) -> None:
        """No window on another one: that need not be looked up again while the learner is behind."""
        self._own[conversation] = None
        if len(self._own) > OWN_MAX:
            self._own.pop(next(iter(self._own)))

    def _budget_of(self, options: Options) -> Budget:
        if options.context_tokens is None:
            return self._budget
        return self._budget.asked(options.context_tokens, self._block_share)

    async def _whole(self, case: Case, whole: Composition, planned: Draft | None) -> Composition:
        """All of the history: the client's own bytes, or what the log holds in front of a thin client's."""
        if whole.prompts is not None and planned is not None:
            prompts = replace(whole.prompts, planned=planned.outline)
            whole = replace(whole, planned=planned, prompts=prompts)
        elif whole.share == "shadow" and whole.prompts is not None:
            whole = replace(whole, prompts=replace(whole.prompts, planned=whole.prompts.full))
        if not case.lineage.is_thin:
            return whole
        layout = Layout(0, case.measured.asked)
        forwarded = await self._drafter.messages(case.request, case.lineage, layout)
        return replace(whole, body=with_messages(case.request, forwarded))


def _compact(whole: Composition, case: Case, draft: Draft) -> Composition:
    return replace(
        whole,
        body=draft.body,
        mode="compact",
        sent_tokens=draft.sent_tokens,
        phase=draft.phase,
        draft=draft,
        prompts=Prompts(draft.outline, case.full),
    )
