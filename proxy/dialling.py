"""A connection to a host by its name: of several addresses the first that answers, over TLS where there is some."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import TypeVar

from aiohappyeyeballs import start_connection

_P = TypeVar("_P", bound=asyncio.Protocol)

_NEXT_ADDRESS_S = 0.25
"""A host with several addresses is tried at the next one after this (RFC 8305 §5)."""


async def dial(made: Callable[[], _P], host: str, port: int, tls: ssl.SSLContext | None) -> _P:
    """The protocol that was `made`, connected. Raises OSError, UnicodeError, and uvloop's RuntimeErrors of sockets."""
    loop = asyncio.get_running_loop()
    addresses = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    connected = await start_connection(addresses, happy_eyeballs_delay=_NEXT_ADDRESS_S)
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # a model may think for long
    _, protocol = await loop.create_connection(made, sock=connected, ssl=tls, server_hostname=host if tls else None)
    return protocol


def tls_context() -> ssl.SSLContext:
    """The system's certificates, HTTP/1.1."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
