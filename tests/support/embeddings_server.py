"""A real `/v1/embeddings` on a free port, which answers with the vectors of an embedder, or misbehaves."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import uvicorn

from embedders import Embedder

Json = dict[str, Any]


class EmbeddingsServer:
    """What tests see and turn: `requests` (payload and headers), `status`, `hold`, `change`."""

    def __init__(self, embedder: Embedder) -> None:
        self.url = ""
        self.requests: list[tuple[Json, dict[str, str]]] = []
        self.status = 200
        self.hold: asyncio.Event | None = None
        """Answers wait for it, when set."""
        self.change: Callable[[Json], Json | bytes] = lambda reply: reply
        """Applied to every answer; bytes are sent as they are."""
        self._embedder = embedder

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        body = b""
        while (message := await receive()).get("more_body", False):
            body += message["body"]
        payload = json.loads((body + message["body"]).decode("utf-8"))
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.requests.append((payload, headers))
        if self.hold is not None:
            await self.hold.wait()
        status = self.status if scope["path"] == "/v1/embeddings" else 404
        # An error quotes what was sent, as some servers do, so that tests can see it leak.
        answer: Json | bytes = {"error": {"message": f"{payload} {headers}"}}
        if status == 200:
            answer = self.change(await self._reply(payload["input"]))
        raw = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": raw})

    async def _reply(self, texts: list[str]) -> Json:
        vectors = await self._embedder.embed(texts)
        rows = [
            # Not of unit length, and not in order: neither is promised by anyone.
            {"object": "embedding", "index": index, "embedding": (3.0 * vectors[index]).tolist()}
            for index in reversed(range(len(texts)))
        ]
        return {"object": "list", "data": rows, "model": "test", "usage": {"prompt_tokens": 1}}


@asynccontextmanager
async def serve_embeddings(embedder: Embedder) -> AsyncIterator[EmbeddingsServer]:
    """Serve `embedder` (not closed here) on 127.0.0.1 until the block ends."""
    app = EmbeddingsServer(embedder)
    config = uvicorn.Config(app, log_level="warning", lifespan="off", ws="none", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        # It listens already, so a client that is faster than uvicorn only waits in the backlog.
        app.url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            yield app
        finally:
            server.should_exit = True
            await serving
