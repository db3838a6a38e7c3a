"""WebSockets (the realtime API) relayed: text and bytes as they come, close codes, subprotocols, refusals."""

import asyncio
import logging
from contextlib import suppress
from urllib.parse import parse_qs

from starlette.types import Message, Receive, Scope, Send

from proxy.errors import ProxyError
from proxy.headers import Headers, end_to_end
from proxy.relay import send_error
from proxy.routes import Routes
from proxy.websocket_connection import RefusedError, WebSocketConnection
from proxy.websocket_opening import HANDSHAKE, Opening

log = logging.getLogger(__name__)

MESSAGE_BYTES_MAX = 16 * 2**20
"""Audio comes in small messages; a longer one ends the connection with code 1009."""

_LAST_WORD_S = 1.0
"""For a server to tell of a client that is gone."""


class WebSockets:
    """The ASGI app for upgrades."""

    def __init__(self, routes: Routes, *, connect_timeout_s: float) -> None:
        self._routes = routes
        self._opening = Opening(timeout_s=connect_timeout_s, message_bytes_max=MESSAGE_BYTES_MAX)
        self._open: set[WebSocketConnection] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Relay one connection until either side closes it."""
        await receive()  # websocket.connect
        first = asyncio.ensure_future(receive())  # a hang-up, if it comes before there is an answer
        try:
            upstream = await self._opened(first, scope)
        except asyncio.CancelledError:
            if not _is_gone(first):
                raise
        except ProxyError as error:
            first.cancel()
            await refuse(error, scope, receive, send)
        except RefusedError as refused:
            first.cancel()
            await _deny(refused.status, _told(refused.headers), refused.body, scope, receive, send)
        else:
            await self._relay(upstream, first, receive, send)
        finally:
            first.cancel()

    async def aclose(self) -> None:
        """Close what is open."""
        for upstream in self._open:
            upstream.abort()

    async def _opened(self, first: asyncio.Future[Message], scope: Scope) -> WebSocketConnection:
        model = _model(scope["query_string"])
        upstream = self._routes.upstream(model) if model else self._routes.default
        opening = asyncio.create_task(self._opening.open(upstream.target, scope))
        first.add_done_callback(lambda _: opening.cancel() if _is_gone(first) else None)
        return await opening

    async def _relay(
        self, upstream: WebSocketConnection, first: asyncio.Future[Message], receive: Receive, send: Send
    ) -> None:
        self._open.add(upstream)
        try:
            headers = [header for header in _told(upstream.headers) if not header[0].startswith(HANDSHAKE)]
            await send({"type": "websocket.accept", "subprotocol": upstream.subprotocol, "headers": headers})
            await upstream.close(*await _both_ways(upstream, first, receive, send))
        finally:
            upstream.abort()
            self._open.discard(upstream)


async def _both_ways(
    upstream: WebSocketConnection, first: asyncio.Future[Message], receive: Receive, send: Send
) -> tuple[int, str]:
    """Until either side has closed; what the upstream is to hear of it, if it does not know."""
    outward = asyncio.create_task(_outward(upstream, first, receive))
    inward = asyncio.create_task(_inward(upstream, send))
    try:
        await asyncio.wait((outward, inward), return_when=asyncio.FIRST_COMPLETED)
        if inward.done() and inward.exception() is not None:  # the client is gone, and may have said why
            await asyncio.wait((outward,), timeout=_LAST_WORD_S)
        return outward.result() if outward.done() else (1011, "")
    finally:
        outward.cancel()
        inward.cancel()
        for outcome in await asyncio.gather(outward, inward, return_exceptions=True):
            if isinstance(outcome, Exception) and not isinstance(outcome, OSError):
                log.warning("a WebSocket broke off: %s", type(outcome).__name__)


async def _outward(upstream: WebSocketConnection, first: asyncio.Future[Message], receive: Receive) -> tuple[int, str]:
    """What the client says, until it closes or is gone; code and reason."""
    event = await first
    while event["type"] != "websocket.disconnect":
        text = event.get("text")
        await upstream.send((event.get("bytes") or b"") if text is None else text)
        event = await receive()
    return _sendable(event.get("code")), event.get("reason") or ""


async def _inward(upstream: WebSocketConnection, send: Send) -> None:
    """What the upstream says, until it closes."""
    while (message := await upstream.receive()) is not None:
        await send({"type": "websocket.send", "text" if isinstance(message, str) else "bytes": message})
    code, reason = upstream.end
    await send({"type": "websocket.close", "code": _sendable(code), "reason": reason})


async def refuse(error: ProxyError, scope: Scope, receive: Receive, send: Send) -> None:
    """An answer of our own to a request or an upgrade."""
    if scope["type"] == "http":
        await send_error(error, send, [])
    else:
        headers = [(b"content-type", b"application/json"), *error.headers]
        await _deny(error.status, headers, error.body(), scope, receive, send)


async def _deny(status: int, headers: Headers, body: bytes, scope: Scope, receive: Receive, send: Send) -> None:
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1011, "reason": f"the upstream refused: {status}"})
        return
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body, "more_body": False})
    # uvicorn says at once that the client is gone, and again when it is; an app that returns in between it takes for
    # one that has not answered, and logs an error
    with suppress(TimeoutError):
        async with asyncio.timeout(_LAST_WORD_S):
            for _ in range(2):
                while (await receive())["type"] != "websocket.disconnect":
                    continue


def _is_gone(first: asyncio.Future[Message]) -> bool:
    if not first.done() or first.cancelled() or first.exception() is not None:
        return False
    return bool(first.result()["type"] == "websocket.disconnect")


def _told(headers: Headers) -> Headers:
    """What the client is told; the body is as long as it is."""
    return [(name, value) for name, value in end_to_end(headers) if name != b"content-length"]


def _sendable(code: int | None) -> int:
    """1005 and 1006 say that no code came; they cannot be sent (RFC 6455 §7.4.1)."""
    return 1000 if code in (None, 1005) else 1011 if code == 1006 else int(code)


def _model(query: bytes) -> str:
    return parse_qs(query.decode("latin-1")).get("model", [""])[0]
