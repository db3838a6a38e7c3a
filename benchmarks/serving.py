"""What the benchmarks have in common: a silent upstream that keeps the last prompt, and a proxy in front of it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.types import Receive, Scope, Send

from config.settings import load_settings
from proxy.app import create_app
from proxy.demo.serving import serve_app

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
"""Development data lies beside the checkout and is no part of it: most of it may not be redistributed."""

ANSWER = {
    "id": "chatcmpl-bench",
    "object": "chat.completion",
    "created": 1767225600,
    "model": "bench",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}


class SilentUpstream:
    """Answers every chat request alike and at once; `prompt` is the last one's messages as text."""

    def __init__(self) -> None:
        self._body = b""
        self._answer = json.dumps(ANSWER).encode()

    def prompt(self) -> str:
        """The contents of the last request's messages, a message a line."""
        return "\n".join(str(message.get("content")) for message in json.loads(self._body)["messages"])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve as an ASGI app."""
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        parts, more = [], True
        while more:
            event = await receive()
            parts.append(event.get("body", b""))
            more = event.get("more_body", False)
        self._body = b"".join(parts)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(self._answer)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": self._answer})


@asynccontextmanager
async def proxied(**overrides: Any) -> AsyncIterator[tuple[str, str, SilentUpstream]]:
    """Yields (base URL of the proxy, base URL of its upstream, the upstream); settings are defaults and overrides."""
    upstream = SilentUpstream()
    async with serve_app(upstream) as upstream_port:
        direct = f"http://127.0.0.1:{upstream_port}"
        settings = load_settings({"upstream": direct, "store": "memory://", **overrides}, environ={})
        async with serve_app(create_app(settings)) as port:
            yield f"http://127.0.0.1:{port}", direct, upstream
