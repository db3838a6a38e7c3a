"""The model behind us: clean headers, one call, errors mapped. The seam is httpx's AsyncBaseTransport.

The transport is called directly, not through httpx.AsyncClient: a proxy adds no cookies, no redirects and no headers
of its own.
"""

import asyncio
import string
from base64 import b64encode
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import quote_from_bytes, unquote_to_bytes

import httpx

from proxy.errors import UnreachableError, UpstreamError, UpstreamTimeoutError
from proxy.patience import Patience, Timed, Timer

Headers = list[tuple[bytes, bytes]]

HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer transfer-encoding "
    b"upgrade".split()
)
"""RFC 9110 §7.6.1, and the unofficial one: they belong to one connection, not to the message."""

_OURS = b"x-isocost-"

_REPLACED = frozenset((b"host", b"content-length", b"expect"))
"""Ours to say. An expectation was met when the body came to us; to hold it back again can wait for ever."""

_NOT_TOLD = HOP_BY_HOP | _REPLACED

_CREDENTIALS = (b"authorization", b"api-key", b"x-api-key", b"cookie")

_RETRY_AFTER_S = 0.05


@dataclass(frozen=True)
class Target:
    """Where an upstream is and what it is told: its base URL (with or without /v1), headers that are set on each
    request, and a key: sent if the client sends none, or always where it `replaces` the client's credentials."""

    base_url: str
    key: str = ""
    replaces: bool = False
    headers: tuple[tuple[bytes, bytes], ...] = ()

    def path(self, path: str, query: bytes) -> bytes:
        """What to ask of it for a path of ours; a base that ends in /v1 is not doubled."""
        base = self._base_path
        if base.endswith("/v1") and (path == "/v1" or path.startswith("/v1/")):
            path = path[len("/v1") :]
        return (base + path + (f"?{_escaped(query)}" if query else "")).encode("ascii")

    def told(self, headers: Headers) -> Headers:
        """A client's headers as they go on: less the hop-by-hop ones and ours, with the credential that is to be."""
        own = [*self.headers]
        kept = [(name, value) for name, value in _without(headers, _NOT_TOLD) if not name.startswith(_OURS)]
        if self.replaces:
            kept = without_credentials(kept)
        if self._authorization and not any(name == b"authorization" for name, _ in (*kept, *own)):
            own.append((b"authorization", self._authorization))
        names = {name for name, _ in own}
        return [(name, value) for name, value in kept if name not in names] + own if own else kept

    @cached_property
    def url(self) -> httpx.URL:
        """The server; raises httpx.InvalidURL."""
        return httpx.URL(self.base_url)

    @cached_property
    def _authorization(self) -> bytes:
        """The key's, or that of the credentials which the URL may hold."""
        if self.key:
            return b"Bearer " + self.key.encode()
        user, _, password = self.url.userinfo.partition(b":")
        pair = unquote_to_bytes(user) + b":" + unquote_to_bytes(password)
        return b"Basic " + b64encode(pair) if len(pair) > 1 else b""

    @cached_property
    def _base_path(self) -> str:
        return self.url.raw_path.decode("ascii").partition("?")[0].rstrip("/")


class Upstream:
    """One upstream. `connect_retries` and `fallback` are for when no connection can be made, and nothing was sent.

    The transport stays its owner's to close.
    """

    def __init__(
        self,
        target: Target,
        transport: httpx.AsyncBaseTransport,
        patience: Patience,
        *,
        connect_retries: int = 0,
        fallback: "Upstream | None" = None,
    ) -> None:
        self.target = target
        self._transport = transport
        self._patience = patience
        self._connect_retries = connect_retries
        self._fallback = fallback
        self._extensions = {"timeout": {"connect": patience.connect_s}}

    async def send(
        self, method: str, path: str, query: bytes, headers: Headers, body: bytes | AsyncIterator[bytes]
    ) -> httpx.Response:
        """One call, never made twice: what may have run must not run again. The caller closes the response.

        A body that is still being received is not held for another try. Raises UpstreamError or UpstreamTimeoutError;
        the upstream's own errors are responses. Where an answer stops for too long, reading it raises
        httpx.ReadTimeout.
        """
        until = asyncio.get_running_loop().time() + self._patience.total_s
        request = self._request(method, path, query, headers, body)
        tries = 1 + (self._connect_retries if isinstance(body, bytes) else 0)
        for left in reversed(range(tries)):
            try:
                return await self._ask(request, until)
            except UnreachableError:
                if left:
                    await asyncio.sleep(_RETRY_AFTER_S)
                elif self._fallback is None or not isinstance(body, bytes):
                    raise
        assert self._fallback is not None
        return await self._fallback.send(method, path, query, without_credentials(headers), body)

    async def _ask(self, request: httpx.Request, until: float) -> httpx.Response:
        timer = Timer(until, min(self._patience.first_byte_s, self._patience.idle_s))
        timer.begin(self._patience.first_byte_s)
        try:
            response = await self._transport.handle_async_request(request)
        except BaseException as error:
            timer.stop()
            late = isinstance(error, asyncio.CancelledError) and timer.was_late()
            ours = _ours(TimeoutError() if late else error)
            if ours is None:
                raise
            raise ours from error
        timer.end()
        if isinstance(response.stream, httpx.AsyncByteStream):
            response.stream = Timed(response.stream, self._patience.idle_s, timer)
        return response

    def _request(
        self, method: str, path: str, query: bytes, headers: Headers, body: bytes | AsyncIterator[bytes]
    ) -> httpx.Request:
        try:
            return httpx.Request(
                method,
                self.target.url,
                headers=self._outgoing(headers, body),
                stream=_stream(body),
                extensions={**self._extensions, "target": self.target.path(path, query)},
            )
        except httpx.InvalidURL as error:
            raise UpstreamError("the upstream's URL cannot be used") from error

    def _outgoing(self, headers: Headers, body: bytes | AsyncIterator[bytes]) -> Headers:
        length = header(headers, b"content-length")
        if isinstance(body, bytes):
            length = b"%d" % len(body) if body or length else b""
        told = [(b"host", self.target.url.netloc), *self.target.told(headers)]
        if length:
            told.append((b"content-length", length))
        elif not isinstance(body, bytes):
            told.append((b"transfer-encoding", b"chunked"))
        return told


def _ours(error: BaseException) -> UpstreamError | None:
    """Why there is no answer, in our own words; None for what is no fault of the upstream's."""
    if isinstance(error, httpx.ConnectTimeout):
        return UnreachableError("the upstream did not accept a connection in time")
    if isinstance(error, httpx.ConnectError):
        return UnreachableError("the upstream could not be reached")
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        return UpstreamTimeoutError("the upstream did not answer in time")
    if isinstance(error, httpx.HTTPError | OSError):
        return UpstreamError(f"the upstream broke off: {type(error).__name__}")
    return None


def _stream(body: bytes | AsyncIterator[bytes]) -> httpx.SyncByteStream | httpx.AsyncByteStream:
    return httpx.ByteStream(body) if isinstance(body, bytes) else _Parts(body)


class _Parts(httpx.AsyncByteStream):
    """A body that is sent as it comes."""

    def __init__(self, parts: AsyncIterator[bytes]) -> None:
        self._parts = parts

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._parts


def raw_path(scope: Mapping[str, Any]) -> str:
    """The path as the client wrote it, escapes and all."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    return _escaped(raw)


def _escaped(raw: bytes) -> str:
    """What is legal in a URL as it is, escapes included; any other byte as an escape."""
    return quote_from_bytes(raw, safe=string.punctuation.replace("#", ""))


def header(headers: Headers, name: bytes) -> bytes:
    """The first of this name (in lower case, as theirs are), b"" if there is none."""
    return next((value for each, value in headers if each == name), b"")


def without_credentials(headers: Headers) -> Headers:
    """The same less what says who asks."""
    return [(name, value) for name, value in headers if name.lower() not in _CREDENTIALS]


def end_to_end(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Headers without the hop-by-hop ones and those that Connection names; names in lower case, order kept."""
    return _without(headers, HOP_BY_HOP)


def _without(headers: Iterable[tuple[bytes, bytes]], names: frozenset[bytes]) -> Headers:
    """Headers, their names in lower case, without these and those that Connection names."""
    listed = [(name.lower(), value) for name, value in headers]
    for name, value in listed:
        if name == b"connection":
            names |= {token.strip().lower() for token in value.split(b",")}
    return [(name, value) for name, value in listed if name not in names]
