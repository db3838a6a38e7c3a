"""Headers as ASGI and the wire have them: which belong to a message, and which to one connection. Pure."""

from collections.abc import Iterable

Headers = list[tuple[bytes, bytes]]

HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer transfer-encoding "
    b"upgrade".split()
)
"""RFC 9110 §7.6.1, and the unofficial one: they belong to one connection, not to the message."""


def header(headers: Headers, name: bytes) -> bytes:
    """The first of this name (in lower case, as theirs are), b"" if there is none."""
    for each, value in headers:
        if each == name:
            return value
    return b""


def is_coded(headers: Headers) -> bool:
    """A body that is not as it reads: compressed, say (RFC 9110 §8.4)."""
    return header(headers, b"content-encoding").strip().lower() not in (b"", b"identity")


def end_to_end(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Headers without the hop-by-hop ones and those that Connection names; names in lower case, order kept."""
    return without(headers, HOP_BY_HOP)


def without(headers: Iterable[tuple[bytes, bytes]], names: frozenset[bytes]) -> Headers:
    """Headers, their names in lower case, without these and those that Connection names."""
    listed = [(name.lower(), value) for name, value in headers]
    for name, value in listed:
        if name == b"connection":
            names |= {token.strip().lower() for token in value.split(b",")}
    return [(name, value) for name, value in listed if name not in names]
