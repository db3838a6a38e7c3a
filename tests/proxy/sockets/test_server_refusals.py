"""What is refused on the wire, in time and in bounds, so that the client can read why."""

import asyncio

import pytest

from proxy.refusal import LINGER_S
from proxy.server import HEAD_BYTES_MAX, Protocol
from tests.support.raw_http import Asked, Streams, error_of, talking

pytestmark = pytest.mark.slow  # they wait for time to pass

HEAD = b"POST / HTTP/1.1\r\nhost: a\r\n"
PLAIN = b"GET /plain HTTP/1.1\r\nhost: a\r\n\r\n"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"
GARBAGE = b"\x16\x03\x01 no HTTP\r\n\r\n"


class Hasty(Protocol):
    head_timeout_s = 0.2


# --- bounds


@pytest.mark.parametrize(
    ("before", "endless"),
    [
        (HEAD + b"x-long: ", b"x" * 1000),
        (HEAD, b"x-many: 1\r\n" * 100),
        (b"POST /", b"a" * 1000),
        (CHUNKED + b"2\r\nhi\r\n0\r\nx-long: ", b"x" * 1000),
        (CHUNKED + b"2\r\nhi\r\n0\r\n", b"x-many: 1\r\n" * 100),
        (CHUNKED + b"2;", b"x" * 1000),
        (CHUNKED, b"1;" + b"x" * 10_000 + b"\r\na\r\n"),
        (b"", b"\r\n" * 1000),
    ],
    ids=["header", "headers", "path", "trailer", "trailers", "chunk extension", "chunk extensions", "empty lines"],
)
async def test_what_never_ends_is_refused_and_the_client_can_read_why(before: bytes, endless: bytes):
    asked = Asked()
    async with talking(asked) as client:
        await client.send(before)
        await asyncio.sleep(0.01)
        await client.send(endless * (8 * HEAD_BYTES_MAX // len(endless)))
        assert error_of(await client.answer()) == (431, "headers_too_large")
        assert await client.rest() == b""
    assert asked.paths == []


async def test_who_goes_on_without_reading_is_cut_off():
    async with talking(Asked()) as client:
        with pytest.raises(ConnectionError):
            for _ in range(2_000):
                await client.send(b"x" * 64_000, cut=64_000)


async def test_who_stays_after_a_refusal_is_not_waited_for():
    async with talking(Asked()) as client:
        await client.send(GARBAGE)
        assert error_of(await client.answer()) == (400, None)
        await asyncio.sleep(LINGER_S + 0.1)
        with pytest.raises(ConnectionError):
            for _ in range(3):
                await client.send(b"x", cut=1)


# --- what an answer under way is told


@pytest.mark.parametrize("wrong", [GARBAGE, b"\r\n" * HEAD_BYTES_MAX, b"GET / HTTP/1.1\r\n\r\n"])
async def test_an_answer_to_a_good_request_is_ended_whatever_comes_after_it(wrong: bytes):
    app = Streams()
    async with talking(app) as client:
        await client.send(PLAIN)
        await app.asked.wait()
        await client.send(wrong)
        await asyncio.sleep(0.05)
        await client.send(b"and so on")
        await asyncio.sleep(0.05)
        app.go_on.set()
        assert (await client.answer())[2] == b"firstsecond"
        assert await client.rest() == b""


async def test_a_body_that_breaks_off_its_rules_ends_the_answer_that_has_begun():
    app = Streams()
    async with talking(app) as client:
        await client.send(CHUNKED + b"2\r\nhi\r\n")
        assert await client.head()
        await client.send(b"no chunk\r\n")
        assert await client.rest() == b"first"
        await asyncio.wait_for(app.left.wait(), 5)
        app.go_on.set()


async def test_a_body_that_breaks_its_rules_before_an_answer_is_a_400():
    app = Streams(at_once=False)
    async with talking(app) as client:
        await client.send(CHUNKED + b"2\r\nhi\r\n")
        await app.asked.wait()
        await client.send(b"no chunk\r\n")
        assert error_of(await client.answer()) == (400, None)
        await asyncio.wait_for(app.left.wait(), 5)
        app.go_on.set()
        assert await client.rest() == b""


# --- time


@pytest.mark.parametrize("before", [b"", b"\r\n", PLAIN + b"\r\n"], ids=["nothing", "an empty line", "after a request"])
async def test_a_connection_that_asks_nothing_is_closed(before: bytes):
    async with talking(Asked(), Hasty) as client:
        await client.send(before)
        if PLAIN in before:
            assert (await client.answer())[0] == 200
            await client.send(b"\r\n")
        began = asyncio.get_running_loop().time()
        assert await client.rest() == b""
        assert asyncio.get_running_loop().time() - began < 2


@pytest.mark.parametrize("before", [b"", PLAIN], ids=["first", "second"])
async def test_a_head_that_does_not_end_is_a_408_however_it_drips(before: bytes):
    async with talking(Asked(), Hasty) as client:
        if before:
            await client.send(before)
            assert (await client.answer())[0] == 200
        await client.send(HEAD + b"x-drips: ")
        answer = asyncio.create_task(client.answer())
        while not answer.done():
            await client.send(b"a")
            await asyncio.sleep(0.03)
        assert error_of(await answer) == (408, "request_timeout")
        assert await client.rest() == b""


async def test_a_slow_answer_is_not_cut_off_by_the_head_of_the_next_request():
    class LessHasty(Protocol):
        head_timeout_s = 1.0

    app = Streams()
    async with talking(app, LessHasty) as client:
        await client.send(PLAIN + PLAIN[:10])
        await asyncio.sleep(1.3)  # it is looked at after 1 s, and after 2
        app.go_on.set()
        assert (await client.answer())[2] == b"firstsecond"
        await client.send(PLAIN[10:])
        assert (await client.answer())[2] == b"firstsecond"


async def test_a_body_and_a_websocket_may_take_longer_than_a_head():
    async with talking(Asked(), Hasty) as client:
        await client.send(HEAD + b"content-length: 6\r\n\r\n")
        for _ in range(3):
            await asyncio.sleep(0.15)
            await client.send(b"ab")
        assert (await client.answer())[2] == b"ababab"

    async def accepts(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        assert (await receive())["text"] == "hi"
        await send({"type": "websocket.close"})

    async with talking(accepts, Hasty) as client:
        await client.send(
            b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
            b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n"
        )
        assert (await client.head())[0] == 101
        await asyncio.sleep(0.5)
        await client.send(b"\x81\x82\0\0\0\0hi")
        assert (await client.reader.readexactly(1)) == b"\x88"


async def test_a_body_that_ends_after_its_answer_leaves_no_connection_open():
    async def answers_early(scope, receive, send):
        await send({"type": "http.response.start", "status": 413, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    async with talking(answers_early, Hasty) as client:
        await client.send(HEAD + b"content-length: 2\r\n\r\nh")
        assert (await client.answer())[0] == 413
        await client.send(b"i")
        assert await asyncio.wait_for(client.rest(), 2) == b""


# --- heads that leave in doubt what was asked


@pytest.mark.parametrize(
    ("head", "status", "code"),
    [
        (HEAD + b"transfer-encoding: gzip, chunked\r\n\r\n", 501, "unknown_transfer_encoding"),
        (HEAD + b"transfer-encoding: gzip\r\n\r\n", 501, "unknown_transfer_encoding"),
        (HEAD + b"transfer-encoding: identity\r\n\r\n", 501, "unknown_transfer_encoding"),
        (HEAD + b"transfer-encoding: chunked, chunked\r\n\r\n", 400, None),
        (HEAD + b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n", 400, None),
        (HEAD + b"transfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n", 400, None),
        (b"POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n", 400, None),
        (HEAD + b"host: a\r\n\r\n", 400, None),
        (b"GET / HTTP/1.0\r\nhost: a\r\nhost: b\r\n\r\n", 400, None),
        (b"GET / HTTP/1.1\r\n\r\n", 400, None),
        (b"CONNECT a:80 HTTP/1.1\r\nhost: a\r\n\r\n", 400, None),
        (b"CONNECT / HTTP/1.1\r\nhost: a\r\n\r\n", 400, None),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, None),
        (GARBAGE, 400, None),
    ],
    ids=lambda value: value[:60].decode("latin-1") if isinstance(value, bytes) else "",
)
async def test_a_head_in_doubt_is_refused(head: bytes, status: int, code: str | None):
    asked = Asked()
    async with talking(asked) as client:
        await client.send(head + b"0\r\n\r\n" + PLAIN)
        assert error_of(await client.answer()) == (status, code)
        assert await client.rest() == b""
    assert asked.paths == []


@pytest.mark.parametrize("coding", [b"chunked", b"Chunked ", b"\tCHUNKED"])
async def test_chunked_by_any_of_its_spellings(coding: bytes):
    asked = Asked()
    async with talking(asked) as client:
        await client.send(HEAD + b"transfer-encoding: " + coding + b"\r\nexpect: 100-continue\r\n\r\n")
        assert await client.head() == (100, {})
        await client.send(b"2\r\nhi\r\n0\r\n\r\n")
        assert (await client.answer())[2] == b"hi"
