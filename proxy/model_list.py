"""/v1/models of several upstreams in one list: each model under its name once, the first that serves it first."""

import asyncio
import logging
from typing import Any

import httpx
import msgspec
from starlette.types import Scope, Send

from proxy.errors import UpstreamError
from proxy.message import MALFORMED
from proxy.routes import Route, Routes
from proxy.upstream import Headers, raw_path

log = logging.getLogger(__name__)

LIST_BYTES_MAX = 16 * 2**20
WAIT_S = 10.0
"""An upstream that says nothing for so long is left out: one that hangs must not hide the others' models."""


class ModelList:
    """Asks all upstreams at once. One that cannot be asked is left out; its failure stays its own."""

    def __init__(self, routes: Routes) -> None:
        self._routes = routes

    async def answer(self, scope: Scope, send: Send) -> None:
        """Raises UpstreamError if nobody answers."""
        headers = [(name.lower(), value) for name, value in scope["headers"] if name.lower() != b"accept-encoding"]
        asked = [self._listed(route, scope, headers) for route in self._routes.all]
        answers = await asyncio.gather(*asked)
        if all(models is None for models in answers):
            raise UpstreamError("no upstream lists its models")
        merged: dict[str, Any] = {}
        for route, models in zip(self._routes.all, answers, strict=True):
            for model in models or ():
                if route.serves(model["id"]):
                    merged.setdefault(model["id"], model)
        body = msgspec.json.encode({"object": "list", "data": list(merged.values())})
        said = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": said})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    async def _listed(self, route: Route, scope: Scope, headers: Headers) -> list[dict[str, Any]] | None:
        try:
            async with asyncio.timeout(WAIT_S):
                response = await route.upstream.send("GET", raw_path(scope), scope["query_string"], headers, b"")
                try:
                    return _models(response.status_code, await _whole(response))
                finally:
                    await response.aclose()
        except (UpstreamError, httpx.HTTPError, TimeoutError, *MALFORMED) as error:
            log.warning("an upstream's models are left out: %s", type(error).__name__)
            return None


def _models(status: int, body: bytes) -> list[dict[str, Any]] | None:
    listed = msgspec.json.decode(body) if status == 200 else None
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
