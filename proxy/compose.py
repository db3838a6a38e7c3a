"""From a chat request to the body that goes upstream: trace, count, plan, recollect, assemble.

Memory never breaks an answer: `compose` is the one guarded call. Whatever fails in it, or takes too long, the
client's bytes go upstream unchanged and the composition says why.
"""

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from typing import Any

from embedders import EmbedderError
from memory_core.stores import StoreError
from proxy import assemble
from proxy.claim import Claim
from proxy.lineage import Lineage, trace
from proxy.metrics import Metrics
from proxy.options import Options
from proxy.plan import Budget, Layout, plan
from proxy.recollection import Recollection
from proxy.remember import Remember
from proxy.tokens import MESSAGE_TOKENS, REPLY_TOKENS, TokenCounter
from proxy.wire import ChatRequest, with_messages

log = logging.getLogger(__name__)

PENDING_MAX = 256
"""Requests whose memory goes on catching up after they stopped waiting; past this new ones pass through at once."""


class CatchingUpError(Exception):
    """Memory is still reading this conversation."""


@dataclass(frozen=True, slots=True)
class Composition:
    """What goes upstream, and what is said of it. Token counts are 0 where memory failed before counting."""

    body: bytes
    mode: str = "passthrough"
    lineage: Lineage | None = None
    full_tokens: int = 0
    sent_tokens: int = 0
    epoch: int = 0
    phase: str = "initialization"
    error: str = ""
    recalled: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Count:
    """Tokens of each turn, and of all that is no turn (system messages, tools, the reply's opening)."""

    turns: list[int]
    other: int

    @property
    def full(self) -> int:
        """Of the whole history."""
        return sum(self.turns) + self.other


class Composer:
    """Everything about memory that a request meets. `mode` and `budget` are what clients may override."""

    def __init__(
        self,
        remember: Remember,
        claim: Claim,
        counter: TokenCounter,
        metrics: Metrics,
        *,
        mode: str,
        budget: Budget,
        block_placement: str,
        memory_timeout_s: float,
        compact_timeout_s: float,
    ) -> None:
        self._remember = remember
        self._claim = claim
        self._counter = counter
        self._metrics = metrics
        self._mode = mode
        self._budget = budget
        self._block_placement = block_placement
        self._memory_timeout_s = memory_timeout_s
        self._compact_timeout_s = compact_timeout_s
        self._pending: set[asyncio.Task[Any]] = set()
        self._behind: set[str] = set()
        self._logged: set[str] = set()

    async def compose(self, request: ChatRequest, options: Options) -> Composition:
        """The body to forward; never raises."""
        mode = self._mode if options.mode is None else options.mode
        timeout_s = self._compact_timeout_s if mode == "compact" else self._memory_timeout_s
        unchanged = Composition(request.body)
        try:
            tenant = await self._claim.tenant(options.credential)
            lineage = trace(request.messages, tenant, options.conversation)
            unchanged = replace(unchanged, lineage=lineage)
            self._hurry(mode, lineage)
            work = self._with_memory(request, options, mode, unchanged)
            return await self._patiently(work, lineage.conversation, timeout_s)
        except Exception as error:  # the guard of "memory never breaks an answer"
            reason = "timeout" if isinstance(error, TimeoutError) else type(error).__name__
            self._metrics.memory_errors.labels(reason).inc()
            self._log_once(reason, error)
            return replace(unchanged, error=reason)

    async def aclose(self) -> None:
        """End what still catches up."""
        for task in self._pending:
            task.cancel()
        await asyncio.gather(*self._pending, return_exceptions=True)

    def _hurry(self, mode: str, lineage: Lineage) -> None:
        """Raise CatchingUpError for an `auto` request of a conversation that another one waited for in vain."""
        if mode == "auto" and lineage.conversation in self._behind:
            raise CatchingUpError

    async def _patiently(
        self, work: Coroutine[Any, Any, Composition], conversation: str, timeout_s: float
    ) -> Composition:
        """Wait for `work` so long; then let it go on by itself, for what it has learned serves the next request."""
        if len(self._pending) >= PENDING_MAX:
            work.close()
            raise TimeoutError
        task = asyncio.create_task(work)
        self._pending.add(task)
        task.add_done_callback(self._finished)
        await asyncio.wait({task}, timeout=timeout_s)
        if not task.done():
            self._behind.add(conversation)
            task.add_done_callback(lambda _: self._behind.discard(conversation))
            raise TimeoutError
        return task.result()

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

    async def _with_memory(
        self, request: ChatRequest, options: Options, mode: str, unchanged: Composition
    ) -> Composition:
        assert unchanged.lineage is not None
        with self._metrics.stage("lineage"):
            lineage = await self._remember.resume(unchanged.lineage)
        with self._metrics.stage("count"):
            count = await self._count(request, lineage)
        budget = self._budget
        if options.context_tokens is not None:
            budget = replace(budget, context_tokens=options.context_tokens)
        layout = plan(mode, lineage.roles, count.turns, count.other, budget)
        whole = replace(
            unchanged,
            lineage=lineage,
            full_tokens=count.full,
            sent_tokens=count.full,
            phase=self._remember.phase(lineage.conversation),
        )
        if layout.is_compact:
            compact = await self._compact(request, whole, count, layout, budget)
            if compact.sent_tokens < whole.sent_tokens:
                return compact
        return await self._whole(request, whole)

    async def _count(self, request: ChatRequest, lineage: Lineage) -> Count:
        sent = await self._counter.messages(request.messages, request.model)
        turns = [head.tokens for head in lineage.stored] + [sent[place] for place in lineage.places]
        other = sum(tokens for tokens, message in zip(sent, request.messages, strict=True) if message.is_system)
        tools = request.fields.get("tools")
        if tools is not None:
            other += await self._counter.payload(tools, request.model)
        return Count(turns, other + REPLY_TOKENS)

    async def _whole(self, request: ChatRequest, whole: Composition) -> Composition:
        """All of the history: the client's own bytes, or what the log holds in front of a thin client's."""
        assert whole.lineage is not None
        if not whole.lineage.is_thin:
            return whole
        layout = Layout(0, whole.lineage.length - 1, 0)
        return replace(whole, body=await self._body(request, whole.lineage, layout, "", ""))

    async def _compact(
        self, request: ChatRequest, whole: Composition, count: Count, layout: Layout, budget: Budget
    ) -> Composition:
        assert whole.lineage is not None
        with self._metrics.stage("recall"):
            found = await self._remember.recollect(
                whole.lineage, cut=layout.cut, asked=layout.asked, with_block=budget.block_tokens > 0
            )
        with self._metrics.stage("assemble"):
            block, recall, added = self._render(found, layout, budget, request.model)
            body = await self._body(request, whole.lineage, layout, block, recall.text)
        return replace(
            whole,
            body=body,
            mode="compact",
            sent_tokens=sum(count.turns[layout.cut :]) + count.other + added,
            epoch=layout.epoch,
            phase=found.report.phase,
            recalled=tuple((quote.turn, quote.chunk) for quote in recall.quotes),
        )

    def _render(
        self, found: Recollection, layout: Layout, budget: Budget, model: str
    ) -> tuple[str, assemble.Rendered, int]:
        """Block, recall, and the tokens of both."""

        def count(text: str) -> int:
            return self._counter.text(text, model)

        block = assemble.render_block(found.block, layout.cut, budget.block_tokens - MESSAGE_TOKENS, count)
        block_tokens = count(block) + MESSAGE_TOKENS if block else 0
        left = budget.context_tokens - block_tokens
        recall = assemble.render_recall(found.quotes(left), left, count, found.sought)
        return block, recall, block_tokens + count(recall.text)

    async def _body(self, request: ChatRequest, lineage: Lineage, layout: Layout, block: str, recall: str) -> bytes:
        stored = await self._remember.stored_messages(lineage, layout.cut)
        forwarded = assemble.messages(
            request.messages,
            lineage.places,
            stored,
            layout,
            block=block,
            recall=recall,
            stored_turns=len(lineage.stored),
            block_placement=self._block_placement,
        )
        return with_messages(request, forwarded)
