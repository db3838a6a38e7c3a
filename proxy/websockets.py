"""WebSockets (the realtime API) relayed: text and bytes as they come, close codes, subprotocols, refusals."""

import asyncio
import logging
from typing import Any
from urllib.parse import parse_qs

import aiohttp
import httpx
from starlette.types import Receive, Scope, Send
from yarl import URL

from proxy.errors import ProxyError, UnreachableError
from proxy.headers import Headers, end_to_end
from proxy.relay import send_error
from proxy.routes import Routes
from proxy.upstream import raw_path

log = logging.getLogger(__name__)

MESSAGE_BYTES_MAX = 16 * 2**20
"""Audio comes in small messages; a longer one ends the connection with code 1009."""

_HANDSHAKE = b"sec-websocket-"


class WebSockets:
    """The ASGI app for upgrades. Owns its session, made with the first of them."""

    def __init__(self, routes: Routes, *, connect_timeout_s: float) -> None:
        self._routes = routes
        self._timeout_s = connect_timeout_s
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Relay one connection until either side closes it."""
        await receive()  # websocket.connect
        try:
            upstream = await self._opened(scope)
        except ProxyError as error:
            await refuse(error, scope, receive, send)
            return
        except aiohttp.WSServerHandshakeError as refused:
            await _deny(refused.status, _end_to_end(refused.headers), b"", scope, send)
            return
        try:
            await send({"type": "websocket.accept", "subprotocol": upstream.protocol, "headers": []})
            await _both_ways(upstream, receive, send)
        finally:
            await upstream.close()

    async def aclose(self) -> None:
        """Close what is open."""
        if self._session is not None:
            await self._session.close()

    async def _opened(self, scope: Scope) -> aiohttp.ClientWebSocketResponse:
        query: bytes = scope["query_string"]
        target = self._routes.upstream(_model(query)).target if _model(query) else self._routes.default.target
        headers = [(name.lower(), value) for name, value in scope["headers"]]
        told = [(name, value) for name, value in target.told(headers) if not name.startswith(_HANDSHAKE)]
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._open_session().ws_connect(
                    _exact(target.url, target.path(raw_path(scope), query)),
                    protocols=scope.get("subprotocols", ()),
                    headers=[(name.decode("latin-1"), value.decode("latin-1")) for name, value in told],
                    max_msg_size=MESSAGE_BYTES_MAX,
                )
        except aiohttp.WSServerHandshakeError:
            raise
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise UnreachableError(f"the upstream could not be reached: {type(error).__name__}") from error

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("User-Agent",),
            )
        return self._session


async def _both_ways(upstream: aiohttp.ClientWebSocketResponse, receive: Receive, send: Send) -> None:
    ways = (asyncio.create_task(_outward(upstream, receive)), asyncio.create_task(_inward(upstream, send)))
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        for outcome in await asyncio.gather(*ways, return_exceptions=True):
            if isinstance(outcome, Exception):
                log.warning("a WebSocket broke off: %s", type(outcome).__name__)


async def _outward(upstream: aiohttp.ClientWebSocketResponse, receive: Receive) -> None:
    """What the client says, until it closes or is gone."""
    while True:
        event: dict[str, Any] = dict(await receive())
        if event["type"] == "websocket.disconnect":
            await upstream.close(code=_sendable(event.get("code")), message=(event.get("reason") or "").encode())
            return
        if event.get("text") is not None:
            await upstream.send_str(event["text"])
        else:
            await upstream.send_bytes(event.get("bytes") or b"")


async def _inward(upstream: aiohttp.ClientWebSocketResponse, send: Send) -> None:
    """What the upstream says, until it closes."""
    while True:
        message = await upstream.receive()
        if message.type is aiohttp.WSMsgType.TEXT:
            await send({"type": "websocket.send", "text": message.data})
        elif message.type is aiohttp.WSMsgType.BINARY:
            await send({"type": "websocket.send", "bytes": message.data})
        else:
            reason = message.extra if message.type is aiohttp.WSMsgType.CLOSE else ""
            await send({"type": "websocket.close", "code": _sendable(upstream.close_code), "reason": reason or ""})
            return


async def refuse(error: ProxyError, scope: Scope, receive: Receive, send: Send) -> None:
    """An answer of our own to a request or an upgrade."""
    if scope["type"] == "http":
        await send_error(error, send, [])
    else:
        await _deny(error.status, [(b"content-type", b"application/json"), *error.headers], error.body(), scope, send)


async def _deny(status: int, headers: Headers, body: bytes, scope: Scope, send: Send) -> None:
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1011, "reason": f"the upstream refused: {status}"})
        return
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body, "more_body": False})


def _sendable(code: int | None) -> int:
    """1005 and 1006 say that no code came; they cannot be sent (RFC 6455 §7.4.1)."""
    return 1000 if code in (None, 1005) else 1011 if code == 1006 else int(code)


def _end_to_end(headers: Any) -> Headers:
    kept = end_to_end([(name.encode(), value.encode()) for name, value in (headers or {}).items()])
    return [(name, value) for name, value in kept if name != b"content-length"]


def _exact(url: httpx.URL, target: bytes) -> URL:
    """The server of a URL, asked for a path and query that no one writes anew."""
    return URL(f"{url.scheme}://{url.netloc.decode()}{target.decode()}", encoded=True)


def _model(query: bytes) -> str:
    return parse_qs(query.decode("latin-1")).get("model", [""])[0]
