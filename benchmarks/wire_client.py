"""A client that costs little: one keep-alive connection, requests written as bytes, the times of what comes back."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

KEY = "sk-bench-0123456789abcdef"
"""Checked by peers that will not start without one."""


@dataclass(slots=True)
class Heard:
    """One answer. Times in seconds from when the request was written: first byte of the body, each piece, the end."""

    status: int = 0
    pieces: list[float] = field(default_factory=list)
    end: float = 0.0

    @property
    def first(self) -> float:
        """When the first byte of the body came."""
        return self.pieces[0]

    @property
    def gaps(self) -> list[float]:
        """Between one piece and the next."""
        return [after - before for before, after in zip(self.pieces, self.pieces[1:], strict=False)]


class Connection(asyncio.Protocol):
    """Ask one thing at a time."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._tail = b""
        self._in_body = False
        self._left: int | None = None
        self._answer: asyncio.Future[Heard] | None = None
        self._heard = Heard()
        self._started = 0.0

    @classmethod
    async def open(cls, port: int) -> "Connection":
        """Connect to 127.0.0.1."""
        _, made = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        return made

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport  # uvloop's is none of asyncio's own classes

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc if exc is not None else ConnectionResetError("closed in mid-answer"))

    async def ask(self, request: bytes) -> Heard:
        """Send a whole request, wait for the whole answer."""
        self._answer = asyncio.get_running_loop().create_future()
        self._heard = Heard()
        self._head.clear()
        self._in_body, self._left, self._tail = False, None, b""
        self._started = time.perf_counter()
        self.transport.write(request)
        return await self._answer

    def close(self) -> None:
        """Hang up."""
        self.transport.close()

    def data_received(self, data: bytes) -> None:
        if not self._in_body:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return
            head, data = bytes(self._head[:end]).lower(), bytes(self._head[end + 4 :])
            self._in_body = True
            self._heard.status = int(head[9:12])
            place = head.find(b"content-length:")
            self._left = int(head[place + 15 :].split(b"\r\n", 1)[0]) if place >= 0 else None
        if data:
            self._body(data)

    def _body(self, data: bytes) -> None:
        now = time.perf_counter() - self._started
        self._heard.pieces.append(now)
        if self._left is not None:
            self._left -= len(data)
            ended = self._left <= 0
        else:
            self._tail = (self._tail + data)[-5:]
            ended = self._tail == b"0\r\n\r\n"
        if ended and self._answer is not None and not self._answer.done():
            self._heard.end = now
            self._answer.set_result(self._heard)


def post(body: bytes, headers: dict[str, str]) -> bytes:
    """A chat request as bytes."""
    named = {
        "host": "127.0.0.1",
        "content-type": "application/json",
        "authorization": f"Bearer {KEY}",
        "content-length": str(len(body)),
        **headers,
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return f"POST /v1/chat/completions HTTP/1.1\r\n{lines}\r\n".encode() + body
