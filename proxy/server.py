"""uvicorn's protocol with a bound on a request's head, and refusals in OpenAI's shape; what it is started with.

httptools keeps a header until it ends, so one that never does would fill the memory.
"""

from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from proxy.errors import BadRequestError, HeadTooLargeError, ProxyError
from proxy.websockets import MESSAGE_BYTES_MAX

HEAD_BYTES_MAX = 64 * 1024
"""What OpenAI's own API takes."""


class Protocol(HttpToolsProtocol):
    """One connection."""

    _in_head = True
    _head_bytes = 0

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
    "server_header": False,  # the upstream's own `server` and `date` stand, not ours beside them
    "date_header": False,
}
"""For uvicorn, wherever the proxy is served."""
