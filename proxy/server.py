"""uvicorn's protocol with a bound on a request's head, and refusals in OpenAI's shape; what it is started with.

httptools keeps a header until it ends, so one that never does would fill the memory.
"""

import asyncio
from http import HTTPStatus
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from proxy.errors import BadRequestError, HeadTooLargeError, ProxyError
from proxy.websockets import MESSAGE_BYTES_MAX

HEAD_BYTES_MAX = 64 * 1024
"""What OpenAI's own API takes."""

_HEAD = b"HTTP/1.1 "


class _Gathering:
    """A transport that sends the head of an answer with what is written in the same turn of the event loop: uvicorn
    writes head and body one after the other, and a system call costs more than all that is done in between."""

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


class Protocol(HttpToolsProtocol):
    """One connection."""

    _in_head = True
    _head_bytes = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.transport = cast(asyncio.Transport, _Gathering(transport))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_head and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES_MAX:
                self._refuse(HeadTooLargeError(f"the headers are larger than {HEAD_BYTES_MAX // 1024} KiB"))

    def send_400_response(self, msg: str) -> None:
        self._refuse(BadRequestError("this is no HTTP request that can be read"))

    def _refuse(self, error: ProxyError) -> None:
        body = error.body()
        head = (
            f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode("ascii") + body)
        self.transport.close()


OPTIONS: dict[str, Any] = {
    "http": Protocol,
    "ws": "websockets-sansio",
    "ws_max_size": MESSAGE_BYTES_MAX,
    "ws_per_message_deflate": False,
    "lifespan": "on",
    "log_config": None,
    "access_log": False,
    "proxy_headers": False,  # who really asks is nothing that we tell anyone
    "server_header": False,  # the upstream's own `server` and `date` stand, not ours beside them
    "date_header": False,
}
"""For uvicorn, wherever the proxy is served."""
