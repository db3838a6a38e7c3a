"""Bytes by hand to uvicorn with our protocol: what the app was asked, and what came back."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.server import ServerState

from proxy.server import OPTIONS, Protocol

Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Asked:
    """An app that answers with the body it was sent, and keeps what it was asked."""

    paths: list[str] = field(default_factory=list)
    headers: list[list[tuple[bytes, bytes]]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            event = await receive()
            if event["type"] == "http.disconnect":
                return
            body += event.get("body", b"")
            more = event.get("more_body", False)
        self.paths.append(f"{scope['method']} {scope['path']}")
        self.headers.append([*scope["headers"]])
        self.bodies.append(body)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class Streams:
    """Begins its answer at once, and ends it when told to; keeps whether the client was seen to leave."""

    def __init__(self, *, at_once: bool = True) -> None:
        self.at_once = at_once
        self.asked, self.go_on, self.left = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked.set()
        watching = asyncio.create_task(self._watch(receive))
        if self.at_once:
            await self._begin(send)
        await self.go_on.wait()
        if not self.at_once:
            await self._begin(send)
        await send({"type": "http.response.body", "body": b"second", "more_body": False})
        watching.cancel()

    async def _begin(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"11")]})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})

    async def _watch(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            continue
        self.left.set()


@dataclass
class Client:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes, *, cut: int = 0) -> None:
        """In pieces of `cut` bytes, each read by itself."""
        size = cut or len(data) or 1
        for start in range(0, len(data), size):
            self.writer.write(data[start : start + size])
            await self.writer.drain()
            await asyncio.sleep(0.001 if cut else 0)

    async def answer(self) -> Answer:
        """The next, by its length or its chunks."""
        async with asyncio.timeout(10):
            status, headers = await self.head()
            if "content-length" in headers:
                return status, headers, await self.reader.readexactly(int(headers["content-length"]))
            body = b""
            while size := int(await self.reader.readuntil(b"\r\n"), 16):
                body += (await self.reader.readexactly(size + 2))[:-2]
            await self.reader.readexactly(2)
            return status, headers, body

    async def head(self) -> tuple[int, dict[str, str]]:
        """Of the next answer: status and headers."""
        line, *lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        return int(line.split()[1]), {name: value for name, _, value in (line.partition(": ") for line in lines)}

    async def rest(self) -> bytes:
        """All that comes until the server closes."""
        return await asyncio.wait_for(self.reader.read(), 10)


@asynccontextmanager
async def talking(app: ASGIApp, protocol: type[Protocol] = Protocol) -> AsyncIterator[Client]:
    """A connection to the app, as uvicorn serves it with this protocol."""
    options: dict[str, Any] = {**OPTIONS, "http": protocol, "lifespan": "off"}
    config = uvicorn.Config(app, log_level="critical", **options)
    config.load()
    state = ServerState()
    server = await asyncio.get_running_loop().create_server(lambda: protocol(config, state, {}), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    try:
        yield Client(reader, writer)
    finally:
        writer.close()
        server.close()
        async with asyncio.timeout(10):
            while state.connections or state.tasks:  # every connection ends, whatever was said
                await asyncio.sleep(0.001)


def error_of(answer: Answer) -> tuple[int, str]:
    """Status and code of a refusal, which ends its connection."""
    status, headers, body = answer
    assert headers["connection"] == "close"
    return status, json.loads(body)["error"]["code"]
