"""A transport that sends the head of an answer with what is written in the same turn of the event loop.

uvicorn writes head and body one after the other, and a system call costs more than all that is done in between.
"""

import asyncio
from typing import Any

_HEAD = b"HTTP/1.1 "


class Gathering:
    """Around another, to which goes all that is not named here."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._head = b""

    def write(self, data: bytes) -> None:
        """At once, unless it is a head; a body that looks like one only waits for the next turn."""
        if not self._head and data.startswith(_HEAD):
            self._head = data
            self._loop.call_soon(self._flush)
        elif self._head:
            head, self._head = self._head, b""
            self._transport.write(head + data)
        else:
            self._transport.write(data)

    def write_eof(self) -> None:
        """After what was written."""
        self._flush()
        self._transport.write_eof()

    def close(self) -> None:
        """After what was written."""
        self._flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def _flush(self) -> None:
        if self._head:
            head, self._head = self._head, b""
            self._transport.write(head)
