"""Every other path: forwarded as it is, both ways streamed, so that an upload is never held in memory."""

import asyncio
from collections.abc import AsyncIterator

from starlette.types import Receive, Scope, Send

from proxy.errors import ProxyError
from proxy.relay import ClientGoneError, relay, send_error, until_gone
from proxy.upstream import Headers, Upstream, raw_path


class Passthrough:
    """The ASGI app for all paths that are not ours."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward one request."""
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1011, "reason": "isocost does not relay WebSockets yet"})
            return
        upload = _Upload(receive)
        try:
            await until_gone(upload.rest, self._forward(scope, upload, send))
        except ProxyError as error:
            await send_error(error, send, [])
        except ClientGoneError:
            return

    async def _forward(self, scope: Scope, upload: "_Upload", send: Send) -> None:
        headers = [(name.lower(), value) for name, value in scope["headers"]]
        body: bytes | AsyncIterator[bytes] = upload.parts() if _has_body(headers) else b""
        if not body:
            upload.ended.set()
        response = await self._upstream.send(scope["method"], raw_path(scope), scope["query_string"], headers, body)
        await relay(response, send, extra=[], read_along=_ignore, before_end=_nothing)


class _Upload:
    """One reader of `receive` at a time: the body first, then whoever waits for the hang-up."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.ended = asyncio.Event()

    async def parts(self) -> AsyncIterator[bytes]:
        """The request body, a part at a time; raises ClientGoneError if the client hangs up in it."""
        more = True
        while more:
            event = await self._receive()
            if event["type"] == "http.disconnect":
                raise ClientGoneError
            more = event.get("more_body", False)
            yield event.get("body", b"")
        self.ended.set()

    async def rest(self) -> dict[str, object]:
        """What comes after the body."""
        await self.ended.wait()
        return dict(await self._receive())


def _has_body(headers: Headers) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value.strip() != b"0") for name, value in headers
    )


def _ignore(_: bytes) -> None:
    return None


async def _nothing() -> None:
    return None
