"""The compact prompt of a request, if there is to be one: how the conversation stands, plan, recollect, assemble."""

from collections.abc import Callable

import msgspec

from config.prices import Price
from memory_core.stores import StoreError
from memory_core.transcript import digest_of
from proxy import assemble, grammar, responses
from proxy.epochs import Epoch, Epochs, lane_of
from proxy.lineage import Lineage
from proxy.meter import Measured
from proxy.metrics import Metrics
from proxy.plan import Budget, Layout, Standing, plan, uncached
from proxy.prefix_cache import Outline, Part
from proxy.recent import MOVING_AFTER, Key, Recent, Sent
from proxy.recent import Layout as Sending
from proxy.recollection import Question, Recollection
from proxy.remember import Remember
from proxy.tokens import MESSAGE_TOKENS, TokenCounter
from proxy.wire import ChatRequest, with_messages

_BREAKPOINT = b'"cache_control"'

PASSTHROUGH = Epoch(0, 0, "", 0, "", 0)


class GrammarError(Exception):
    """What we assembled is no list of messages that an upstream would take."""


class Draft(msgspec.Struct, frozen=True):
    """A compact prompt: the body, its outline, and what is said of it."""

    body: bytes
    outline: Outline
    sent_tokens: int
    epoch: Epoch
    why: str
    phase: str
    recalled: tuple[tuple[int, int], ...]


class Case(msgspec.Struct, frozen=True):
    """A request, where it stands, and on which terms: all that drafting it needs. `at` is in unix seconds."""

    request: ChatRequest
    lineage: Lineage
    measured: Measured
    mode: str
    price: Price
    budget: Budget
    at: float

    @property
    def full(self) -> Outline:
        """The prompt as the client means it."""
        measured = self.measured
        return Outline(
            measured.head,
            self.lineage.digests,
            measured.begins,
            measured.seen_from,
            measured.asked,
            measured.length,
        )


class Drafter:
    """`prices` gives a model's row; `block_placement` as in assemble.py."""

    def __init__(
        self,
        remember: Remember,
        epochs: Epochs,
        recent: Recent,
        prices: Callable[[str], Price],
        counter: TokenCounter,
        metrics: Metrics,
        *,
        block_placement: str,
    ) -> None:
        self._remember = remember
        self._epochs = epochs
        self._recent = recent
        self._prices = prices
        self._counter = counter
        self._metrics = metrics
        self._block_placement = block_placement

    def price(self, request: ChatRequest) -> Price:
        """The row that holds for a request."""
        price = self._prices(request.model)
        return uncached(price) if price.needs_breakpoints and _BREAKPOINT not in request.body else price

    async def draft(self, case: Case) -> Draft | None:
        """The compact prompt; None if the client's own is to go."""
        key = Key(case.lineage.conversation, case.request.model)
        if not _may_cut(case):
            self._noted(case, key)
            self._recent.used(key, Sending(0, b"", case.at))
            return None
        lane = lane_of(case.request.model, case.budget.context_tokens, self._block_placement)
        with self._metrics.stage("stand"):
            standing, epoch = await self._standing(case, key, lane)
        question = None
        if epoch.number:
            question = await self._question(case, case.measured.asked)
            if question.report.topic_switch > 0:
                standing = msgspec.structs.replace(standing, has_switched=True)
        with self._metrics.stage("plan"):
            layout = plan(case.mode, case.measured, standing, case.price, case.budget)
        cut = layout.cut if layout.is_compact else 0
        self._recent.used(key, Sending(cut, _boundary(case.lineage, cut), case.at))
        if not layout.is_compact:
            return None
        if question is None:
            question = await self._question(case, layout.asked)
        with self._metrics.stage("recall"):
            found = await self._recollect(case, layout, question)
            if layout.why:
                epoch = await self._begin(case, lane, self._begun(case, layout, found))
        with self._metrics.stage("assemble"):
            drafted = await self._assembled(case, layout, epoch, found)
        return drafted if drafted.sent_tokens < case.measured.full else None

    async def _question(self, case: Case, place: int) -> Question:
        with self._metrics.stage("embed"):
            asked = await self._remember.embed(case.lineage, place)
        with self._metrics.stage("question"):
            return await self._remember.question(case.lineage, asked)

    async def _standing(self, case: Case, key: Key, lane: bytes) -> tuple[Standing, Epoch]:
        """How the conversation stands, and the epoch in force."""
        found = await self._epochs.in_force(case.lineage, case.measured.asked, lane)
        epoch = found if found is not None else PASSTHROUGH
        idle = max(0.0, case.at - epoch.at)  # another replica may have begun it just now
        if idle > case.price.ttl_s:
            boundary = _boundary(case.lineage, epoch.cut)
            idle = await self._recent.idle_s(key, epoch.cut, boundary, case.at, case.price.ttl_s)
        sent = self._noted(case, key)
        standing = Standing(
            cut=epoch.cut,
            number=epoch.number,
            block_tokens=epoch.block_tokens,
            is_cold=idle > case.price.ttl_s or sent.heads > 0,
            is_moving=sent.fronts >= MOVING_AFTER,
            is_edited=sent.latest_cut > epoch.cut,
        )
        return standing, epoch

    def _noted(self, case: Case, key: Key) -> Sent:
        """How the request begins, and what it continues."""
        lineage, measured = case.lineage, case.measured
        head = digest_of(*[part.digest for part in measured.head]) if measured.head else b""
        first = lineage.digests[measured.seen_from] if measured.length > measured.seen_from else b""
        return self._recent.noted(key, head, head + first)

    async def _begin(self, case: Case, lane: bytes, epoch: Epoch) -> Epoch:
        """The epoch that stands; where it cannot be written, this one for this request if compact was asked for, since
        an unchanged prompt may not fit the model."""
        try:
            return await self._epochs.begin(case.lineage, lane, epoch)
        except StoreError:
            if case.mode != "compact":
                raise
            return epoch

    async def _recollect(self, case: Case, layout: Layout, question: Question) -> Recollection:
        with_block = bool(layout.why) and case.budget.block_tokens > 0
        tokens = min(case.budget.recall_tokens_max, case.budget.context_tokens)
        return await self._remember.recollect(
            case.lineage, question, cut=layout.cut, tokens=tokens, with_block=with_block
        )

    def _begun(self, case: Case, layout: Layout, found: Recollection) -> Epoch:
        """The epoch that begins with this request."""
        most = case.budget.block_tokens - MESSAGE_TOKENS
        count = self._counter.texts(case.request.model)
        block = assemble.render_block(found.block, layout.cut, most, count)
        tokens = count(block) + MESSAGE_TOKENS if block else 0
        return Epoch(layout.epoch, layout.cut, block, tokens, layout.why, case.measured.length, case.at)

    async def _assembled(self, case: Case, layout: Layout, epoch: Epoch, found: Recollection) -> Draft:
        left = min(case.budget.context_tokens - epoch.block_tokens, case.budget.recall_tokens_max)
        count = self._counter.texts(case.request.model)
        recall = assemble.render_recall(found.quotes(left), left, count, found.sought)
        measured = case.measured
        outline = msgspec.structs.replace(
            case.full,
            head=(*measured.head, Part(digest_of(epoch.block.encode()), epoch.block_tokens)),
            first=layout.cut,
            recall=Part(digest_of(recall.text.encode("utf-8", "surrogatepass")), recall.tokens),
        )
        return Draft(
            await self._body(case, layout, epoch.block, recall.text),
            outline,
            measured.between(layout.cut, measured.length) + measured.other + epoch.block_tokens + recall.tokens,
            epoch,
            layout.why,
            found.report.phase,
            tuple((quote.turn, quote.chunk) for quote in recall.quotes),
        )

    async def _body(self, case: Case, layout: Layout, block: str, recall: str) -> bytes:
        forwarded = await self.messages(case.request, case.lineage, layout, block, recall)
        fault_of = grammar.fault if case.request.field == "messages" else responses.fault
        fault = fault_of(forwarded)
        if fault and (case.lineage.is_thin or not fault_of([message.raw for message in case.request.messages])):
            raise GrammarError(fault)  # what the client itself has wrong is the upstream's to judge
        added = {}
        if case.price.takes_cache_key:
            added["prompt_cache_key"] = cache_key(case.lineage)
        return with_messages(case.request, forwarded, **added)

    async def messages(
        self, request: ChatRequest, lineage: Lineage, layout: Layout, block: str = "", recall: str = ""
    ) -> list[bytes]:
        """The messages of a layout."""
        stored = await self._remember.stored_messages(lineage, layout.cut) if lineage.is_thin else []
        return assemble.messages(
            request.messages,
            lineage,
            stored,
            layout,
            block=block,
            recall=recall,
            block_placement=self._block_placement,
        )


def _may_cut(case: Case) -> bool:
    """A window is not all that stands before the question."""
    measured = case.measured
    return measured.between(measured.seen_from, max(measured.asked, measured.seen_from)) > case.budget.window_tokens


def _boundary(lineage: Lineage, cut: int) -> bytes:
    return lineage.digests[cut - 1] if cut else b""


def cache_key(lineage: Lineage) -> str:
    """What tells an upstream which requests share a prefix; a hash, so that it learns neither tenant nor id."""
    return digest_of(b"isocost cache key", lineage.root, bytes.fromhex(lineage.conversation)).hex()
