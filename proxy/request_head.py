"""A request's head: what makes it one that we do not serve, and the same head without its wish for another protocol."""

from proxy.errors import BadRequestError, ProxyError, UnknownCodingError
from proxy.headers import Headers

TELLING = frozenset((b"host", b"transfer-encoding", b"expect"))
"""The headers that `fault` looks at."""


def fault(telling: Headers, version: str) -> ProxyError | None:
    """Why a request with these headers is refused, if it is (RFC 9112 §3.2, §6.1).

    A coding that we do not take off would be lost on the way to the upstream.
    """
    hosts = sum(name == b"host" for name, _ in telling)
    codings = [value.strip().lower() for name, value in telling if name == b"transfer-encoding"]
    if hosts > 1 or (not hosts and version == "1.1"):
        return BadRequestError("a request names its host once")
    if codings and version != "1.1":
        return BadRequestError(f"HTTP/{version} knows no transfer-encoding")
    if codings not in ([], [b"chunked"]):
        return UnknownCodingError("of transfer codings only 'chunked' is served")
    return None


def waits_for_100(telling: Headers) -> bool:
    """The client holds its body back until it is asked for."""
    return any(name == b"expect" and value.lower() == b"100-continue" for name, value in telling)


def announces_body(headers: Headers) -> bool:
    """Its framing says that a body follows, or cannot be read as saying that none does."""
    return any(name == b"transfer-encoding" or (name == b"content-length" and value != b"0") for name, value in headers)


def fits_websockets(url: bytes, headers: Headers) -> bool:
    """The library takes so many lines of such a length, and says nothing at all to those that are longer."""
    return len(headers) <= 128 and len(url) < 8_000 and all(len(name) + len(value) < 8_000 for name, value in headers)


def without_upgrade(method: bytes, url: bytes, version: str, headers: Headers) -> bytes:
    """The head again, asking for no other protocol: a server may ignore that wish (RFC 9110 §7.8)."""
    lines = [b"%s %s HTTP/%s" % (method, url, version.encode("ascii"))]
    for name, value in headers:
        if name == b"connection":
            tokens = [token.strip() for token in value.split(b",")]
            lines.append(b"connection: " + b", ".join(token for token in tokens if token.lower() != b"upgrade"))
        elif name != b"upgrade":
            lines.append(name + b": " + value)
    return b"\r\n".join(lines) + b"\r\n\r\n"
