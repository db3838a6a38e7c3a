"""Who does not read is not read for: what an upstream sends waits there, not in our memory."""

import asyncio
import json
from urllib.parse import urlsplit

import pytest
from starlette.types import Receive, Scope, Send

from tests.support import upstreams
from tests.support.proxying import CHAT, HELLO, eventually, proxied

PIECE = b'data: {"choices": [{"index": 0, "delta": {"content": "' + b"x" * 60_000 + b'"}}]}\n\n'
PIECES = 3_000
HELD_MAX = 60_000_000
"""Bytes that may be on their way: Linux lets the sockets' buffers on both sides of the proxy grow to some 20 MB; of
its own it holds less than 1 MB (tests/proxy/sockets). All is 180 MB."""


class Pours:
    """Sends as fast as it may."""

    def __init__(self) -> None:
        self.sent = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        await send({"type": "http.response.start", "status": 200, "headers": list(upstreams.SSE)})
        for _ in range(PIECES):
            await send({"type": "http.response.body", "body": PIECE, "more_body": True})
            self.sent += len(PIECE)
        await send({"type": "http.response.body", "body": b""})


@pytest.mark.parametrize("path", [CHAT, "/v1/completions"])
async def test_a_reader_that_stops_stops_the_upstream(path: str):
    pours = Pours()
    async with proxied(pours) as pair:
        address = urlsplit(pair.url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port, limit=1024)
        body = json.dumps({"model": "m", "messages": HELLO, "stream": True}).encode()
        writer.write(f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
        await reader.readuntil(b"data: ")
        before = -1

        async def still() -> bool:
            nonlocal before
            stands, before = before == pours.sent > 0, pours.sent
            await asyncio.sleep(0.2)
            return stands

        await eventually(still)
        assert pours.sent < HELD_MAX
        stopped_at = pours.sent
        for _ in range(400):
            await reader.read(65_536)
        await asyncio.sleep(0.2)
        assert pours.sent > stopped_at
        writer.close()
