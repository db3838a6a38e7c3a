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
from proxy.upstream import Headers, header

_LAST = (b"[DONE]", b"response.completed", b"response.incomplete", b"response.failed")
"""What the end of a stream says, of chat and of responses."""

_LAST_BYTES_MAX = max(map(len, _LAST))


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

    watcher = asyncio.create_task(watch())
    try:
        await work
    except asyncio.CancelledError:
        if not gone or here is None or here.uncancel() > 0:  # someone else cancelled us as well
            raise
    finally:
        watcher.cancel()
        watcher.add_done_callback(lambda ended: ended.cancelled() or ended.exception())


async def relay(
    response: httpx.Response,
    send: Send,
    *,
    headers: Headers,
    read_along: Callable[[bytes], None],
    before_end: Callable[[], Awaitable[None]],
) -> None:
    """Send an upstream's response on: its status, these headers, its bytes. Closes it, whatever happens.

    A chunk that could be the last is held until `before_end` has returned; of a stream only
    one that says so, so that no token is ever held back. Raises UpstreamError if the
    upstream breaks off; the client then sees its connection break, as it would have without us.
    """
    try:
        await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
        is_stream = header(headers, b"content-type").lower().startswith(b"text/event-stream")
        held = tail = b""
        pieces = _pieces(response.stream)
        while True:
            try:
                chunk = await anext(pieces, None)
            except (httpx.HTTPError, OSError) as error:
                raise UpstreamError("the upstream broke off its answer") from error
            if chunk is None:
                break
            if held:
                await send({"type": "http.response.body", "body": held, "more_body": True})
            read_along(chunk)
            heard = tail + chunk
            held = chunk if not is_stream or _may_end(heard) else b""
            tail = heard[1 - _LAST_BYTES_MAX :] if is_stream else b""
            if not held:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await before_end()
        await send({"type": "http.response.body", "body": held, "more_body": False})
    finally:
        await response.aclose()


def _may_end(heard: bytes) -> bool:
    return _LAST[0] in heard or (b"response." in heard and any(mark in heard for mark in _LAST))


def _pieces(stream: object) -> AsyncIterator[bytes]:
    if not isinstance(stream, httpx.AsyncByteStream):
        raise UpstreamError("the upstream's answer cannot be read")
    return aiter(stream)


async def send_error(error: ProxyError, send: Send, extra: Headers) -> None:
    """An answer of our own."""
    body = error.body()
    length = str(len(body)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", length), *error.headers, *extra]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
