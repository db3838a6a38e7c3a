"""/healthz, /readyz and /metrics: what an operator's machines ask."""

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from memory_core.stores import Store, StoreError
from proxy.metrics import Metrics


class Watch:
    """The ASGI app for our own paths that machines watch."""

    def __init__(self, metrics: Metrics, store: Store) -> None:
        self._metrics = metrics
        self._store = store

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one of the three."""
        response = await self._respond(Request(scope))
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        path = request.url.path
        if path == "/healthz":
            return PlainTextResponse("ok\n")
        if path == "/metrics":
            return Response(self._metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")
        return await self._ready()

    async def _ready(self) -> Response:
        """503 while the store is away: requests still go through, but nothing is remembered."""
        try:
            await self._store.conversations(1)
        except StoreError as error:
            return JSONResponse({"ready": False, "store": str(error)}, status_code=503)
        return JSONResponse({"ready": True, "store": "ok"})
