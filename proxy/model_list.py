"""/v1/models of several upstreams in one list: each model under its name once, the first that serves it first."""

import asyncio
import logging
from contextlib import suppress
from typing import Any

import httpx
import msgspec
from starlette.types import Scope, Send

from proxy.credentials import impersonal
from proxy.errors import ProxyError, UpstreamError
from proxy.headers import Headers, end_to_end
from proxy.message import MALFORMED
from proxy.routes import Route, Routes
from proxy.upstream import raw_path

log = logging.getLogger(__name__)

LIST_BYTES_MAX = 16 * 2**20
WAIT_S = 10.0
"""An upstream that says nothing for so long is left out: one that hangs must not hide the others' models."""


_NOT_ASKED = (b"accept-encoding", b"if-none-match", b"if-modified-since")
"""A list that is merged is read, and there is no other time's to compare it with."""


class _Answered(msgspec.Struct, frozen=True):
    """What one upstream said: its models, or None and the answer instead."""

    models: list[dict[str, Any]] | None
    status: int
    headers: Headers
    body: bytes


class ModelList:
    """Asks all upstreams at once. One that cannot be asked is left out; its failure stays its own."""

    def __init__(self, routes: Routes) -> None:
        self._routes = routes

    async def answer(self, scope: Scope, send: Send) -> None:
        """Where nobody lists models, the first refusal as it came; raises UpstreamError if nobody answers."""
        asked = [self._asked(route, scope) for route in self._routes.all]
        answers = await asyncio.gather(*asked)
        refusals = [answered for answered in answers if answered is not None]
        if all(answered.models is None for answered in refusals):
            if not refusals:
                raise UpstreamError("no upstream lists its models")
            await _send(send, refusals[0].status, refusals[0].headers, refusals[0].body)
            return
        merged: dict[str, Any] = {}
        for route, answered in zip(self._routes.all, answers, strict=True):
            for model in (answered.models if answered is not None else None) or ():
                if route.serves(model["id"]):
                    merged.setdefault(model["id"], model)
        body = msgspec.json.encode({"object": "list", "data": list(merged.values())})
        await _send(send, 200, [(b"content-type", b"application/json")], body)

    async def _asked(self, route: Route, scope: Scope) -> _Answered | None:
        """None for one that does not answer."""
        headers = self._told(route, [(name.lower(), value) for name, value in scope["headers"]])
        query = scope["query_string"] if route.upstream is self._routes.default else b""
        try:
            async with asyncio.timeout(WAIT_S):
                response = await route.upstream.send("GET", raw_path(scope), query, headers, b"")
                try:
                    body = await _whole(response)
                finally:
                    await response.aclose()
            status = response.status_code
            return _Answered(_models(status, body), status, _about(end_to_end(response.headers.raw)), body)
        except (ProxyError, httpx.HTTPError, TimeoutError) as error:
            log.warning("an upstream's models are left out: %s", type(error).__name__)
            return None

    def _told(self, route: Route, headers: Headers) -> Headers:
        """A client's credential goes to the default alone: nobody chose all of the others by asking for a list."""
        if route.upstream is not self._routes.default:
            return [(name, value) for name, value in impersonal(headers) if name != b"accept-encoding"]
        return [(name, value) for name, value in headers if name not in _NOT_ASKED]


async def _send(send: Send, status: int, headers: Headers, body: bytes) -> None:
    said = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": said})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _about(headers: Headers) -> Headers:
    return [(name, value) for name, value in headers if name != b"content-length"]


def _models(status: int, body: bytes) -> list[dict[str, Any]] | None:
    listed = None
    if status == 200:
        with suppress(*MALFORMED):
            listed = msgspec.json.decode(body)
    models = listed.get("data") if isinstance(listed, dict) else None
    if not isinstance(models, list):
        return None
    return [model for model in models if isinstance(model, dict) and isinstance(model.get("id"), str)]


async def _whole(response: httpx.Response) -> bytes:
    body = bytearray()
    if isinstance(response.stream, httpx.AsyncByteStream):
        async for part in response.stream:
            body += part
            if len(body) > LIST_BYTES_MAX:
                raise UpstreamError("an upstream's list of models is too long")
    return bytes(body)
