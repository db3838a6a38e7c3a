"""One WebSocket to an upstream: the library's protocol, which does no I/O, on a transport of ours.

No pings are sent: the server's find a dead client, TCP's own keep-alive a dead upstream.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import cast

from websockets.client import ClientProtocol
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State

from proxy.errors import UpstreamError
from proxy.headers import Headers

_UNREAD_BYTES_MAX = 2**17
"""Of messages that the client does not take, before the upstream is made to wait; and one more, which may be long."""

_MESSAGE_COSTS = 256
"""In bytes, however short it is."""

_STALL_S = 60.0
"""An upstream that takes nothing for so long is dead; the client would else not be heard hanging up."""

_CLOSING_S = 10.0
"""For the other side to close as well."""


class RefusedError(Exception):
    """The upstream's answer to an upgrade is another than 101."""

    def __init__(self, status: int, headers: Headers, body: bytes) -> None:
        super().__init__(status)
        self.status = status
        self.headers = headers
        self.body = body


class WebSocketConnection(asyncio.Protocol):
    """Messages whole, whatever their frames were; pings are answered, closing frames too."""

    def __init__(self, protocol: ClientProtocol) -> None:
        self._protocol = protocol
        self._transport: asyncio.Transport
        self._response: Response | None = None
        self._answered = asyncio.Event()
        self._messages: deque[str | bytes] = deque()
        self._unread = 0
        self._arrived = asyncio.Event()
        self._is_over = False
        self._fragments = bytearray()  # joined as they come: of a byte each they would be many times their size
        self._is_text = False
        self._is_paused = False
        self._room = asyncio.Event()
        self._room.set()
        self._pong = b""
        self._lost = asyncio.Event()

    @property
    def subprotocol(self) -> str | None:
        """The one that the upstream chose."""
        return self._protocol.subprotocol

    @property
    def headers(self) -> Headers:
        """Of the answer that opened it."""
        return _raw(self._response) if self._response is not None else []

    @property
    def end(self) -> tuple[int, str]:
        """Code and reason: the upstream's, or ours for what it may not say; 1006 where it broke off."""
        close = self._protocol.close_rcvd or self._protocol.close_sent
        return (close.code, close.reason) if close is not None else (CloseCode.ABNORMAL_CLOSURE, "")

    async def shake_hands(self, lines: bytes) -> None:
        """Ask for the upgrade with these headers, behind those that make it one. Raises RefusedError, and UpstreamError
        for what is no answer."""
        head = self._protocol.connect().serialize()
        self._transport.write(head[: -len(b"\r\n")] + lines + b"\r\n")
        await self._answered.wait()
        answer = self._response
        if answer is not None and answer.status_code >= 200:
            raise RefusedError(answer.status_code, _raw(answer), bytes(answer.body))
        if answer is None or self._protocol.handshake_exc is not None:
            raise UpstreamError(f"the upstream's answer is no upgrade: {self._protocol.handshake_exc}")

    async def receive(self) -> str | bytes | None:
        """The next message; None when there will be none."""
        while not self._messages:
            if self._is_over:
                return None
            self._arrived.clear()
            await self._arrived.wait()
        message = self._messages.popleft()
        if not self._messages:
            self._resume()
        return message

    async def send(self, message: str | bytes) -> None:
        """Returns when there is room for another one. Nobody hears what is said after the end."""
        if self._protocol.state is not State.OPEN:
            return
        if isinstance(message, str):
            self._protocol.send_text(message.encode())
        else:
            self._protocol.send_binary(message)
        self._write(self._protocol.data_to_send())
        try:
            async with asyncio.timeout(_STALL_S):
                await self._room.wait()
        except TimeoutError:
            self.abort()

    async def close(self, code: int, reason: str = "") -> None:
        """Unless it is closed already; nothing more is received. Waits for the other side, within bounds."""
        self._messages.clear()
        self._finish()
        self._resume()
        try:
            if self._protocol.state is State.OPEN:
                self._protocol.send_close(code, reason)
                self._write(self._protocol.data_to_send())
            with suppress(TimeoutError):
                async with asyncio.timeout(_CLOSING_S):
                    await self._lost.wait()
        finally:
            self.abort()

    def abort(self) -> None:
        """At once, without a word."""
        self._transport.abort()

    # --- what asyncio tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()
        pong, self._pong = self._pong, b""
        if self._protocol.state is State.OPEN:
            self._write([pong])

    def data_received(self, data: bytes) -> None:
        self._protocol.receive_data(data)
        self._go_on()

    def eof_received(self) -> None:
        self._protocol.receive_eof()
        self._go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        self._protocol.receive_eof()
        self._go_on()
        self._answered.set()
        self._room.set()
        self._lost.set()

    # --- what the protocol makes of it

    def _go_on(self) -> None:
        for event in self._protocol.events_received():
            if isinstance(event, Response):
                self._response = event
            elif isinstance(event, Frame) and event.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                self._hear(event)
        replies = [reply for reply in self._protocol.data_to_send() if reply]
        if self._room.is_set() or self._protocol.state is not State.OPEN:
            self._write(replies)
        elif replies:  # to pings, of an upstream that does not read: to answer the last will do (RFC 6455 §5.5.3)
            self._pong = replies[-1]
        if self._protocol.state is not State.CONNECTING or self._protocol.handshake_exc is not None:
            self._answered.set()
        if self._protocol.state in (State.CLOSING, State.CLOSED):
            self._finish()
        if self._protocol.close_rcvd is not None:  # and it has its answer: not all servers hang up first
            self._transport.close()

    def _hear(self, frame: Frame) -> None:
        if frame.opcode is not Opcode.CONT:
            self._is_text = frame.opcode is Opcode.TEXT
        self._fragments += frame.data
        if not frame.fin:
            return
        message, self._fragments = bytes(self._fragments), bytearray()
        if self._is_over:
            return
        try:
            self._messages.append(message.decode() if self._is_text else message)
        except UnicodeDecodeError:
            self._protocol.fail(CloseCode.INVALID_DATA, "the text is no UTF-8")
            self._finish()
        self._arrived.set()
        self._unread += len(message) + _MESSAGE_COSTS
        if self._unread > _UNREAD_BYTES_MAX and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()

    def _finish(self) -> None:
        self._is_over = True
        self._arrived.set()

    def _resume(self) -> None:
        self._unread = 0
        if self._is_paused:
            self._is_paused = False
            self._transport.resume_reading()

    def _write(self, data: Sequence[bytes]) -> None:
        """An end of the stream, which the library writes as b"", is for who owns the transport to make."""
        joined = b"".join(data)
        if joined and not self._transport.is_closing():
            self._transport.write(joined)


def _raw(response: Response) -> Headers:
    """Its headers as they came: the library decodes bytes beyond ASCII as surrogates."""
    return [(name.encode(), value.encode("ascii", "surrogateescape")) for name, value in response.headers.raw_items()]
