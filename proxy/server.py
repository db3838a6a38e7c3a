"""uvicorn's protocol, with bounds on what a client may send around a body, and refusals in OpenAI's shape.

httptools keeps a header until it ends, so one that never does would fill the memory; uvicorn takes what stands after
a chunked body for headers, and forgets the body of a request that would rather speak another protocol.
"""

import asyncio
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from proxy.close_delimited import CloseDelimitedCycle
from proxy.errors import BadRequestError, HeadTooLargeError, ProxyError, RequestTimeoutError
from proxy.gathering import Gathering
from proxy.refusal import Deaf, refusal
from proxy.request_head import TELLING, announces_body, fault, fits_websockets, waits_for_100, without_upgrade
from proxy.websockets import MESSAGE_BYTES_MAX

HEAD_BYTES_MAX = 64 * 1024
"""What OpenAI's own API takes."""

HEAD_TIMEOUT_S = 30.0
"""From the connection, or from the first byte of a later request, until its head is whole."""

BODY_TIMEOUT_S = 60.0
"""Between two parts of a body, while there is room for them."""

_FRAMING_PER_BYTE = 16
"""What may surround a byte of a body: a chunk of one byte has five; more than this is no way to send a body."""


class Protocol(HttpToolsProtocol):
    """One connection."""

    head_timeout_s = HEAD_TIMEOUT_S
    body_timeout_s = BODY_TIMEOUT_S

    _in_head = False
    _spare = 0  # bytes that came for neither a whole head nor a body
    _head_timer: asyncio.TimerHandle | None = None
    _plain_head: bytes | None = None  # of a request whose wish for another protocol is ignored, to be read again
    _telling: list[tuple[bytes, bytes]]
    _body_timer: asyncio.TimerHandle | None = None
    _heard_at = 0.0
    _earlier: tuple[Any, ...] = ()  # cycles that were not through when the next request came

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.transport = cast(asyncio.Transport, Gathering(transport))
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._await_no_head()
        if self._body_timer is not None:
            self._body_timer.cancel()
        super().connection_lost(exc)
        for cycle in self._earlier:  # uvicorn tells the newest alone, which has not even begun
            cycle.disconnected = True
            cycle.message_event.set()

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        self._spare += len(data)
        try:
            self._read(data)
        except httptools.HttpParserError as error:
            self.logger.warning("Invalid HTTP request received.")
            ours = error.__context__
            unreadable = BadRequestError("this is no HTTP request that can be read")
            self._refuse(ours if isinstance(ours, ProxyError) else unreadable)
        else:
            if self._spare:
                self._check_spare()
            if self.cycle is not None and self.cycle.more_body:
                self._await_body()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._telling = True, []
        self._spare = self._spare or 1  # where a body or a whole request came with it, that much is enough to see it

    def on_header(self, name: bytes, value: bytes) -> None:
        name, value = name.lower(), value.rstrip(b" \t")  # llhttp leaves what may stand behind a value
        self.headers.append((name, value))
        if name in TELLING:
            self._telling.append((name, value))

    def on_headers_complete(self) -> None:
        if len(self._telling) != 1 or self._telling[0][0] != b"host":
            self._judge()
        upgrade = self.parser.should_upgrade()
        if upgrade and not self._is_websocket():
            self._plain_head = self._without_upgrade()
            return
        if self._is_answering():
            self._earlier = (*[cycle for cycle in self._earlier if not cycle.response_complete], self.cycle)
        super().on_headers_complete()
        self._in_head, self._spare = False, 0
        if self._head_timer is not None:
            self._await_no_head()
        if not upgrade:
            self.headers = []  # for the trailers, which are dropped
            if self.scope["http_version"] != "1.1":
                self.cycle.__class__ = CloseDelimitedCycle  # its task has not begun
                self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        if self._spare:
            self._spare = max(0, self._spare - _FRAMING_PER_BYTE * len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._spare = 0
        if self._plain_head is None:
            super().on_message_complete()
            if self.cycle is not None and self.cycle.response_complete:
                self._await_head()  # the answer came first, and with this body uvicorn's own timer was stopped

    def handle_websocket_upgrade(self) -> None:
        self._await_no_head()
        super().handle_websocket_upgrade()

    def _read(self, data: bytes | memoryview) -> None:
        """Raises HttpParserError, its context being what a callback raised."""
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                if self._plain_head is None:
                    self.handle_websocket_upgrade()
                    return
                # httptools skips the body of such a request, and would read it as the next one
                head, self._plain_head = self._plain_head, None
                data = memoryview(data)[upgrade.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's own
                self.parser.feed_data(head)
            else:
                return

    def _judge(self) -> None:
        """Raises ProxyError."""
        version = self.parser.get_http_version()
        error = fault(self._telling, version)
        if error is not None:
            raise error
        self.expect_100_continue = version == "1.1" and waits_for_100(self._telling)

    def _is_websocket(self) -> bool:
        """One that can be served as such; any other is a plain request."""
        return (
            self._should_upgrade()
            and self.parser.get_method() == b"GET"
            and self.parser.get_http_version() == "1.1"
            and not announces_body(self.headers)
            and fits_websockets(self.url, self.headers)
            and not self._is_answering()
        )

    def _without_upgrade(self) -> bytes:
        method = self.parser.get_method()
        if method == b"CONNECT":  # for httptools it is an upgrade
            raise BadRequestError("this is no proxy that connects to other hosts")
        return without_upgrade(method, self.url, self.parser.get_http_version(), self.headers)

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _check_spare(self) -> None:
        """The data ended within a head, trailers, a chunk's framing, or between two requests."""
        if self._spare > HEAD_BYTES_MAX:
            what = "headers" if self._in_head else "trailers, or what stands around the chunks,"
            self._refuse(HeadTooLargeError(f"the {what} are larger than {HEAD_BYTES_MAX // 1024} KiB"))
        elif self._in_head or not self._is_answering():
            self._await_head()

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_timeout_s, self._no_head_came)

    def _await_body(self) -> None:
        self._heard_at = self.loop.time()
        if self._body_timer is None:
            self._body_timer = self.loop.call_later(self.body_timeout_s, self._no_body_came)

    def _no_body_came(self) -> None:
        self._body_timer = None
        if self.cycle is None or not self.cycle.more_body:
            return
        left = self._heard_at + self.body_timeout_s - self.loop.time()
        if self.flow.read_paused or left > 0:
            again_s = self.body_timeout_s if self.flow.read_paused else left
            self._body_timer = self.loop.call_later(again_s, self._no_body_came)
        else:
            self._refuse(RequestTimeoutError(f"no more of the body came within {self.body_timeout_s:g} s"))

    def _await_no_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _no_head_came(self) -> None:
        self._head_timer = None
        if self._is_answering():  # it was asked for early, and may not even be read yet
            self._await_head()
        elif self._in_head:
            self._refuse(RequestTimeoutError(f"the headers did not come within {self.head_timeout_s:g} s"))
        else:
            self.transport.close()

    def _refuse(self, error: ProxyError) -> None:
        """And hang up; but nothing is written into an answer that is under way."""
        self._await_no_head()
        if self.transport.is_closing():
            return
        cycle = self.cycle
        if self._is_answering() and not cycle.more_body:
            cycle.keep_alive = False  # the request before this one is a good one
            Deaf(self.transport, self)
        elif cycle is not None and not self._in_head and (cycle.response_started or self.pipeline):
            self.transport.close()
        else:
            if self._is_answering():
                cycle.disconnected = True
                cycle.message_event.set()
            self.flow.resume_reading()
            self.transport.write(refusal(error))
            Deaf(self.transport, self).hang_up()


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
