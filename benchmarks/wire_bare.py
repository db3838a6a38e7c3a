"""The least that a proxy in Python does: uvicorn, aiohttp, and nothing in between. What the machine itself costs.

python -m benchmarks.wire_bare PORT UPSTREAM
"""

import sys

import aiohttp
import uvicorn
from starlette.types import Receive, Scope, Send


class Bare:
    """Body, headers and answer passed on; no time-outs, no limits, no cares."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._session: aiohttp.ClientSession

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request; /healthz is its own."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if scope["path"] == "/healthz":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"ok"})
            return
        body, more = b"", True
        while more:
            event = await receive()
            body += event.get("body", b"")
            more = event.get("more_body", False)
        kept = {k.decode(): v.decode() for k, v in scope["headers"] if k not in (b"host", b"content-length")}
        async with self._session.request(
            scope["method"], self._upstream + scope["path"], data=body, headers=kept
        ) as answer:
            headers = [(name, value) for name, value in answer.raw_headers if name.lower() != b"transfer-encoding"]
            await send({"type": "http.response.start", "status": answer.status, "headers": headers})
            async for chunk in answer.content.iter_any():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), auto_decompress=False)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._session.close()
        await send({"type": "lifespan.shutdown.complete"})


if __name__ == "__main__":
    uvicorn.run(Bare(sys.argv[2]), port=int(sys.argv[1]), log_level="error", access_log=False)
