"""HTTP/1.1 as servers really speak it, over real sockets: where an answer ends, and what becomes of the connection."""

import asyncio
from contextlib import suppress

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.sockets import OK, Server, asking, read

# --- where an answer ends

CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
UNFRAMED = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"


@pytest.mark.parametrize(
    ("said", "status", "body"),
    [
        (OK, 200, b"ok"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + OK, 200, b"ok"),
        (CHUNKED + b"2;name=value\r\nok\r\n1\r\n!\r\n0\r\nx-trailer: 1\r\n\r\n", 200, b"ok!"),
        (b"HTTP/1.1 204 No Content\r\nx-id: 1\r\n\r\n", 204, b""),
        (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n", 304, b""),
        (b"HTTP/1.1 200\r\ncontent-length: 2\r\n\r\nok", 200, b"ok"),
        (b"HTTP/1.1 200 OK\ncontent-length: 2\n\nok", 200, b"ok"),
    ],
    ids=["length", "interim answers", "chunks", "204", "304", "no reason", "LF alone"],
)
@pytest.mark.parametrize("cut", [0, 1])
async def test_an_answer_that_says_where_it_ends(said, status, body, cut):
    server = Server(said, OK, cut=cut)
    async with asking(server) as ask:
        response = await ask()
        assert (response.status_code, await read(response)) == (status, body)
        assert not {b"link", b"x-trailer"} & {name for name, _ in response.headers.raw}
        assert await read(await ask()) == b"ok"
    assert server.connections == 1


@pytest.mark.parametrize("start", [UNFRAMED, UNFRAMED.replace(b"1.1", b"1.0"), b"HTTP/1.1 200 OK\r\n\r\n"])
async def test_an_answer_that_ends_with_its_connection(start):
    async with asking(Server(start + b"data: 1\n\n", closes=True)) as ask:
        assert await read(await ask()) == b"data: 1\n\n"


@pytest.mark.parametrize("more", [OK, b"HTTP/1.1 200 OK\r\nx-poison: 1\r\n", b"H"])
async def test_what_follows_an_answer_unasked_is_not_the_next_one_s(more):
    server = Server(OK + more, OK)
    async with asking(server) as ask:
        assert await read(await ask()) == b"ok"
        response = await ask()
        assert b"x-poison" not in dict(response.headers.raw)
        assert await read(response) == b"ok"
    assert server.connections == 2


@pytest.mark.parametrize(
    "said", [b"HTTP/1.1 666 No\r\ncontent-length: 0\r\n\r\n", b"HTTP/1.1 200 OK\r\nx: a\x01b\r\n\r\n"]
)
async def test_what_no_server_could_pass_on_is_no_answer(said):
    async with asking(Server(said)) as ask:
        with pytest.raises(httpx.RemoteProtocolError):
            await ask()


async def test_the_answer_to_head_has_no_body_whatever_it_says():
    for start in (OK.removesuffix(b"ok"), CHUNKED, UNFRAMED):
        async with asking(Server(start)) as ask:
            for _ in range(2):
                response = await asyncio.wait_for(ask("HEAD"), 5)
                assert await asyncio.wait_for(read(response), 5) == b""


@settings(max_examples=20)
@given(cuts=st.lists(st.integers(1, 60), max_size=8))
async def test_headers_and_body_are_the_same_however_they_are_cut(cuts):
    said = (
        b"HTTP/1.1 429 Slow Down\r\nX-Id: 7\r\nset-cookie: a\r\nset-cookie: b\r\nX-Empty:\r\nx-latin: \xe9\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
    )

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        rest = said
        for cut in cuts:
            writer.write(rest[:cut])
            rest = rest[cut:]
            await asyncio.sleep(0.001)
        writer.write(rest)
        await reader.read()

    async with asking(serve) as ask:
        response = await ask()
        assert response.headers.raw == [
            (b"X-Id", b"7"),
            (b"set-cookie", b"a"),
            (b"set-cookie", b"b"),
            (b"X-Empty", b""),
            (b"x-latin", b"\xe9"),
            (b"Transfer-Encoding", b"chunked"),
        ]
        assert (response.status_code, await read(response)) == (429, b"hello world")


# --- and where it does not


@pytest.mark.parametrize(
    ("said", "before", "error"),
    [
        (b"", b"", httpx.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\ncontent-", b"", httpx.RemoteProtocolError),
        (b"SSH-2.0-OpenSSH_9.6\r\n", b"", httpx.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n", b"", httpx.RemoteProtocolError),
        (
            b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
            b"",
            httpx.RemoteProtocolError,
        ),
        (b"HTTP/1.1 200 OK\r\nx: " + b"x" * 300_000, b"", httpx.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", b"half", httpx.ReadError),
        (CHUNKED + b"4\r\nhalf\r\n", b"half", httpx.ReadError),
        (CHUNKED + b"4\r\nhalf\r\nno length\r\n", b"half", httpx.RemoteProtocolError),
    ],
    ids=["nothing", "half a head", "SSH", "two lengths", "101", "long head", "cut", "cut chunks", "odd chunks"],
)
async def test_what_came_before_an_answer_broke_is_read_first(said, before, error):
    server = Server(said, closes=True)
    async with asking(server) as ask:
        heard = b""
        with pytest.raises(error):
            response = await ask()
            async for piece in response.stream:
                heard += piece
        assert heard == before
        if before:
            with pytest.raises(error):
                await anext(aiter(response.stream))
            await response.aclose()
        await asyncio.wait_for(server.gone.wait(), 5)


# --- which connection


async def test_a_connection_is_used_again_and_by_one_at_a_time():
    server = Server(OK, OK)
    async with asking(server) as ask:
        first = await ask()
        second = await ask()
        assert server.connections == 2
        await read(first)
        await read(second)
        await read(await ask())
        assert server.connections == 2


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
        OK + b"and more",
        OK + OK,
        OK + b"HTTP/1.1 103 Early Hints\r\n\r\n",
    ],
    ids=["close", "1.0", "rubbish after it", "two answers", "a late hint"],
)
async def test_a_connection_that_is_not_to_be_trusted_is_not_used_again(said):
    server = Server(said, OK)
    async with asking(server) as ask:
        assert await read(await ask()) == b"ok"
        assert await read(await ask()) == b"ok"
    assert server.connections == 2


async def test_what_a_server_says_unasked_is_no_one_s_answer():
    late = asyncio.Event()

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await asyncio.sleep(0.05)
        writer.write(OK.replace(b"ok", b"no"))
        await reader.read()
        late.set()

    async with asking(serve) as ask:
        assert await read(await ask()) == b"ok"
        await asyncio.wait_for(late.wait(), 5)
        assert await read(await ask()) == b"ok"


async def test_idle_connections_are_closed_after_a_while_and_those_that_the_server_closed_are_not_asked():
    server = Server(OK, OK)
    async with asking(server, keepalive_s=0.1) as ask:
        await read(await ask())
        await asyncio.wait_for(server.gone.wait(), 5)
        await read(await ask())
    assert server.connections == 2

    server = Server(OK, closes=True)
    async with asking(server) as ask:
        for _ in range(3):
            await read(await ask())
            await asyncio.sleep(0.05)
    assert server.connections == 3


@pytest.mark.parametrize(("method", "times"), [("GET", 2), ("POST", 1)])
async def test_a_connection_that_is_closed_instead_of_an_answer(method, times):
    """As where the server closes it while we write. What may have run is not asked again."""
    asked = []

    async def serve(reader, writer):
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(OK)
        with suppress(asyncio.IncompleteReadError):
            asked.append(await reader.readuntil(b"\r\n\r\n"))

    async with asking(serve) as ask:
        await read(await ask(method))
        if method == "GET":
            assert await read(await ask(method)) == b"ok"
        else:
            with pytest.raises(httpx.RemoteProtocolError):
                await ask(method)
    assert len(asked) == 1 + times


async def test_an_answer_that_no_one_reads_to_its_end_ends_upstream():
    server = Server(CHUNKED + b"2\r\nok\r\n")
    async with asking(server) as ask:
        response = await ask()
        assert not server.gone.is_set()
        await response.aclose()
        await asyncio.wait_for(server.gone.wait(), 5)

    server = Server(b"")
    async with asking(server) as ask:
        waiting = asyncio.create_task(ask())
        await asyncio.sleep(0.05)
        waiting.cancel()
        await asyncio.wait_for(server.gone.wait(), 5)
        with pytest.raises(asyncio.CancelledError):
            await waiting


async def test_closing_the_transport_breaks_what_is_still_read():
    server = Server(UNFRAMED + b"half")
    async with asking(server) as ask:
        response = await ask()
        assert await anext(aiter(response.stream)) == b"half"
    with pytest.raises(httpx.ReadError):
        await anext(aiter(response.stream))


async def test_of_what_no_one_reads_little_is_held():
    poured = 0

    async def serve(reader, writer):
        nonlocal poured
        await reader.readuntil(b"\r\n\r\n")
        writer.write(UNFRAMED)
        while not writer.is_closing():
            writer.write(b"x" * 2**16)
            poured += 2**16
            try:
                await writer.drain()
            except ConnectionError:
                return

    async with asking(serve) as ask:
        response = await ask()
        before = -1
        while before != poured:
            before = poured
            await asyncio.sleep(0.2)
        held = await anext(aiter(response.stream))
        assert 2**17 < len(held) < 2**20
        assert await anext(aiter(response.stream))  # it reads on
        await response.aclose()
