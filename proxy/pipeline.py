"""START HERE: the path of one chat request.

read ─ parse ─ compose ─ upstream ─ relay ─ learn

read      relay.py       the whole body, capped
parse     wire.py        OpenAI JSON split into fields and messages; options.py reads x-isocost-*
compose   compose.py     trace ─ locate ─ count ─ draft (draft.py: plan ─ recollect ─ assemble); guarded, never breaks
                         an answer
upstream  upstream.py    one call
relay     relay.py       bytes to the client as they came, a copy to collect.py
learn     learn.py       afterwards, in the background: the exchange into the log
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

import httpx
import msgspec
from starlette.types import Receive, Scope, Send

from proxy import responses
from proxy.accounts import Accounts
from proxy.collect import READABLE_ENCODINGS, Collector
from proxy.compose import Composer, Composition, Work
from proxy.errors import ProxyError, UpstreamTimeoutError
from proxy.exchange import Exchange
from proxy.headers import Headers, end_to_end, is_coded
from proxy.histories import Histories
from proxy.learn import Learner
from proxy.ledger import Reported, Row, billed, reported
from proxy.metrics import Metrics
from proxy.options import Options, read_options
from proxy.patience import Timed
from proxy.relay import ClientGoneError, read_body, relay, send_error, until_gone
from proxy.routes import Routes
from proxy.upstream import Upstream, raw_path
from proxy.wire import ChatRequest, parse

log = logging.getLogger(__name__)

READ_ALONG_S = 0.25
"""An answer that left its prompt as it was waits no longer for memory, which is done by then unless its store hangs."""

HISTORIES_BYTES_MAX = 8 * 2**20
"""Of request bodies whose messages are kept as they were read."""


class Outcome(msgspec.Struct, frozen=True):
    """What is known of a request once its body is composed."""

    composition: Composition
    model: str
    overhead_s: float
    at: float


class ChatPipeline:
    """The ASGI app for POST /v1/chat/completions and /v1/responses. `clock` gives unix seconds."""

    def __init__(
        self,
        composer: Composer,
        routes: Routes,
        learner: Learner,
        accounts: Accounts,
        metrics: Metrics,
        *,
        body_bytes_max: int,
        answer_bytes_max: int,
        ack_timeout_s: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._composer = composer
        self._routes = routes
        self._learner = learner
        self._accounts = accounts
        self._metrics = metrics
        self._body_bytes_max = body_bytes_max
        self._answer_bytes_max = answer_bytes_max
        self._ack_timeout_s = ack_timeout_s
        self._clock = clock
        self._histories = Histories(bytes_max=HISTORIES_BYTES_MAX)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            body = await read_body(receive, self._body_bytes_max)
            await until_gone(receive, self._answer(scope, body, send))
        except ProxyError as error:
            self._metrics.requests.add("none", error.status)
            await send_error(error, send, [])
        except ClientGoneError:
            self._metrics.requests.add("none", "gone")

    async def _answer(self, scope: Scope, body: bytes, send: Send) -> None:
        started = time.perf_counter()
        headers: Headers = [*scope["headers"]]
        with self._metrics.stage("parse"):
            request = ChatRequest(body) if is_coded(headers) else parsed(scope["path"], body, self._histories)
            options = read_options(headers)
            upstream = self._routes.upstream(request.model)
        at = self._clock()
        work = self._composer.begin(request, options, at) if request.messages else None
        # what leaves as it came waits for nothing: memory reads along while the upstream is at work
        made = self._unread(body, options) if work is None or work.leaves else await self._composer.finish(work)
        overhead_s = time.perf_counter() - started
        self._metrics.overhead.observe(overhead_s)
        answer = await self._asked(upstream, scope, _heard(headers, made, stream=request.stream), made.body)
        if work is not None and work.leaves:
            made = await self._read_along(work, answer)
        outcome = Outcome(made, request.model, overhead_s, at)
        if isinstance(answer, ProxyError):
            self.offer(outcome, None, answer.status)
            await send_error(answer, send, report(outcome))
        else:
            await self._relay(answer, outcome, send)

    def _unread(self, body: bytes, options: Options) -> Composition:
        """A body as it came. A client that holds no history is told that we could not send it along."""
        if options.conversation:
            self._metrics.memory_errors.add("unreadable")
        return Composition(body, error="unreadable" if options.conversation else "")

    async def _asked(
        self, upstream: Upstream, scope: Scope, headers: Headers, body: bytes
    ) -> httpx.Response | ProxyError:
        """The upstream's answer, or why there is none."""
        try:
            return await upstream.send("POST", raw_path(scope), scope["query_string"], headers, body)
        except ProxyError as error:
            return error

    async def _read_along(self, work: Work, answer: httpx.Response | ProxyError) -> Composition:
        """What memory made of a request meanwhile, or is just about to; who hangs up now ends the upstream's answer."""
        try:
            return await self._composer.finish(work, within_s=READ_ALONG_S)
        except asyncio.CancelledError:
            if isinstance(answer, httpx.Response):
                late = isinstance(answer.stream, Timed) and answer.stream.was_late()
                await answer.aclose()
                if late:
                    raise UpstreamTimeoutError("the upstream did not answer in time") from None
            raise

    async def _relay(self, response: httpx.Response, outcome: Outcome, send: Send) -> None:
        headers = end_to_end(response.headers.raw)
        collector = Collector(headers, bytes_max=self._answer_bytes_max)
        reading = _Reading(self, outcome, collector, response.status_code)
        lineage = outcome.composition.lineage
        try:
            await relay(
                response,
                send,
                headers=headers + report(outcome),
                read_along=collector.feed,
                before_end=reading.before_end,
                hold=lineage is not None and lineage.is_only_ours,
            )
        except ProxyError as error:  # its headers are out: all that is left is to break off, as the upstream did
            log.warning("%s", error)
        finally:  # when what was sent has left; and no await, which would raise where a hang-up has cancelled this task
            asyncio.get_running_loop().call_soon(reading.offer)

    def offer(self, outcome: Outcome, collector: Collector | None, status: int) -> asyncio.Future[bool] | None:
        """Leave the exchange to the learner: the whole of it, or without an answer that was cut or refused."""
        made = outcome.composition
        self._metrics.requests.add(made.mode, status)
        self._metrics.tokens.add("full", by=made.full_tokens)
        self._metrics.tokens.add("sent", by=made.sent_tokens)
        if made.lineage is None:
            return None
        heard = collector is not None and status < 400 and (collector.complete or made.lineage.is_only_ours)
        answer = collector.turns() if collector is not None and heard else ()
        said = reported(collector.usage if collector is not None else {})
        row = self._row(outcome, status, said)
        learned = made.lineage if status < 400 else None
        waits = 0 if made.lineage.is_only_ours else made.full_tokens  # who sends only what is new holds next to nothing
        return self._learner.offer(Exchange(made.lineage.conversation, learned, answer, row, made.tenant, waits))

    def _row(self, outcome: Outcome, status: int, said: Reported) -> Row:
        """The ledger's row; what an upstream refused costs nothing."""
        made = outcome.composition
        row = written(outcome, status, said)
        if made.lineage is None or made.prompts is None or made.price is None or status >= 400:
            return row
        bill = self._accounts.settle(made.lineage.conversation, outcome.model, made.price, made.prompts, outcome.at)
        if said.tokens:
            self._accounts.reported(outcome.model, made.sent_tokens, said.tokens)
        self._metrics.price.add("paid", by=bill.sent.price)
        self._metrics.price.add("rival", by=bill.rival.price)
        if row.why:
            self._metrics.epochs.add(row.why)
        return billed(row, bill, made.price)

    async def acknowledged(self, done: asyncio.Future[bool]) -> None:
        """Wait, within a bound, until a turn that nobody else holds is in the log."""
        await asyncio.wait({done}, timeout=self._ack_timeout_s)
        if not done.done() or not done.result():
            self._metrics.late_acks.add()
            log.warning("a turn of a client that does not resend its history was answered before it was stored")


class _Reading:
    """One answer being read along: offered to the learner exactly once, at its end or when it breaks off."""

    def __init__(self, pipeline: ChatPipeline, outcome: Outcome, collector: Collector, status: int) -> None:
        self._pipeline = pipeline
        self._outcome = outcome
        self._collector = collector
        self._status = status
        self._offered = False
        self._ended = False

    def offer(self) -> asyncio.Future[bool] | None:
        if self._offered:
            return None
        self._offered = True
        if self._ended:
            self._collector.end()
        return self._pipeline.offer(self._outcome, self._collector, self._status)

    async def before_end(self) -> None:
        """The upstream ended in order; a client that holds no history waits until we do."""
        self._ended = True
        lineage = self._outcome.composition.lineage
        if lineage is not None and lineage.is_only_ours and (done := self.offer()) is not None:
            await self._pipeline.acknowledged(done)


def parsed(path: str, body: bytes, histories: Histories) -> ChatRequest:
    """The request, by its path; without messages where memory can read none."""
    return responses.parse(body, histories) if path.endswith("/responses") else parse(body, histories)


def written(outcome: Outcome, status: int, said: Reported) -> Row:
    """The ledger's row of a request, but for what it cost."""
    made = outcome.composition
    return Row(
        at=outcome.at,
        turn=made.lineage.length if made.lineage is not None else 0,
        model=outcome.model,
        mode=made.mode,
        full_tokens=made.full_tokens,
        sent_tokens=made.sent_tokens,
        overhead_ms=round(outcome.overhead_s * 1000, 3),
        epoch=made.epoch,
        phase=made.phase,
        status=status,
        reported_tokens=said.tokens,
        reported_cached_tokens=said.cached,
        reported_written_tokens=said.written,
        error=made.error,
        recalled=made.draft.recalled if made.draft else (),
        why=made.draft.why if made.draft else "",
        cut=made.draft.epoch.cut if made.draft else 0,
        share=made.share,
        planned_tokens=made.planned.sent_tokens if made.planned else 0,
    )


def report(outcome: Outcome) -> Headers:
    """Our response headers."""
    made = outcome.composition
    said = [(b"x-isocost-mode", made.mode.encode()), (b"x-isocost-overhead-ms", b"%.2f" % (outcome.overhead_s * 1000))]
    if made.lineage is not None:
        said.append((b"x-isocost-conversation", made.lineage.conversation.encode()))
        said.append((b"x-isocost-turn", b"%d" % made.lineage.length))
    if made.full_tokens:
        said.append((b"x-isocost-epoch", b"%d" % made.epoch))
        said.append((b"x-isocost-phase", made.phase.encode()))
        said.append((b"x-isocost-full-tokens", b"%d" % made.full_tokens))
        said.append((b"x-isocost-sent-tokens", b"%d" % made.sent_tokens))
    if made.error:
        said.append((b"x-isocost-error", made.error.encode()))
    return said


def _heard(headers: Headers, made: Composition, *, stream: bool) -> Headers:
    """The client's headers. Where nobody else will hold the answer, with only those encodings accepted that we can
    read along, and of a stream none, as we have to see its end before the client does; any other client brings back
    with its next request what we could not read."""
    if made.lineage is None or not made.lineage.is_only_ours:
        return headers
    readable = () if stream else READABLE_ENCODINGS
    return [(n, _accepted(value, readable)) if n == b"accept-encoding" else (n, value) for n, value in headers]


def _accepted(value: bytes, readable: Sequence[bytes]) -> bytes:
    kept = [part.strip() for part in value.split(b",") if part.split(b";")[0].strip().lower() in readable]
    return b", ".join(kept) if kept else b"identity"
