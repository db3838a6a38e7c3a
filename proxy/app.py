"""The composition root: makes the parts from Settings, joins them, routes. The only place that constructs."""

import asyncio
import logging
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
from starlette.types import ASGIApp, Receive, Scope, Send

from config.bias import BiasWords, load_bias
from config.models import load_models
from config.settings import Settings, load_settings
from config.sources import SettingsError
from embedders import Embedder, EmbedderError, open_embedder
from memory_core.bias import Anchor, Bias, NegativeAttractor, Trigger
from memory_core.state import Capacities
from memory_core.stores import Store, StoreError, open_store
from proxy.accounts import Accounts
from proxy.admission import Admission
from proxy.app_upstreams import open_routes
from proxy.claim import Claim
from proxy.compose import Composer
from proxy.draft import Drafter
from proxy.epochs import Epochs
from proxy.errors import ProxyError
from proxy.give_back import give_back, sweep_on
from proxy.leaning import Leaning
from proxy.learn import Learner
from proxy.meter import Meter
from proxy.metrics import Metrics
from proxy.passthrough import Passthrough
from proxy.pipeline import ChatPipeline
from proxy.plan import Budget
from proxy.recent import Recent
from proxy.remember import Remember
from proxy.routes import Routes
from proxy.runs import Runs
from proxy.sampling import Shares
from proxy.tokens import DEFAULT_ENCODING, TokenCounter, VocabularyError, load_encoding
from proxy.watch import Watch
from proxy.websockets import WebSockets, refuse

log = logging.getLogger(__name__)

MIB = 2**20
CHAT_PATHS = frozenset(("/v1/chat/completions", "/chat/completions", "/v1/responses", "/responses"))
START_ERRORS = (EmbedderError, StoreError, SettingsError, VocabularyError, OSError)
"""Faults of the surroundings: told in a sentence, without a trace."""


@dataclass(frozen=True, slots=True)
class Given:
    """Parts to use instead of those that the settings name; they are closed with the application all the same."""

    embedder: Embedder | None = None
    store: Store | None = None
    transport: httpx.AsyncBaseTransport | None = None


@dataclass(frozen=True, slots=True)
class Parts:
    """What the running application routes to."""

    chat: ASGIApp
    other: ASGIApp
    websockets: ASGIApp
    watch: ASGIApp
    admission: Admission


class Application:
    """The ASGI app. Its parts are opened and closed by the lifespan."""

    def __init__(self, settings: Settings, given: Given) -> None:
        self._settings = settings
        self._given = given
        self._parts: Parts | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Route: our own paths, chat, and all the rest to the upstream."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        if self._parts is None:
            raise RuntimeError("isocost needs an ASGI server that runs its lifespan")
        app = self._route(self._parts, scope)
        if app is self._parts.watch:  # it must answer above all where there is too much to do
            await app(scope, receive, send)
            return
        try:
            with self._parts.admission.admitted(scope["headers"]):
                await app(scope, receive, send)
        except ProxyError as error:
            await refuse(error, scope, receive, send)
        except asyncio.CancelledError:  # by the server alone: the time to drain is over, and with it this task
            log.warning("a request was cut off by the end")

    def _route(self, parts: Parts, scope: Scope) -> ASGIApp:
        if scope["type"] == "websocket":
            return parts.websockets
        path = scope["path"]
        if scope["method"] == "POST" and path in CHAT_PATHS:
            return parts.chat
        ours = path in ("/healthz", "/readyz") or (path == "/metrics" and self._settings.metrics)
        return parts.watch if ours else parts.other

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        async with AsyncExitStack() as stack:
            try:
                self._parts = await open_parts(self._settings, self._given, stack)
            except START_ERRORS as error:
                await send({"type": "lifespan.startup.failed", "message": f"isocost cannot start: {error}"})
                return
            give_back()
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})


def create_app(settings: Settings | None = None, given: Given | None = None) -> ASGIApp:
    """The application. Without settings they are loaded from environment and file, for ASGI servers' factories."""
    loaded = load_settings({}) if settings is None else settings
    return Application(loaded, Given() if given is None else given)


async def open_parts(settings: Settings, given: Given, stack: AsyncExitStack) -> Parts:
    """Open and join everything; `stack` closes it in the opposite order."""
    metrics = Metrics()
    embedder = given.embedder if given.embedder is not None else await open_configured_embedder(settings)
    stack.push_async_callback(embedder.aclose)
    store = given.store
    if store is None:
        store = await open_store(settings.store_url, timeout_s=settings.store_timeout_s)
    stack.push_async_callback(store.aclose)
    claim = Claim(store, embedder.name)
    await claim.confirm()
    routes = await open_routes(settings, given.transport, stack)
    counter = await _open_counter()
    remember = Remember(
        store,
        embedder,
        count=counter.message,
        capacities=Capacities(settings.short_term, settings.medium_term, settings.long_term),
        cache_bytes_max=settings.memory_cache_mib * MIB,
        leaning=await _open_leaning(settings, embedder),
    )
    runs = Runs(store)
    learner = Learner(remember, runs, store, metrics, queue_max=settings.learner_queue)
    stack.push_async_callback(_end, asyncio.create_task(learner.run(), name="learner"))
    stack.push_async_callback(learner.drain, settings.drain_timeout_s)
    composer = _composer(settings, store, remember, runs, claim, routes, counter, metrics)
    stack.push_async_callback(composer.aclose)
    chat = ChatPipeline(
        composer,
        routes,
        learner,
        Accounts(),
        metrics,
        body_bytes_max=settings.body_mib_max * MIB,
        answer_bytes_max=settings.answer_mib_max * MIB,
        ack_timeout_s=settings.ack_timeout_s,
    )
    websockets = WebSockets(routes, connect_timeout_s=settings.connect_timeout_s)
    stack.push_async_callback(websockets.aclose)
    other = Passthrough(routes, body_bytes_max=settings.body_mib_max * MIB)
    admission = Admission(total_max=settings.requests_max, each_max=settings.requests_each_max)
    sweeping = asyncio.create_task(sweep_on(lambda: not admission.under_way), name="sweeper")
    stack.push_async_callback(_end, sweeping)
    return Parts(chat, other, websockets, Watch(metrics, store), admission)


def _composer(
    settings: Settings,
    store: Store,
    remember: Remember,
    runs: Runs,
    claim: Claim,
    routes: Routes,
    counter: TokenCounter,
    metrics: Metrics,
) -> Composer:
    drafter = Drafter(
        remember,
        Epochs(store),
        Recent(store),
        routes.price,
        counter,
        metrics,
        block_placement=settings.block_placement,
    )
    return Composer(
        remember,
        runs,
        claim,
        Meter(counter),
        drafter,
        metrics,
        mode=settings.mode,
        budget=budget_of(settings),
        block_share=settings.block_share,
        shares=Shares(settings.shadow_share, settings.holdout_share),
        memory_timeout_s=settings.memory_timeout_s,
        compact_timeout_s=settings.compact_timeout_s,
    )


async def open_configured_embedder(settings: Settings) -> Embedder:
    """The embedder that the settings name; raises EmbedderError."""
    key = settings.embedder_key.get_secret_value()
    return await open_embedder(
        settings.embedder,
        threads=settings.embedder_threads,
        batch_tokens_max=settings.embed_batch_tokens,
        queue_tokens_max=settings.embed_queue_tokens,
        cache_bytes_max=settings.embed_cache_mib * MIB,
        timeout_s=settings.embed_timeout_s,
        model=settings.embedder_model,
        key=key if key else None,
    )


async def _open_leaning(settings: Settings, embedder: Embedder) -> Leaning:
    """The configured bias, its words embedded."""
    words = load_bias(Path(settings.bias)) if settings.bias else BiasWords()
    texts = words.texts
    vectors = dict(zip(texts, await embedder.embed(texts), strict=True)) if texts else {}
    try:
        bias = Bias(
            tuple(Anchor(each.name, vectors[each.text], each.boost) for each in words.anchors),
            tuple(
                Trigger(each.name, each.keywords, vectors.get(each.text), each.threshold, each.boost, each.weight)
                for each in words.triggers
            ),
            tuple(
                NegativeAttractor(each.name, vectors[each.text], each.threshold, each.penalty)
                for each in words.negative_attractors
            ),
        )
    except ValueError as error:
        raise SettingsError(f"the bias file {settings.bias} cannot be used: {error}") from None
    return Leaning(bias, settings.auto_anchor, settings.recall_from == "tiers")


async def _open_counter() -> TokenCounter:
    """The usual vocabulary is loaded before the first request, which would else wait half a second for it."""
    await asyncio.to_thread(load_encoding, DEFAULT_ENCODING)
    return TokenCounter({model.pattern: model.encoding for model in load_models()})


def budget_of(settings: Settings) -> Budget:
    """What a request may carry that names no context of its own."""
    recall = min(settings.recall_tokens, settings.context_tokens)
    return Budget(
        window_tokens=settings.window_tokens,
        epoch_tokens=settings.epoch_tokens,
        context_tokens=settings.context_tokens,
        block_tokens=settings.context_tokens - recall,
        recall_tokens_max=recall,
        full_max_tokens=settings.full_max_tokens,
    )


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
