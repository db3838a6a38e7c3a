"""Bodies that do not come, and answers that nobody hears: no connection is held for ever, no hang-up is missed."""

import asyncio

import pytest

from proxy.server import Protocol
from tests.support.raw_http import Asked, Streams, error_of, talking

pytestmark = pytest.mark.slow  # real sockets, and time that passes

HEAD = b"POST / HTTP/1.1\r\nhost: a\r\n"
PLAIN = b"GET /plain HTTP/1.1\r\nhost: a\r\n\r\n"


class Impatient(Protocol):
    body_timeout_s = 0.2


@pytest.mark.parametrize("began", [b"", b"a"])
async def test_a_body_that_does_not_come_is_not_waited_for_for_ever(began):
    app = Asked()
    async with talking(app, Impatient) as client:
        await client.send(HEAD + b"content-length: 9\r\n\r\n" + began)
        assert error_of(await client.answer()) == (408, "request_timeout")
    assert app.bodies == []


async def test_a_body_that_trickles_is_waited_for():
    app = Asked()
    async with talking(app, Impatient) as client:
        await client.send(HEAD + b"content-length: 5\r\n\r\n")
        for _ in range(5):
            await asyncio.sleep(0.1)
            await client.send(b"x")
        assert (await client.answer())[2] == b"xxxxx"


async def test_a_client_that_was_answered_early_and_falls_silent_is_hung_up_on():
    app = Streams()
    app.go_on.set()
    async with talking(app, Impatient) as client:
        await client.send(HEAD + b"content-length: 9\r\n\r\n")
        assert (await client.answer())[2] == b"firstsecond"
        await client.send(b"x")
        assert await client.rest() == b""


async def test_a_hang_up_is_seen_though_another_request_waits_behind():
    app = Streams()
    async with talking(app) as client:
        await client.send(PLAIN + PLAIN)
        await client.reader.readuntil(b"first")
        client.writer.transport.abort()
        await asyncio.wait_for(app.left.wait(), 5)
        app.go_on.set()


@pytest.mark.parametrize("version", [b"2.0", b"0.9"])
async def test_an_answer_in_no_version_of_ours_ends_with_its_connection(version):
    async with talking(Asked()) as client:
        await client.send(b"GET / HTTP/%b\r\nhost: a\r\nconnection: keep-alive\r\n\r\n" % version)
        assert (await client.rest()).startswith(b"HTTP/1.1 ")
