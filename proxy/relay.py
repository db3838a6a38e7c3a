"""Bytes to the client as they came, a copy to the collector; and an eye on the client, who may hang up.

uvicorn answers a hang-up with a `http.disconnect` message that nobody sees unless someone reads, and Starlette's
non-streaming path does not: so each request is run beside a watcher, and the hang-up cancels it, whatever it waits
for. Closing the upstream's response then ends the generation there.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

import httpx
from starlette.types import Receive, Send

from proxy.errors import BodyTooLargeError, ProxyError, UpstreamError
from proxy.headers import Headers, header
from proxy.patience import Timed, ended

_LAST = (b"[DONE]", b"response.completed", b"response.incomplete", b"response.failed")
"""What the end of a stream says, of chat and of responses."""

_LAST_BYTES_MAX = max(map(len, _LAST))

AFTER_LAST_S = 0.25
"""Servers end a stream with what they call its last event, or right after it; one that is kept open all the same must
not keep a client waiting that reads no further than that event."""


class ClientGoneError(Exception):
    """The client hung up."""


async def read_body(receive: Receive, bytes_max: int) -> bytes:
    """The whole request body; raises BodyTooLargeError past the cap, ClientGoneError if the client hangs up."""
    parts = []
    size = 0
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise ClientGoneError
        part = event.get("body", b"")
        size += len(part)
        if size > bytes_max:
            raise BodyTooLargeError(f"the body is larger than {bytes_max // 2**20} MiB")
        parts.append(part)
        if not event.get("more_body", False):
            return b"".join(parts)


async def until_gone(receive: Receive, work: Coroutine[Any, Any, None]) -> None:
    """Run `work`, cancelled if the client hangs up; its errors are raised here."""
    here = asyncio.current_task()
    gone = False

    async def watch() -> None:
        nonlocal gone
        while (await receive())["type"] != "http.disconnect":
            continue
        gone = True
        if here is not None:
            here.cancel()

    watcher = asyncio.get_running_loop().create_task(watch())
    try:
        await work
    except asyncio.CancelledError:
        if not gone or here is None or here.uncancel() > 0:  # someone else cancelled us as well
            raise
    finally:
        watcher.cancel()
        watcher.add_done_callback(lambda task: task.cancelled() or task.exception())


async def relay(
    response: httpx.Response,
    send: Send,
    *,
    headers: Headers,
    read_along: Callable[[bytes], None],
    before_end: Callable[[], Awaitable[None]],
    hold: bool = False,
) -> None:
    """Send an upstream's response on: its status, these headers, its bytes. Closes it, whatever happens.

    To `hold` is to keep a chunk that could be the last until `before_end` has returned; of a stream only one that says
    so, and where nothing follows for AFTER_LAST_S though the upstream does not end, that was the end. Else none waits
    for the next. Raises UpstreamError if the upstream breaks off or the whole takes too long, even to be read; the
    client then sees its connection break, as it would have without us.
    """
    pieces = _Pieces(response.stream)
    try:
        await send(
            {"type": "http.response.start", "status": response.status_code, "headers": _framed(response, headers)}
        )
        holding = _Holding(headers) if hold else None
        last = b""
        while (chunk := await _next(pieces, send, last)) is not None:
            if last:
                await send({"type": "http.response.body", "body": last, "more_body": True})
            read_along(chunk)
            last = chunk
            if _is_whole(response.stream):
                break
            if holding is not None and holding.may_end(chunk):
                if not holding.is_stream or await pieces.more_within(AFTER_LAST_S):
                    continue
                await before_end()
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
            last = b""
        await before_end()
        await send({"type": "http.response.body", "body": last, "more_body": False})
    except asyncio.CancelledError:
        if isinstance(response.stream, Timed) and response.stream.was_late():
            raise UpstreamError("the answer took too long, or was not read") from None
        raise
    finally:
        pieces.close()
        await response.aclose()


class _Pieces:
    """The pieces of an answer, one of which may be waited for before it is asked for."""

    def __init__(self, stream: object) -> None:
        if not isinstance(stream, httpx.AsyncByteStream):
            raise UpstreamError("the upstream's answer cannot be read")
        self._pieces: AsyncIterator[bytes] = aiter(stream)
        self._coming: asyncio.Task[bytes | None] | None = None

    async def next(self) -> bytes | None:
        """None at the end."""
        if self._coming is None:
            return await anext(self._pieces, None)
        coming, self._coming = self._coming, None
        try:
            return await coming
        finally:
            coming.cancel()

    async def more_within(self, seconds: float) -> bool:
        """Whether the next, or the end, comes as soon as that; it is not lost where it comes later."""
        if self._coming is None:
            self._coming = asyncio.create_task(self._ahead())
        await ended(self._coming, within_s=seconds)
        return self._coming.done()

    def close(self) -> None:
        """Wait no more."""
        if self._coming is not None:
            self._coming.cancel()
            self._coming.add_done_callback(lambda task: task.cancelled() or task.exception())

    async def _ahead(self) -> bytes | None:
        return await anext(self._pieces, None)


async def _next(pieces: _Pieces, send: Send, held: bytes) -> bytes | None:
    """The next chunk; where the upstream breaks off instead, what was held goes out before that is told."""
    try:
        return await pieces.next()
    except (httpx.HTTPError, OSError) as error:
        if held:
            await send({"type": "http.response.body", "body": held, "more_body": True})
        raise UpstreamError("the upstream broke off its answer") from error


def _is_whole(stream: object) -> bool:
    """Its end came with this chunk: they can go out together."""
    return isinstance(stream, Timed) and stream.is_whole


def _framed(response: httpx.Response, headers: Headers) -> Headers:
    """A 204 and a 304 have no body, whatever length they say (of what a 200 would have, RFC 9110 §8.6); a server that
    is told a length waits for the bytes."""
    if response.status_code not in (204, 304):
        return headers
    return [(name, value) for name, value in headers if name != b"content-length"]


class _Holding:
    """Which chunks of an answer could be its last."""

    def __init__(self, headers: Headers) -> None:
        self.is_stream = header(headers, b"content-type").lower().startswith(b"text/event-stream")
        self._tail = b""

    def may_end(self, chunk: bytes) -> bool:
        """Of a stream only a chunk that says so, also where the words are cut."""
        heard = self._tail + chunk
        self._tail = heard[1 - _LAST_BYTES_MAX :]
        return not self.is_stream or _may_end(heard)


def _may_end(heard: bytes) -> bool:
    return _LAST[0] in heard or (b"response." in heard and any(mark in heard for mark in _LAST))


async def send_error(error: ProxyError, send: Send, extra: Headers) -> None:
    """An answer of our own."""
    body = error.body()
    length = str(len(body)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", length), *error.headers, *extra]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
