"""Upgrades relayed: text, bytes, subprotocols, close codes both ways, refusals as they were."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from config.settings import Settings
from proxy.app import Given, create_app
from proxy.demo.serving import serve_app
from tests.support.embedders import HashedWordsEmbedder
from tests.support.proxying import eventually

PATH = "/v1/realtime"
CLOSED = web.AppKey("closed", list)


async def talks(request: web.Request) -> web.StreamResponse:
    """Says what it was asked with, then echoes; "bye" closes with 4001."""
    if request.query.get("model") == "forbidden":
        return web.Response(status=401, text="no", headers={"x-why": "no key"})
    socket = web.WebSocketResponse(protocols=("realtime",), compress=False)
    await socket.prepare(request)
    told = {"query": request.rel_url.raw_query_string, "auth": request.headers.get("authorization", "")}
    told["ours"] = ",".join(name for name in request.headers if name.lower().startswith("x-isocost"))
    await socket.send_json(told)
    async for message in socket:
        if message.type is aiohttp.WSMsgType.BINARY:
            await socket.send_bytes(message.data)
        elif message.data == "bye":
            await socket.close(code=4001, message=b"as you wish")
        else:
            await socket.send_str(message.data)
    request.app[CLOSED].append(socket.close_code)
    return socket


@asynccontextmanager
async def relayed() -> AsyncIterator[tuple[str, aiohttp.ClientSession, list[int]]]:
    """The proxy's ws:// URL in front of such a server, a client, the close codes that the server saw."""
    app = web.Application()
    app[CLOSED] = []
    app.router.add_get(PATH, talks)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    upstream = f"http://127.0.0.1:{runner.addresses[0][1]}"
    settings = Settings.model_validate({"upstream": upstream, "store": "memory://"})
    try:
        async with (
            serve_app(create_app(settings, Given(embedder=HashedWordsEmbedder())), stop_timeout_s=1) as port,
            aiohttp.ClientSession() as client,
        ):
            yield f"ws://127.0.0.1:{port}{PATH}", client, app[CLOSED]
    finally:
        await runner.cleanup()


async def test_what_is_said_arrives_both_ways():
    headers = {"authorization": "Bearer mine", "x-isocost-mode": "compact"}
    async with relayed() as (url, client, closed):
        async with client.ws_connect(
            URL(f"{url}?model=m&a=%2F", encoded=True), protocols=("realtime",), headers=headers
        ) as socket:
            assert socket.protocol == "realtime"
            assert await socket.receive_json() == {"query": "model=m&a=%2F", "auth": "Bearer mine", "ours": ""}
            for text in ("", "Zürich 🚋", "x" * 300_000):
                await socket.send_str(text)
                assert await socket.receive_str() == text
            await socket.send_bytes(b"\0\xff" * 70_000)
            assert await socket.receive_bytes() == b"\0\xff" * 70_000
            await socket.close(code=4007)

        async def seen() -> bool:
            return bool(closed)

        await eventually(seen)
        assert closed == [4007]


async def test_the_upstream_s_close_code_and_reason_reach_the_client():
    async with relayed() as (url, client, _), client.ws_connect(url) as socket:
        await socket.receive_json()
        await socket.send_str("bye")
        message = await socket.receive()
        assert (message.type, message.data, message.extra) == (aiohttp.WSMsgType.CLOSE, 4001, "as you wish")


async def test_a_refusal_is_the_upstream_s():
    async with relayed() as (url, client, _):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await client.ws_connect(f"{url}?model=forbidden")
        assert refused.value.status == 401
        assert refused.value.headers is not None
        assert refused.value.headers["x-why"] == "no key"


async def test_an_upstream_that_is_away_is_a_502():
    settings = Settings.model_validate({"upstream": "http://127.0.0.1:9", "store": "memory://"})
    async with (
        serve_app(create_app(settings, Given(embedder=HashedWordsEmbedder())), stop_timeout_s=1) as port,
        aiohttp.ClientSession() as client,
    ):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await client.ws_connect(f"ws://127.0.0.1:{port}{PATH}")
        assert refused.value.status == 502
