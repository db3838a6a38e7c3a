"""The model behind us: clean headers, one call, errors mapped. The seam is httpx's AsyncBaseTransport.

The transport is called directly, not through httpx.AsyncClient: a proxy adds no cookies, no redirects and no headers
of its own. aiohttp carries it, because stock httpx's pool costs 462-1,884 ms to the first token at 256 streams where
this costs some 7 (measured; httpcore walks all its connections at every request).
"""

import string
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_from_bytes

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from proxy.errors import UpstreamError, UpstreamTimeoutError

Headers = list[tuple[bytes, bytes]]

HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer transfer-encoding "
    b"upgrade".split()
)
"""RFC 9110 §7.6.1, and the unofficial one: they belong to one connection, not to the message."""

_OURS = b"x-isocost-"

_REPLACED = (b"host", b"content-length", b"expect")
"""Ours to say. An expectation was met when the body came to us; to hold it back again can wait for ever."""

_KEEPALIVE_S = 4.0
"""Shorter than the 5 s of uvicorn (vLLM) and Node: a request on a connection that they just closed would fail."""
_PIECE_BYTES = 2**18
"""Larger bodies are written in pieces of this size: in one go they would hold up the event loop (aiohttp warns)."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where an upstream is: its base URL (with or without /v1), and the key sent if the client sends none."""

    base_url: str
    key: str = ""

    def url(self, path: str, query: bytes) -> httpx.URL:
        """The upstream's URL for a path of ours; a base that ends in /v1 is not doubled."""
        base = self.base_url.rstrip("/")
        if base.endswith("/v1") and (path == "/v1" or path.startswith("/v1/")):
            path = path[len("/v1") :]
        return httpx.URL(base + path + (f"?{_escaped(query)}" if query else ""))


def open_transport() -> httpx.AsyncBaseTransport:
    """The transport of production; must be called with a running event loop."""
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEPALIVE_S)
    unasked = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
    session = aiohttp.ClientSession(
        connector=connector,
        skip_auto_headers=unasked,
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),  # any other gives one client's cookies to the next
    )
    return AiohttpTransport(client=session)


class Upstream:
    """One upstream. Owns the transport that it is given."""

    def __init__(
        self, target: Target, transport: httpx.AsyncBaseTransport, *, connect_timeout_s: float, read_timeout_s: float
    ) -> None:
        self._target = target
        self._transport = transport
        self._timeouts = {
            "connect": connect_timeout_s,
            "read": read_timeout_s,
            "write": read_timeout_s,
            "pool": connect_timeout_s,
        }

    async def send(
        self, method: str, path: str, query: bytes, headers: Headers, body: bytes | AsyncIterator[bytes]
    ) -> httpx.Response:
        """One call, never retried: what may have run must not run twice. The caller closes the response.

        Raises UpstreamError or UpstreamTimeoutError; the upstream's own errors are responses.
        """
        outgoing = self._outgoing(headers, body)
        try:
            url = self._target.url(path, query)
            if any(name == b"authorization" for name, _ in outgoing):
                url = url.copy_with(userinfo=b"")  # one credential a call: aiohttp refuses to choose
            request = httpx.Request(
                method,
                url,
                headers=outgoing,
                content=_in_pieces(body) if isinstance(body, bytes) and len(body) > _PIECE_BYTES else body,
                extensions={"timeout": self._timeouts},
            )
            return await self._transport.handle_async_request(request)
        except httpx.TimeoutException as error:
            raise _timed_out(error) from error
        except (httpx.HTTPError, httpx.InvalidURL, aiohttp.ClientError, OSError) as error:
            raise UpstreamError(f"the upstream could not be reached: {type(error).__name__}") from error

    async def aclose(self) -> None:
        """Close all connections."""
        await self._transport.aclose()

    def _outgoing(self, headers: Headers, body: bytes | AsyncIterator[bytes]) -> Headers:
        kept = [
            (name, value) for name, value in end_to_end(headers) if name not in _REPLACED and not name.startswith(_OURS)
        ]
        length = [value for name, value in headers if name == b"content-length"]
        if isinstance(body, bytes):
            length = [str(len(body)).encode()] if body or length else []
        kept += [(b"content-length", value) for value in length[:1]]
        if self._target.key and not any(name == b"authorization" for name, _ in kept):
            kept.append((b"authorization", b"Bearer " + self._target.key.encode()))
        return kept


async def _in_pieces(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), _PIECE_BYTES):
        yield body[start : start + _PIECE_BYTES]


def raw_path(scope: Mapping[str, Any]) -> str:
    """The path as the client wrote it, escapes and all."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    return _escaped(raw)


def _escaped(raw: bytes) -> str:
    """What is legal in a URL as it is, escapes included; any other byte as an escape."""
    return quote_from_bytes(raw, safe=string.punctuation.replace("#", ""))


def end_to_end(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Headers without the hop-by-hop ones and those that Connection names; names in lower case, order kept."""
    listed = [(name.lower(), value) for name, value in headers]
    named = {token.strip().lower() for name, value in listed if name == b"connection" for token in value.split(b",")}
    return [(name, value) for name, value in listed if name not in HOP_BY_HOP and name not in named]


def _timed_out(error: httpx.TimeoutException) -> UpstreamError:
    if isinstance(error, httpx.ConnectTimeout):
        return UpstreamError("the upstream did not accept a connection, or closed it without an answer")
    return UpstreamTimeoutError("the upstream did not answer in time")
