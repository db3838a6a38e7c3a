"""Connections to upstreams, kept while they may be used again, behind httpx's AsyncBaseTransport: what goes on the
wire is what was given, headers and target byte for byte.

Not chosen: httpx's own transport, whose pool walks all its connections at every request (462-1,884 ms to the first
token at 256 streams where this costs some 7).
"""

import asyncio
from functools import partial

import httpx

from proxy.connection import Body, Connection
from proxy.dialling import dial, tls_context

_KEEPALIVE_S = 4.0
"""Shorter than the 5 s of uvicorn (vLLM) and Node: a request on a connection that they just closed would fail."""

_SAFE = ("GET", "HEAD", "OPTIONS")
"""RFC 9110 §9.2.1: asked again where a kept connection ends instead of an answer."""

_Origin = tuple[str, str, int | None]


class PooledTransport(httpx.AsyncBaseTransport):
    """Must be made with a running event loop.

    A request's headers are written as they are: its owner gives the host, and says how long the body is or that it is
    chunked. Of its extensions `timeout` is read (its `connect`, in seconds) and `target`, the path and query as they
    are to be written.
    """

    def __init__(self, *, keepalive_s: float = _KEEPALIVE_S) -> None:
        self._loop = asyncio.get_running_loop()
        self._keepalive_s = keepalive_s
        self._idle: dict[_Origin, list[tuple[Connection, float]]] = {}
        self._open: set[Connection] = set()
        self._sweeping: asyncio.TimerHandle | None = None
        self._tls = tls_context()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """One request. Raises httpx.ConnectError, ConnectTimeout, ReadError, RemoteProtocolError, LocalProtocolError;
        what the body's iterator raises comes through."""
        body = _body(request)
        length = None if isinstance(body, bytes) else _length(request.headers)
        head = _head(request)
        bodyless = request.method == "HEAD"
        url = request.url
        origin = (url.scheme, url.host, url.port)
        while True:
            kept = self._kept(origin)
            connection = kept or await self._connect(origin, request.extensions.get("timeout", {}).get("connect"))
            try:
                answer = await connection.ask(head, body, length=length, bodyless=bodyless)
            except httpx.RemoteProtocolError:  # it may have been closed while we wrote
                if kept is None or request.method not in _SAFE or not isinstance(body, bytes):
                    raise
            else:
                return httpx.Response(answer.status, headers=answer.headers, stream=answer, request=request)

    async def aclose(self) -> None:
        """Close all connections."""
        if self._sweeping is not None:
            self._sweeping.cancel()
        left = tuple(self._open)
        for connection in left:
            connection.close()
        await asyncio.gather(*[connection.ended.wait() for connection in left])

    def _kept(self, origin: _Origin) -> Connection | None:
        """The one that was used last: it is the least likely to be closed by now."""
        idle = self._idle.get(origin)
        while idle:
            connection, since = idle.pop()
            if connection.is_open and self._loop.time() - since < self._keepalive_s:
                return connection
            connection.close()
        return None

    def _keep(self, origin: _Origin, connection: Connection) -> None:
        self._idle.setdefault(origin, []).append((connection, self._loop.time()))
        if self._sweeping is None:
            self._sweeping = self._loop.call_later(self._keepalive_s, self._sweep)

    def _sweep(self) -> None:
        now = self._loop.time()
        left: dict[_Origin, list[tuple[Connection, float]]] = {}
        for origin, idle in self._idle.items():
            for connection, since in idle:
                if connection.is_open and now - since < self._keepalive_s:
                    left.setdefault(origin, []).append((connection, since))
                else:
                    connection.close()
        self._idle = left
        self._sweeping = self._loop.call_later(self._keepalive_s, self._sweep) if left else None

    async def _connect(self, origin: _Origin, connect_s: float | None) -> Connection:
        scheme, host, port = origin
        if scheme not in ("http", "https"):
            raise httpx.UnsupportedProtocol("an upstream is asked by http or https")
        tls = self._tls if scheme == "https" else None
        made = partial(Connection, partial(self._keep, origin), self._open.discard)
        try:
            async with asyncio.timeout(connect_s):
                connection = await dial(made, host, port or (443 if tls else 80), tls)
        except TimeoutError as error:
            raise httpx.ConnectTimeout("no connection in time") from error
        except (OSError, RuntimeError, UnicodeError) as error:  # uvloop has RuntimeErrors for some of a socket's
            raise httpx.ConnectError(type(error).__name__) from error
        if connection.is_open:
            self._open.add(connection)
        return connection


def _head(request: httpx.Request) -> bytes:
    """The request line and the headers; raises httpx.LocalProtocolError where one of them holds a line's end."""
    target = request.extensions.get("target")
    start = b"%b %b HTTP/1.1\r\n" % (request.method.encode("ascii"), request.url.raw_path if target is None else target)
    headers = request.headers.raw
    head = b"".join((start, *[b"%b: %b\r\n" % header for header in headers], b"\r\n"))
    lines = len(headers) + 2
    if head.count(b"\n") != lines or head.count(b"\r") != lines or b"\0" in head:
        raise httpx.LocalProtocolError("a header that would be two")
    return head


def _length(headers: httpx.Headers) -> int | None:
    """Of a body, None if it is chunked. One that cannot be read is no reason for chunks: the head says otherwise."""
    said = headers.get("content-length")
    if said is not None and not (said.isascii() and said.isdigit()):
        raise httpx.LocalProtocolError("its length is no number")
    return None if said is None else int(said)


def _body(request: httpx.Request) -> Body:
    if isinstance(request.stream, httpx.ByteStream):
        return b"".join(request.stream)
    if isinstance(request.stream, httpx.AsyncByteStream):
        return aiter(request.stream)
    return b""
