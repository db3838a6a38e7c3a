"""How a connection is made: TLS, several addresses, time-outs."""

import asyncio
import gc
import socket
import ssl
from contextlib import asynccontextmanager

import httpx
import pytest
import trustme

from proxy.transport import PooledTransport


@asynccontextmanager
async def over_tls(name):
    """The port of a server whose certificate is for this name, and who signed it."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)

    async def serve(reader, writer):
        while await reader.read(4096):  # a small request each
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n" + b"x" * 100_000)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1], authority


async def get(transport, url, connect_s=5.0):
    request = httpx.Request("GET", url, extensions={"timeout": {"connect": connect_s}})
    response = await transport.handle_async_request(request)
    body = b"".join([piece async for piece in response.stream])
    await response.aclose()
    return body


@asynccontextmanager
async def opened():
    transport = PooledTransport()
    try:
        yield transport
    finally:
        await transport.aclose()


async def test_https_with_a_certificate_that_the_system_trusts(tmp_path, monkeypatch):
    async with over_tls("localhost") as (port, authority):
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        async with opened() as transport:
            for _ in range(2):
                assert await get(transport, f"https://localhost:{port}/") == b"x" * 100_000
            with pytest.raises(httpx.ConnectError):
                await get(transport, f"https://127.0.0.1:{port}/")  # it is not for this name


async def test_https_with_one_that_it_does_not_trust():
    async with over_tls("localhost") as (port, _), opened() as transport:
        with pytest.raises(httpx.ConnectError):
            await get(transport, f"https://localhost:{port}/")


async def test_a_server_that_accepts_no_connection_in_time():
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for waiting in (first, second):  # its queue is full
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        async with opened() as transport:
            with pytest.raises(httpx.ConnectTimeout):
                await get(transport, f"http://127.0.0.1:{listener.getsockname()[1]}/", connect_s=0.2)


async def test_a_handshake_that_never_comes_leaves_no_socket_open():
    """An open one would be a ResourceWarning, which is an error here."""
    with socket.create_server(("127.0.0.1", 0)) as listener:  # it connects, and no one speaks
        async with opened() as transport:
            url = f"https://127.0.0.1:{listener.getsockname()[1]}/"
            with pytest.raises(httpx.ConnectTimeout):
                await get(transport, url, connect_s=0.1)
            asked = asyncio.create_task(get(transport, url))
            await asyncio.sleep(0.1)
            asked.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asked
    gc.collect()


@pytest.mark.parametrize("url", ["http://nowhere.invalid/", "http://127.0.0.1:9/", f"http://{'a' * 64}.invalid/"])
async def test_a_server_that_is_not_there(url):
    async with opened() as transport:
        with pytest.raises(httpx.ConnectError):
            await get(transport, url)


async def test_another_protocol():
    async with opened() as transport:
        with pytest.raises(httpx.UnsupportedProtocol):
            await get(transport, "ftp://127.0.0.1/")
