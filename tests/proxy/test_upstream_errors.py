"""An upstream that cannot be asked, or does not answer: one error of ours, which holds no secret; it is tried again
only where nothing was sent."""

import asyncio
import socket

import httpx
import pytest

from proxy.demo.serving import serve_app
from proxy.errors import BadRequestError, UnreachableError, UpstreamError, UpstreamTimeoutError
from proxy.patience import Patience
from proxy.transport import PooledTransport
from proxy.upstream import Target, Upstream
from tests.proxy.test_upstream import calling, echoing, pieces
from tests.support.sockets import OK
from tests.support.upstreams import never_answers

pytestmark = pytest.mark.slow  # each starts a server


async def asked(url, path="/", timeout_s=5.0, headers=()):
    async with calling(url, timeout_s=timeout_s) as upstream:
        return await upstream.send("POST", path, b"", list(headers), b"{}")


async def test_a_closed_port_is_an_upstream_error():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(UpstreamError) as refused:
        await asked(f"http://127.0.0.1:{port}")
    assert refused.value.status == 502


async def test_where_no_connection_can_be_made_it_is_tried_again_as_often_as_is_said():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    class Counted(httpx.AsyncBaseTransport):
        """Counts what is asked of the real one, and opens the port after two tries."""

        def __init__(self):
            self.tries = 0
            self.inner = PooledTransport()
            self.server = None

        async def handle_async_request(self, request):
            self.tries += 1
            if self.tries == 3:
                self.server = await asyncio.start_server(answers_ok, "127.0.0.1", port)
            return await self.inner.handle_async_request(request)

    async def answers_ok(reader, writer):
        await reader.readuntil(b"{}")
        writer.write(OK)
        await reader.read()
        writer.close()
        ended.set()

    ended = asyncio.Event()
    for retries, tries in ((0, 1), (1, 2), (2, 3)):
        transport = Counted()
        upstream = Upstream(Target(f"http://127.0.0.1:{port}"), transport, Patience(5, 5, 5), connect_retries=retries)
        if tries < 3:
            with pytest.raises(UnreachableError):
                await upstream.send("POST", "/", b"", [], b"{}")
        else:
            response = await upstream.send("POST", "/", b"", [], b"{}")
            assert response.status_code == 200
            await response.aclose()
        await transport.inner.aclose()
        if transport.server is not None:
            await ended.wait()
            transport.server.close()
        assert transport.tries == tries


async def test_a_host_that_is_not_there_is_an_upstream_error():
    with pytest.raises(UpstreamError) as refused:
        await asked("http://nowhere.invalid")
    assert refused.value.status == 502


async def test_a_server_that_never_answers_is_a_timeout():
    app = never_answers(asyncio.Event(), asyncio.Event())
    async with serve_app(app, stop_timeout_s=1) as port:
        with pytest.raises(UpstreamTimeoutError) as late:
            await asked(f"http://127.0.0.1:{port}", timeout_s=0.2)
    assert late.value.status == 504


async def test_a_stream_that_stops_is_a_timeout_of_the_stream():
    """The first byte came in time, so it is the reader who is told; relay.py makes an UpstreamError of it."""
    app = never_answers(asyncio.Event(), asyncio.Event(), first=b"data: 1\n\n")
    async with serve_app(app, stop_timeout_s=1) as port, calling(f"http://127.0.0.1:{port}", timeout_s=0.2) as upstream:
        response = await upstream.send("POST", "/", b"", [], b"{}")
        with pytest.raises(httpx.ReadTimeout):
            [chunk async for chunk in response.stream]
        await response.aclose()


@pytest.mark.parametrize("said", [b"SSH-2.0-OpenSSH_9.6\r\n", b"\0" * 50, b"HTTP/1.1 banana\r\n\r\n", b""])
async def test_a_server_that_speaks_something_else_is_an_upstream_error(said):
    async def answer(reader, writer):
        await reader.readuntil(b"{}")
        writer.write(said)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(UpstreamError) as refused:
            await asked(f"http://127.0.0.1:{port}")
    assert refused.value.status == 502


async def test_a_long_url_arrives_whole():
    async with echoing() as (send, _):
        assert (await send(path="/" + "x" * 50_000))["path"] == "/" + "x" * 50_000


async def test_a_body_that_is_not_as_long_as_it_says_is_the_client_s_error():
    """Else the upstream would wait for the rest, and read it out of the next request on this connection."""
    for parts in ((b"abc",), (b"abcde",), ()):
        async with echoing() as (send, _):
            with pytest.raises(BadRequestError):
                await send(body=pieces(*parts), headers=[(b"content-length", b"4")])
            assert (await send(body=pieces(b"abcd"), headers=[(b"content-length", b"4")]))["body"] == "abcd"


async def test_errors_hold_no_secret():
    with pytest.raises(UpstreamError) as refused:
        await asked("http://user:secret@nowhere.invalid/?key=secret", headers=[(b"authorization", b"Bearer secret")])
    assert b"secret" not in refused.value.body()
