"""The composition root's part for upstreams: rows of settings and file to routes."""

import logging
import os
from contextlib import AsyncExitStack
from pathlib import Path

import httpx

from config.prices import load_prices
from config.settings import Settings
from config.upstreams import UpstreamRow, load_upstreams
from proxy.demo.model import demo_model
from proxy.demo.serving import serve_app
from proxy.patience import Patience
from proxy.routes import Route, Routes
from proxy.transport import PooledTransport
from proxy.upstream import Target, Upstream

log = logging.getLogger(__name__)


async def open_routes(settings: Settings, transport: httpx.AsyncBaseTransport | None, stack: AsyncExitStack) -> Routes:
    """The configured upstreams, or the demo model on a port of its own, so that the wire is real there too."""
    if transport is None:
        transport = PooledTransport()
    stack.push_async_callback(transport.aclose)
    own = Path(settings.prices) if settings.prices else None
    prices = load_prices(own, settings.price_row)
    rows = load_upstreams(Path(settings.upstreams), os.environ) if settings.upstreams else ()
    opened: dict[str, Upstream] = {}
    for row in sorted(rows, key=lambda row: bool(row.fallback)):  # those first that others fall back to
        opened[row.name] = _opened(settings, row, transport, opened.get(row.fallback))
    routes = [
        Route(opened[row.name], row.models, load_prices(own, row.price_row) if row.price_row else prices)
        for row in rows
        if row.models
    ]
    if not settings.upstream and rows:
        return Routes(routes)
    base_url = settings.upstream or await _open_demo(stack)
    last = UpstreamRow("upstream", base_url, ("*",))
    target = Target(base_url, settings.upstream_key.get_secret_value())
    upstream = Upstream(target, transport, _patience(settings, last), connect_retries=settings.connect_retries)
    return Routes([*routes, Route(upstream, last.models, prices)])


def _opened(
    settings: Settings, row: UpstreamRow, transport: httpx.AsyncBaseTransport, fallback: Upstream | None
) -> Upstream:
    key = os.environ.get(row.key_env, "") if row.key_env else ""
    headers = tuple((name.encode(), value.encode()) for name, value in row.headers.items())
    retries = settings.connect_retries if row.connect_retries is None else row.connect_retries
    return Upstream(
        Target(row.url, key, replaces=bool(key), headers=headers),
        transport,
        _patience(settings, row),
        connect_retries=retries,
        fallback=fallback,
    )


def _patience(settings: Settings, row: UpstreamRow) -> Patience:
    return Patience(
        row.connect_timeout_s or settings.connect_timeout_s,
        row.first_byte_timeout_s or settings.first_byte_timeout_s,
        row.idle_timeout_s or settings.idle_timeout_s,
        row.total_timeout_s or settings.total_timeout_s,
    )


async def _open_demo(stack: AsyncExitStack) -> str:
    port = await stack.enter_async_context(serve_app(demo_model()))
    log.warning("NO UPSTREAM IS SET: the built-in demo model answers. It is no language model. Set ISOCOST_UPSTREAM.")
    return f"http://127.0.0.1:{port}"
