"""Ask an upstream for a WebSocket: the target's own server, the path as bytes, the client's headers, none of ours.

Not chosen: the library's client. It takes one string for whom to ask and for what, follows redirects and the
environment's proxies, adds headers, and writes those it is given anew.
"""

import asyncio
import ssl
from collections.abc import Sequence
from functools import partial

import httpx
from starlette.types import Scope
from websockets.client import ClientProtocol
from websockets.typing import Subprotocol
from websockets.uri import WebSocketURI

from proxy.dialling import dial, tls_context
from proxy.errors import BadRequestError, UnreachableError
from proxy.headers import Headers
from proxy.upstream import Target, raw_path
from proxy.websocket_connection import WebSocketConnection

HANDSHAKE = b"sec-websocket-"
"""Headers of this name belong to one connection."""

_CREDENTIAL = "openai-insecure-api-key."
"""A subprotocol that is a browser's key: a page can set no headers of an upgrade."""


class Opening:
    """The way to any upstream, with one TLS context for all."""

    def __init__(self, *, timeout_s: float, message_bytes_max: int) -> None:
        self._timeout_s = timeout_s
        self._message_bytes_max = message_bytes_max
        self._tls: ssl.SSLContext | None = None

    async def open(self, target: Target, scope: Scope) -> WebSocketConnection:
        """What the client asks for, asked of the target. Raises RefusedError, BadRequestError, UpstreamError."""
        path = target.path(raw_path(scope), scope["query_string"])
        if not path.startswith(b"/"):
            raise BadRequestError("the request's target is no path")
        offered = [each for each in scope.get("subprotocols", ()) if each]
        if target.replaces:
            offered = [each for each in offered if not _is_credential(each)]
        lines = _lines(_asked(target, scope["headers"], proven=any(map(_is_credential, offered))))
        tls = self._context() if target.url.scheme in ("https", "wss") else None
        try:
            async with asyncio.timeout(self._timeout_s):
                connection = await self._connected(target.url, path, offered, tls)
                try:
                    await connection.shake_hands(lines)
                except BaseException:
                    connection.abort()
                    raise
        except (OSError, RuntimeError, UnicodeError) as error:  # uvloop has RuntimeErrors for some of a socket's
            raise UnreachableError(f"the upstream could not be reached: {type(error).__name__}") from error
        return connection

    async def _connected(
        self, url: httpx.URL, path: bytes, subprotocols: Sequence[str], tls: ssl.SSLContext | None
    ) -> WebSocketConnection:
        """Where it leads is the URL's host and port alone; the path is only written."""
        host, port = url.raw_host.decode("ascii"), url.port or (443 if tls else 80)
        protocol = ClientProtocol(
            WebSocketURI(tls is not None, host, port, path.decode("ascii"), ""),
            subprotocols=[Subprotocol(each) for each in subprotocols] or None,
            max_size=self._message_bytes_max,
        )
        return await dial(partial(WebSocketConnection, protocol), host, port, tls)

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = tls_context()
        return self._tls


def _asked(target: Target, headers: Headers, *, proven: bool) -> Headers:
    """What the target is told, less what the handshake says anew. No key of ours for a client that is `proven`."""
    stand_in = [(b"authorization", b"")] if proven else []
    told = target.told([(name.lower(), value) for name, value in headers] + stand_in)
    return [header for header in told if not header[0].startswith(HANDSHAKE) and header not in stand_in]


def _lines(headers: Headers) -> bytes:
    lines = b"".join(b"%b: %b\r\n" % header for header in headers)
    if lines.count(b"\n") != len(headers) or lines.count(b"\r") != len(headers) or b"\0" in lines:
        raise BadRequestError("a header that would be two")
    return lines


def _is_credential(subprotocol: str) -> bool:
    return subprotocol.lower().startswith(_CREDENTIAL)
