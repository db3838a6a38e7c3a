"""What is asked, as it is written: the head byte for byte, bodies of known and unknown length, bodies that break."""

import asyncio

import httpx
import pytest

from tests.support.sockets import OK, Server, asking, read


class Parts(httpx.AsyncByteStream):
    """A body in parts, then an error if there is one."""

    def __init__(self, *parts, error=None, waits=None):
        self.parts, self.error, self.waits = parts, error, waits

    async def __aiter__(self):
        for part in self.parts:
            yield part
        if self.waits:
            await self.waits.wait()
        if self.error:
            raise self.error


async def heard(reader):
    """A chunked request's body as it was written."""
    return await reader.readuntil(b"0\r\n\r\n")


async def test_the_head_is_written_as_it_was_given():
    server = Server(OK)
    async with asking(server) as ask:
        given_headers = [(b"X-Case", b"Kept"), (b"a", b"1"), (b"a", b"2"), (b"x-latin", b"\xe9"), (b"x-empty", b"")]
        await read(await ask("PATCH", given_headers, target=b"/v1//a%2Fb?q=%41+b"))
    request, *headers = server.asked[0].removesuffix(b"\r\n\r\n").split(b"\r\n")
    assert request == b"PATCH /v1//a%2Fb?q=%41+b HTTP/1.1"
    assert headers == [b"X-Case: Kept", b"a: 1", b"a: 2", b"x-latin: \xe9", b"x-empty: "]


@pytest.mark.parametrize("value", [b"a\r\nx-evil: 1", b"a\nx-evil: 1", b"a\rb", b"a\0b"])
async def test_a_header_that_would_be_two_is_not_sent(value):
    server = Server(OK)
    async with asking(server) as ask:
        for headers in ([(b"x", value)], [(value, b"x")]):
            with pytest.raises(httpx.LocalProtocolError):
                await ask(headers=headers)
        with pytest.raises(httpx.LocalProtocolError):
            await ask(target=b"/" + value)
    assert server.asked == []


async def test_a_body_of_unknown_length_goes_in_chunks_of_any_size():
    written = []

    async def serve(reader, writer):
        written.append(await heard(reader))
        writer.write(OK)
        await reader.read()

    async with asking(serve) as ask:
        big = b"y" * 300_000
        assert await read(await ask("POST", stream=Parts(b"ab", b"", b"c" * 17, big))) == b"ok"
        body = written[0].partition(b"\r\n\r\n")[2]
        assert b"transfer-encoding: chunked\r\n" in written[0]
        assert body == b"2\r\nab\r\n11\r\n" + b"c" * 17 + b"\r\n493e0\r\n" + big + b"\r\n0\r\n\r\n"


async def test_what_a_body_raises_is_raised_and_ends_the_request():
    gone = asyncio.Event()

    async def serve(reader, writer):
        with pytest.raises(asyncio.IncompleteReadError):
            await heard(reader)
        gone.set()

    async with asking(serve) as ask:
        with pytest.raises(ZeroDivisionError):
            await ask("POST", stream=Parts(b"half", error=ZeroDivisionError()))
        await asyncio.wait_for(gone.wait(), 5)


async def test_an_upload_may_be_answered_before_it_ends_and_goes_no_further():
    never = asyncio.Event()
    server = Server(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno", OK)
    async with asking(server) as ask:
        response = await ask("POST", stream=Parts(b"half", waits=never))
        assert (response.status_code, await read(response)) == (413, b"no")
        await asyncio.wait_for(server.gone.wait(), 5)
        assert (await ask()).status_code == 413  # on a connection of its own
    assert server.connections == 2
