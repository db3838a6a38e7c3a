"""One connection to an upstream: a request goes out, its answer comes in, one at a time. llhttp reads it (httptools).

Not chosen: a client library. To forward HTTP is what a proxy is for, and aiohttp's client took a fifth of a request and
of an event of a stream (EXPERIMENTS.md); it also writes bodies in a task of their own, and forgets what came before a
connection broke. What is hard about HTTP/1.1, reading it, is the library's still.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Self, cast

import httpx
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

Body = bytes | AsyncIterator[bytes]

_HEAD_BYTES_MAX = 2**17
"""Of an answer; llhttp has no bound of its own."""

_UNREAD_BYTES_MAX = 2**17
"""Of an answer that no one reads, before the upstream is made to wait."""

_JOINED_BYTES_MAX = 2**16
"""A body up to this is copied behind its head, which is cheaper than to write twice."""


_STATUS_MAX = 599
"""What a server may answer (RFC 9110 §15), and what ours can say."""


class Connection(asyncio.Protocol):
    """`give_back` is called when an answer was read to its end and another request may follow; `lost` at the end."""

    def __init__(self, give_back: "Callable[[Connection], None]", lost: "Callable[[Connection], None]") -> None:
        self._give_back = give_back
        self._lost = lost
        self.ended = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._parser = HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(  # as browsers do: servers are sloppy
            lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )
        self._answer: Answer | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_bytes = 0
        self._is_paused = False
        self._pouring: asyncio.Task[None] | None = None
        self._room = asyncio.Event()
        self._room.set()

    @property
    def is_open(self) -> bool:
        """Neither side has closed it."""
        return not self._transport.is_closing()

    async def ask(self, head: bytes, body: Body, *, length: int | None = None, bodyless: bool = False) -> "Answer":
        """Send a request, return its answer when the head of it is here. The caller closes it.

        A body of parts is sent as they come: `length` bytes if the head says so (httpx.LocalProtocolError where they
        are not as many, since the rest would be read out of the next request), else chunked; what its iterator raises
        is raised here. `bodyless`: a HEAD, whose answer ends with its head whatever that says, and the connection with
        it, as llhttp cannot be told. Raises httpx.RemoteProtocolError for what is not HTTP and where nothing comes; of
        an answer that has begun, reading raises that or httpx.ReadError.
        """
        answer = self._answer = Answer(self, bodyless)
        self._head_bytes = 0
        if not isinstance(body, bytes):
            self._pouring = self._loop.create_task(self._pour(head, body, length))
            self._pouring.add_done_callback(self._poured)
        elif len(body) <= _JOINED_BYTES_MAX:
            self._transport.write(head + body)
        else:
            self._transport.writelines((head, body))
        try:
            while not answer.status:
                await answer.more()
        except BaseException:
            self.release(answer)
            raise
        return answer

    def release(self, answer: "Answer") -> None:
        """No one reads this answer any more: back to the pool if it is whole, else closed, which ends it upstream."""
        if answer is not self._answer:
            return
        self._answer = None
        if self._pouring is not None:
            self._pouring.cancel()
        if answer.is_whole and answer.may_follow and self._pouring is None and self.is_open:
            self.resume()
            self._give_back(self)
        else:
            self.close()

    def close(self) -> None:
        """At once: what was not written yet will not be."""
        if self._answer is not None:
            self._answer.fail(httpx.ReadError("the connection was closed"))
        self._transport.abort()

    def pause(self) -> None:
        """The upstream has to wait."""
        if not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """It need not any more."""
        if self._is_paused:
            self._is_paused = False
            self._transport.resume_reading()

    # --- writing

    async def _pour(self, head: bytes, parts: AsyncIterator[bytes], length: int | None) -> None:
        """The head goes with the first part: who hangs up before that has asked nothing."""
        chunked, sent = length is None, 0
        async for part in parts:
            sent += len(part)
            if length is not None and sent > length:
                break
            if part:
                self._transport.write(head + (b"%x\r\n%b\r\n" % (len(part), part) if chunked else part))
                head = b""
                await self._room.wait()
        if length is not None and sent != length:
            raise httpx.LocalProtocolError("its body is not as long as it says")
        self._transport.write(head + (b"0\r\n\r\n" if chunked else b""))

    def _poured(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is None and not task.cancelled():
            self._pouring = None
        elif error is not None and self._answer is not None:
            self._answer.fail(error)

    # --- what asyncio tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    def data_received(self, data: bytes) -> None:
        answer = self._answer
        if answer is None:  # no one asked
            self.close()
            return
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            answer.may_follow = False
            answer.fail(httpx.RemoteProtocolError(type(error).__name__))
        if not answer.status:
            self._head_bytes += len(data)
            if self._head_bytes > _HEAD_BYTES_MAX:
                answer.fail(httpx.RemoteProtocolError("the head of the answer is too long"))
        answer.wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost(self)
        self.ended.set()
        self._room.set()
        if self._pouring is not None:
            self._pouring.cancel()
        if self._answer is not None:
            self._answer.break_off(exc)

    # --- what httptools tells

    def on_message_begin(self) -> None:
        self._headers = []
        if self._answer is not None and self._answer.status:  # what follows an answer would be read as the next one's
            self._answer.may_follow = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        headers, self._headers = self._headers, []  # trailers are not among them
        if self._answer is None or status < 200:  # 100 and 103 only announce an answer
            return
        if status > _STATUS_MAX:
            self._answer.fail(httpx.RemoteProtocolError("no such status"))
        else:
            self._answer.begin(status, headers)

    def on_body(self, body: bytes) -> None:
        if self._answer is not None:
            self._answer.hear(body)

    def on_message_complete(self) -> None:
        if self._answer is not None and self._answer.status:
            self._answer.end(may_follow=self._parser.should_keep_alive())


class Answer(httpx.AsyncByteStream):
    """The answer to one request: `status` and `headers`, then the body in the pieces in which it came.

    Its own iterator: a generator would cost as much as a piece.
    """

    def __init__(self, connection: Connection, bodyless: bool) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.is_whole = False
        self.may_follow = False
        self._connection = connection
        self._bodyless = bodyless
        self._pieces: list[bytes] = []
        self._unread = 0
        self._error: BaseException | None = None
        self._waiter: asyncio.Future[None] | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while not self._pieces:
            if self.is_whole:
                raise StopAsyncIteration
            await self.more()
        pieces, self._pieces = self._pieces, []
        self._unread = 0
        self._connection.resume()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    @property
    def is_read(self) -> bool:
        """It is whole, and nothing of it is left to be read."""
        return self.is_whole and not self._pieces and self._error is None

    async def aclose(self) -> None:
        """Give the connection back, or end the generation."""
        self._connection.release(self)

    async def more(self) -> None:
        """Wait for something to happen; raises the error that did."""
        if self._error is not None:
            raise self._error
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def wake(self) -> None:
        """Something has happened."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def begin(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """Its head is here; the head of anything after it is none of ours."""
        if self.status:
            return
        self.status, self.headers = status, headers
        self.is_whole = self._bodyless

    def hear(self, piece: bytes) -> None:
        """A piece of its body."""
        if self.is_whole:
            self.may_follow = False
            return
        self._pieces.append(piece)
        self._unread += len(piece)
        if self._unread > _UNREAD_BYTES_MAX:
            self._connection.pause()

    def end(self, *, may_follow: bool) -> None:
        """It is whole."""
        self.may_follow = may_follow and not self.is_whole
        self.is_whole = True

    def fail(self, error: BaseException) -> None:
        """Nothing more will come, unless it is whole already."""
        if not self.is_whole and self._error is None:
            self._error = error
        self.wake()

    def break_off(self, error: Exception | None) -> None:
        """The connection has ended, and with it an answer that says nothing about where it ends."""
        if self.status and error is None and self._error is None and not _is_framed(self.headers):
            self.end(may_follow=False)
        kind = httpx.ReadError if self.status else httpx.RemoteProtocolError
        self.fail(kind(type(error).__name__ if error else "the connection ended"))


def _is_framed(headers: list[tuple[bytes, bytes]]) -> bool:
    return any(
        name.lower() == b"content-length" or (name.lower() == b"transfer-encoding" and b"chunked" in value.lower())
        for name, value in headers
    )
