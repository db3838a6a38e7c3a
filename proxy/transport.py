"""aiohttp behind httpx's AsyncBaseTransport: what goes on the wire is what was given, headers and URL byte for byte.

Not chosen: httpx's own transport, whose pool walks all its connections at every request (462-1,884 ms to the first
token at 256 streams where this costs some 7); and httpx-aiohttp, which joins repeated headers and writes escapes in a
URL anew.
"""

from collections.abc import AsyncIterator
from functools import lru_cache
from typing import Self

import aiohttp
import httpx
from aiohttp import ClientTimeout
from yarl import URL

_KEEPALIVE_S = 4.0
"""Shorter than the 5 s of uvicorn (vLLM) and Node: a request on a connection that they just closed would fail."""

_UNASKED = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")

_ERRORS: tuple[tuple[type[Exception], type[httpx.RequestError]], ...] = (
    (aiohttp.ConnectionTimeoutError, httpx.ConnectTimeout),
    (aiohttp.ServerTimeoutError, httpx.ReadTimeout),
    (aiohttp.ClientConnectorError, httpx.ConnectError),
    (aiohttp.InvalidURL, httpx.UnsupportedProtocol),
    (aiohttp.ClientPayloadError, httpx.ReadError),
    (aiohttp.ClientError, httpx.RemoteProtocolError),
    (TimeoutError, httpx.ReadTimeout),
    (OSError, httpx.ReadError),
)
"""The first that fits."""

_THEIRS = (aiohttp.ClientError, TimeoutError, OSError)


class AiohttpTransport(httpx.AsyncBaseTransport):
    """Owns its session; must be made with a running event loop.

    Of a request's extensions it reads `timeout` (its `connect`, in seconds) and `target`, the path and query as they
    are to be written.
    """

    def __init__(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEPALIVE_S),
            skip_auto_headers=_UNASKED,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),  # any other gives one client's cookies to the next
            timeout=ClientTimeout(total=None),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """One request. Raises httpx.ConnectError, ConnectTimeout, ReadTimeout, ReadError, RemoteProtocolError."""
        target = request.extensions.get("target")
        try:
            answer = await self._session.request(
                request.method,
                exact_url(request.url, request.url.raw_path if target is None else target),
                headers=[(name.decode("latin-1"), _text(value)) for name, value in request.headers.raw],
                data=_body(request),
                allow_redirects=False,
                timeout=_timeout(request.extensions.get("timeout", {}).get("connect")),
            )
        except _THEIRS as error:
            raise _translated(error) from error
        return httpx.Response(answer.status, headers=answer.raw_headers, stream=_Answer(answer), request=request)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._session.close()


class _Answer(httpx.AsyncByteStream):
    """The body as it comes, in the pieces in which it came. Its own iterator: a generator costs as much as a piece."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer
        self._broken: Exception | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._broken is not None:
            raise self._broken
        content = self._answer.content
        try:
            piece = await content.readany()
        except _THEIRS as error:
            self._broken = _translated(error)
            piece = _unread(content) if isinstance(error, aiohttp.ClientError) else b""
            if not piece:
                raise self._broken from error
        if not piece:
            raise StopAsyncIteration
        return piece

    async def aclose(self) -> None:
        """Back into the pool if it was read to its end; else the connection is closed, which ends the generation."""
        self._answer.release()


def _unread(content: aiohttp.StreamReader) -> bytes:
    """What came before a connection broke: aiohttp tells of the break first, and then gives none of it."""
    held = b"".join(getattr(content, "_buffer", ()))
    return held[getattr(content, "_buffer_offset", 0) :]


def exact_url(url: httpx.URL, target: bytes) -> URL:
    """The server of a URL, asked for a path and query that no one writes anew."""
    userinfo = f"{url.userinfo.decode()}@" if url.userinfo else ""
    return URL(f"{url.scheme}://{userinfo}{url.netloc.decode()}{target.decode()}", encoded=True)


def _body(request: httpx.Request) -> bytes | AsyncIterator[bytes] | None:
    if isinstance(request.stream, httpx.ByteStream):
        return b"".join(request.stream) or None
    return aiter(request.stream) if isinstance(request.stream, httpx.AsyncByteStream) else None


def _text(value: bytes) -> str:
    """A header's value for aiohttp, which writes UTF-8."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


@lru_cache(maxsize=64)
def _timeout(connect_s: float | None) -> ClientTimeout:
    return ClientTimeout(total=None, sock_connect=connect_s)


def _translated(error: Exception) -> httpx.RequestError:
    """aiohttp's errors as httpx's, without the URL that some of them quote."""
    ours = next(ours for theirs, ours in _ERRORS if isinstance(error, theirs))
    return ours(type(error).__name__)
