"""The model behind us: clean headers, one call, errors mapped. The seam is httpx's AsyncBaseTransport.

The transport is called directly, not through httpx.AsyncClient: a proxy adds no cookies, no redirects and no headers
of its own.
"""

import asyncio
import string
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import quote_from_bytes, unquote_to_bytes

import httpx

from proxy.credentials import impersonal, proves, query_without_credentials, without_credentials
from proxy.errors import BadRequestError, ProxyError, UnreachableError, UpstreamError, UpstreamTimeoutError
from proxy.headers import HOP_BY_HOP, Headers, header, without
from proxy.patience import Patience, Timed, Timer

_OWN_HEADERS = b"x-isocost-"

_REPLACED = frozenset((b"host", b"content-length", b"expect"))
"""Ours to say. An expectation was met when the body came to us; to hold it back again can wait for ever."""

_NOT_TOLD = HOP_BY_HOP | _REPLACED

_LEGAL = string.punctuation.replace("#", "")

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
        """What to ask of it for a path of ours; a base's /v1 is not doubled, and its own query goes first.

        Raises BadRequestError for what is neither a path nor the "*" of OPTIONS.
        """
        if path == "*":
            return b"*"
        if not path.startswith("/"):
            raise BadRequestError("the request's target is no path")
        base, own = self._base
        if base.endswith("/v1") and (path == "/v1" or path.startswith("/v1/")):
            path = path[len("/v1") :]
        asked = _escaped(query_without_credentials(query) if self.replaces else query)
        joined = "&".join(filter(None, (own, asked)))
        return (base + path + (f"?{joined}" if joined else "")).encode("ascii")

    def told(self, headers: Headers) -> Headers:
        """A client's headers as they go on: less the hop-by-hop ones and ours, with the credential that is to be."""
        own = [*self.headers]
        kept = [(name, value) for name, value in without(headers, _NOT_TOLD) if not name.startswith(_OWN_HEADERS)]
        if self.replaces:
            kept = without_credentials(kept)
        if self._authorization and not proves(kept) and not proves(own):
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
    def _base(self) -> tuple[str, str]:
        """Path and query."""
        path, _, query = self.url.raw_path.decode("ascii").partition("?")
        return path.rstrip("/"), query


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

        A body that is still being received is not held for another try. Raises UpstreamError, UpstreamTimeoutError, or
        BadRequestError for what cannot be asked; the upstream's own errors are responses. Where an answer stops for too
        long, reading it raises httpx.ReadTimeout.
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
        return await self._fallback.send(method, path, b"", impersonal(headers), body)

    async def _ask(self, request: httpx.Request, until: float) -> httpx.Response:
        first_byte_s = self._patience.first_byte_s
        timer = Timer(until, min(first_byte_s, self._patience.idle_s))
        timer.begin(first_byte_s)
        if isinstance(request.stream, _Parts):
            request.stream.on_part = lambda: timer.extend(first_byte_s)
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
        if isinstance(request.stream, _Parts):
            request.stream.on_part = None  # the rest of an upload is no reason to wait for less
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


def _ours(error: BaseException) -> ProxyError | None:
    """Why there is no answer, in our own words; None for what is no fault of the upstream's."""
    if isinstance(error, httpx.ConnectTimeout):
        return UnreachableError("the upstream did not accept a connection in time")
    if isinstance(error, httpx.ConnectError):
        return UnreachableError("the upstream could not be reached")
    if isinstance(error, httpx.LocalProtocolError):
        return BadRequestError(f"the request cannot be sent on: {error}")
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        return UpstreamTimeoutError("the upstream did not answer in time")
    if isinstance(error, httpx.HTTPError | OSError):
        return UpstreamError(f"the upstream broke off: {type(error).__name__}")
    return None


def _stream(body: bytes | AsyncIterator[bytes]) -> httpx.SyncByteStream | httpx.AsyncByteStream:
    return httpx.ByteStream(body) if isinstance(body, bytes) else _Parts(body)


class _Parts(httpx.AsyncByteStream):
    """A body that is sent as it comes. `on_part` is told of each part: an answer is not waited for before the last."""

    def __init__(self, parts: AsyncIterator[bytes]) -> None:
        self._parts = parts
        self.on_part: Callable[[], None] | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._parts:
            if self.on_part is not None:
                self.on_part()
            yield part


def raw_path(scope: Mapping[str, Any]) -> str:
    """The path as the client wrote it, escapes and all."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    return _escaped(raw)


def _escaped(raw: bytes) -> str:
    """What is legal in a URL as it is, escapes included; any other byte as an escape."""
    return quote_from_bytes(raw, safe=_LEGAL) if raw else ""


def origin_of(url: str) -> str:
    """Scheme, host and port, to be shown: the rest of a base URL may be a credential."""
    parsed = httpx.URL(url)
    return f"{parsed.scheme}://{parsed.netloc.decode('ascii')}"
