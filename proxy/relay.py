"""Bytes to the client as they came, a copy to the collector; and an eye on the client, who may hang up.

uvicorn answers a hang-up with a `http.disconnect` message that nobody sees unless someone reads, and Starlette's
non-streaming path does not: so each request is run beside a watcher, and the hang-up cancels it, whatever it waits
for. Closing the upstream's response then ends the generation there.
"""

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable, Coroutine
from typing import Any

import httpx
from starlette.types import Receive, Send

from proxy.errors import BodyTooLargeError, ProxyError, UpstreamError
from proxy.upstream import Headers, end_to_end

_DONE = b"[DONE]"


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
    task = asyncio.ensure_future(work)
    watcher = asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait({task, watcher}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for pending in (task, watcher):
            pending.cancel()
        outcomes = await asyncio.gather(task, watcher, return_exceptions=True)
    if isinstance(outcomes[0], Exception):
        raise outcomes[0]


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue


async def relay(
    response: httpx.Response,
    send: Send,
    *,
    extra: Headers,
    read_along: Callable[[bytes], None],
    before_end: Callable[[], Awaitable[None]],
) -> None:
    """Send an upstream's response on: status, end-to-end headers, bytes. Closes it, whatever happens.

    `extra` headers are added. The last chunk is held until `before_end` has returned. Raises UpstreamError if the
    upstream breaks off; the client then sees its connection break, as it would have without us.
    """
    try:
        headers = [*end_to_end(response.headers.raw), *extra]
        await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
        held = tail = b""
        async for chunk in _chunks(response.stream):
            if held:
                await send({"type": "http.response.body", "body": held, "more_body": True})
            read_along(chunk)
            held = chunk if _may_be_last(response, tail + chunk) else b""
            tail = (tail + chunk)[1 - len(_DONE) :]
            if not held:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await before_end()
        await send({"type": "http.response.body", "body": held, "more_body": False})
    finally:
        await response.aclose()


def _may_be_last(response: httpx.Response, heard: bytes) -> bool:
    """A chunk that could end the answer: of a stream only one with [DONE], so that no token is ever held back.

    `heard` begins a few bytes before the chunk, since the mark may be cut in two.
    """
    if response.headers.get("content-type", "").startswith("text/event-stream"):
        return _DONE in heard
    return True


async def _chunks(stream: object) -> AsyncIterable[bytes]:
    if not isinstance(stream, httpx.AsyncByteStream):
        raise UpstreamError("the upstream's answer cannot be read")
    try:
        async for chunk in stream:
            yield chunk
    except (httpx.HTTPError, OSError) as error:
        raise UpstreamError("the upstream broke off its answer") from error


async def send_error(error: ProxyError, send: Send, extra: Headers) -> None:
    """An answer of our own."""
    body = error.body()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *extra]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
