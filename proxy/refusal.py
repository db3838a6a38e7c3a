"""An answer in the server's own name, before any app has seen the request; and hanging up so that it is read.

To close a socket with bytes unread in it resets the connection, and the client may never see what was said to it.
"""

import asyncio
from http import HTTPStatus

from proxy.errors import ProxyError

LINGER_S = 1.0
LINGER_BYTES_MAX = 2**20


def refusal(error: ProxyError) -> bytes:
    """The whole answer."""
    body = error.body()
    head = (
        f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode("ascii") + body


class Deaf(asyncio.Protocol):
    """Takes a connection over from another protocol: what still comes is discarded, all else is told to the other."""

    def __init__(self, transport: asyncio.Transport, other: asyncio.Protocol) -> None:
        self._transport = transport
        self._other = other
        self._timer: asyncio.TimerHandle | None = None
        self._left = 0
        transport.set_protocol(self)

    def hang_up(self) -> None:
        """Our half at once; the other's half when it does so, or after a while, or so many bytes."""
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._left = LINGER_BYTES_MAX
        self._timer = asyncio.get_running_loop().call_later(LINGER_S, self._transport.close)

    def data_received(self, data: bytes) -> None:
        """Not kept."""
        if self._timer is not None:
            self._left -= len(data)
            if self._left < 0:
                self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """The end of it."""
        if self._timer is not None:
            self._timer.cancel()
        self._other.connection_lost(exc)

    def pause_writing(self) -> None:
        """An answer may still be under way."""
        self._other.pause_writing()

    def resume_writing(self) -> None:
        """Likewise."""
        self._other.resume_writing()
