"""Every other path: forwarded as it is, both ways streamed, so that an upload is never held in memory.

With several upstreams the model decides, so that a JSON body is read first; what names no model goes to the default.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import suppress

import msgspec
from starlette.types import Receive, Scope, Send

from proxy.errors import BodyTooLargeError, ProxyError
from proxy.headers import Headers, end_to_end, is_coded
from proxy.message import MALFORMED
from proxy.model_list import ModelList
from proxy.relay import ClientGoneError, relay, send_error, until_gone
from proxy.routes import Routes
from proxy.upstream import Upstream, raw_path

log = logging.getLogger(__name__)

_MODELS = ("/v1/models", "/models")


class Passthrough:
    """The ASGI app for all HTTP paths that are not ours. `body_bytes_max` bounds a body that is read for its model."""

    def __init__(self, routes: Routes, *, body_bytes_max: int) -> None:
        self._routes = routes
        self._models = ModelList(routes)
        self._body_bytes_max = body_bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward one request."""
        upload = _Upload(receive)
        try:
            if self._routes.several and scope["method"] == "GET" and scope["path"] in _MODELS:
                upload.ended.set()
                await until_gone(upload.rest, self._models.answer(scope, send))
            else:
                await until_gone(upload.rest, self._forward(scope, upload, send))
        except ProxyError as error:
            await send_error(error, send, [])
        except ClientGoneError:
            return

    async def _forward(self, scope: Scope, upload: "_Upload", send: Send) -> None:
        headers: Headers = [*scope["headers"]]
        body: bytes | AsyncIterator[bytes] = upload.parts() if _has_body(headers) else b""
        if not body:
            upload.ended.set()
        upstream = self._routes.default
        if self._routes.several:
            if isinstance(body, AsyncIterator) and _is_json(headers) and not is_coded(headers):
                body = await self._whole(body)
            upstream = self._upstream(scope["path"], body)
        response = await upstream.send(scope["method"], raw_path(scope), scope["query_string"], headers, body)
        kept = end_to_end(response.headers.raw)
        try:
            await relay(response, send, headers=kept, read_along=_ignore, before_end=_nothing)
        except ProxyError as error:  # its headers are out: all that is left is to break off, as the upstream did
            log.warning("%s", error)

    def _upstream(self, path: str, body: bytes | AsyncIterator[bytes]) -> Upstream:
        """By the model that the path or the body names."""
        for listing in _MODELS:
            if path.startswith(f"{listing}/"):
                return self._routes.upstream(path.removeprefix(f"{listing}/"))
        named = _Named()
        if isinstance(body, bytes) and body:
            with suppress(*MALFORMED):  # what is no JSON is the upstream's to judge
                named = msgspec.json.decode(body, type=_Named)
        return self._routes.upstream(named.model)

    async def _whole(self, parts: AsyncIterator[bytes]) -> bytes:
        held = bytearray()
        async for part in parts:
            held += part
            if len(held) > self._body_bytes_max:
                raise BodyTooLargeError(f"the body is larger than {self._body_bytes_max // 2**20} MiB")
        return bytes(held)


class _Named(msgspec.Struct):
    model: str = ""


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


def _is_json(headers: Headers) -> bool:
    return any(name == b"content-type" and value.lower().startswith(b"application/json") for name, value in headers)


def _ignore(_: bytes) -> None:
    return None


async def _nothing() -> None:
    return None
