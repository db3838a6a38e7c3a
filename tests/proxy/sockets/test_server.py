"""Where a request ends, whatever surrounds its body: upgrades that are ignored, trailers that are dropped."""

import asyncio

import pytest

from tests.support.raw_http import Asked, talking

H2C = b"connection: Upgrade, HTTP2-Settings, x-hop\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\nx-hop: 1\r\n"
"""As the JDK's HttpClient asks, in its first request to any server without TLS."""
WEBSOCKET = b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
VERSION = b"sec-websocket-version: 13\r\n"

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n"
PLAIN = b"GET /plain HTTP/1.1\r\nhost: a\r\n\r\n"


def posting(headers: bytes, body: bytes, *, chunked: bool, path: bytes = b"/upgrade") -> bytes:
    framing = b"transfer-encoding: chunked" if chunked else b"content-length: %d" % len(body)
    sent = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if chunked else body
    return b"POST %b HTTP/1.1\r\nHost: a\r\n%bX-Odd:  a\t b \r\n%b\r\n\r\n%b" % (path, headers, framing, sent)


# --- upgrades


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunks"])
@pytest.mark.parametrize("cut", [0, 1, 7, 64])
async def test_an_upgrade_that_is_not_served_leaves_a_plain_request(chunked: bool, cut: int):
    asked = Asked()
    request = posting(H2C, SMUGGLED, chunked=chunked)
    async with talking(asked) as client:
        await client.send(PLAIN + request + PLAIN + request, cut=cut)
        answers = [await client.answer() for _ in range(4)]
    assert asked.paths == ["GET /plain", "POST /upgrade"] * 2
    assert asked.bodies == [b"", SMUGGLED] * 2
    assert [(status, body) for status, _, body in answers] == [(200, body) for body in asked.bodies]


async def test_the_other_headers_stay_and_so_does_what_connection_names():
    asked = Asked()
    async with talking(asked) as client:
        await client.send(posting(H2C, b"hello", chunked=False, path=b"/a%20b?c=%2F"))
        await client.answer()
    assert asked.paths == ["POST /a b"]
    headers = dict(asked.headers[0])
    assert headers == {
        b"connection": b"HTTP2-Settings, x-hop",
        b"host": b"a",
        b"http2-settings": b"AAMAAABk",
        b"x-hop": b"1",
        b"x-odd": b"a\t b",
        b"content-length": b"5",
    }


async def test_a_body_that_comes_after_the_head_of_an_upgrade():
    asked = Asked()
    head, _, body = posting(H2C, SMUGGLED, chunked=False).partition(b"\r\n\r\n")
    async with talking(asked) as client:
        for data in (head + b"\r\n\r\n", body[:9], body[9:]):
            await client.send(data)
            await asyncio.sleep(0.02)
        assert await client.answer()
        await client.send(PLAIN)
        assert await client.answer()
    assert asked.bodies == [SMUGGLED, b""]


async def test_a_connection_that_is_to_close_closes_after_an_upgrade_that_was_ignored():
    async with talking(Asked()) as client:
        await client.send(posting(b"connection: close, upgrade\r\nupgrade: h2c\r\n", b"x", chunked=False))
        _, headers, body = await client.answer()
        assert (headers["connection"], body) == ("close", b"x")
        assert await client.rest() == b""


async def test_upgrades_by_the_thousand_in_one_piece():
    asked = Asked()
    async with talking(asked) as client:
        sending = asyncio.create_task(client.send(posting(H2C, b"x", chunked=False) * 1_500))
        for _ in range(1_500):
            assert (await client.answer())[2] == b"x"
        await sending
    assert len(asked.paths) == 1_500


@pytest.mark.parametrize(
    "request_",
    [
        posting(WEBSOCKET + VERSION, SMUGGLED, chunked=False),
        posting(WEBSOCKET + VERSION, SMUGGLED, chunked=True),
        posting(WEBSOCKET + VERSION, SMUGGLED, chunked=True).replace(b"POST", b"GET"),
        posting(WEBSOCKET + VERSION, b"", chunked=False),
        b"GET / HTTP/1.0\r\n" + WEBSOCKET + VERSION + b"\r\n",
        b"GET / HTTP/1.1\r\nhost: a\r\n" + WEBSOCKET + VERSION + b"x-many: 1\r\n" * 150 + b"\r\n",
        b"GET / HTTP/1.1\r\nhost: a\r\n" + WEBSOCKET + VERSION + b"x-long: " + b"1" * 9000 + b"\r\n\r\n",
        b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nhost: a\r\n" + WEBSOCKET + VERSION + b"\r\n",
    ],
    ids=["POST", "POST chunks", "GET with a body", "POST no body", "HTTP/1.0", "headers", "long header", "long path"],
)
async def test_a_websocket_that_cannot_be_is_a_plain_request(request_: bytes):
    asked = Asked()
    async with talking(asked) as client:
        await client.send(request_)
        status, _ = await asyncio.wait_for(client.head(), 5)
    assert status == 200
    assert len(asked.paths) == 1
    assert asked.bodies[0] in (b"", SMUGGLED)


async def test_a_websocket_without_its_key_is_refused():
    async with talking(Asked()) as client:
        await client.send(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
        assert (await client.rest()).startswith(b"HTTP/1.1 400 ")


async def test_a_websocket_is_not_begun_within_another_answer():
    gate = asyncio.Event()
    asked = Asked()

    async def slow(scope, receive, send):
        await gate.wait()
        await asked(scope, receive, send)

    async with talking(slow) as client:
        await client.send(PLAIN + b"GET /ws HTTP/1.1\r\nhost: a\r\n" + WEBSOCKET + VERSION + b"\r\n")
        await asyncio.sleep(0.05)
        gate.set()
        assert [(await client.answer())[0] for _ in range(2)] == [200, 200]
    assert asked.paths == ["GET /plain", "GET /ws"]


# --- trailers


@pytest.mark.parametrize("cut", [0, 1])
async def test_trailers_are_dropped(cut: int):
    asked = Asked()
    chunked = posting(b"", b"hello", chunked=True, path=b"/")
    trailers = b"authorization: Bearer evil\r\nhost: b\r\nexpect: 100-continue\r\nx-last: 1\r\n\r\n"
    async with talking(asked) as client:
        await client.send((chunked[:-2] + trailers) * 2 + PLAIN, cut=cut)
        assert [(await client.answer())[2] for _ in range(3)] == [b"hello", b"hello", b""]
    names = {name for headers in asked.headers for name, _ in headers}
    assert names == {b"host", b"x-odd", b"transfer-encoding"}


async def test_a_body_in_chunks_of_one_byte():
    asked = Asked()
    body = b"0123456789" * 8_000
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    async with talking(asked) as client:
        sending = posting(b"", b"", chunked=True).partition(b"\r\n\r\n")[0] + b"\r\n\r\n" + chunks
        await client.send(sending, cut=50_000)
        assert (await client.answer())[2] == body


async def test_chunks_whose_frames_come_in_pieces_of_their_own():
    asked = Asked()
    async with talking(asked) as client:
        await client.send(posting(b"", b"", chunked=True).partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
        for _ in range(100):
            for piece in (b"a;name=", b"value\r\n", b"0123456789", b"\r\n"):
                await client.send(piece, cut=len(piece))
        await client.send(b"0\r\n\r\n")
        assert (await client.answer())[2] == b"0123456789" * 100


async def test_a_large_body_and_the_beginning_of_the_next_head_in_one_piece():
    asked = Asked()
    async with talking(asked) as client:
        await client.send(posting(b"", b"x" * 100_000, chunked=False) + PLAIN[:20])
        assert len((await client.answer())[2]) == 100_000
        await client.send(PLAIN[20:])
        assert (await client.answer())[0] == 200


# --- HTTP/1.0


@pytest.mark.parametrize("keep", [b"", b"connection: keep-alive\r\n"])
async def test_http_1_0_is_told_no_chunks(keep: bytes):
    async with talking(Asked()) as client:
        await client.send(b"POST / HTTP/1.0\r\n" + keep + b"content-length: 5\r\nexpect: 100-continue\r\n\r\nhello")
        status, headers = await client.head()
        assert (status, headers) == (200, {"connection": "close"})
        assert await client.rest() == b"hello"


async def test_http_1_0_is_told_a_length_where_there_is_one():
    async def app(scope, receive, send):
        headers = [(b"Content-Length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})

    async with talking(app) as client:
        await client.send(b"HEAD / HTTP/1.0\r\n\r\n")
        assert await client.head() == (200, {"content-length": "2", "connection": "close"})
        assert await client.rest() == b""
    async with talking(app) as client:
        await client.send(b"GET / HTTP/1.0\r\n\r\n")
        assert (await client.answer())[2] == b"ok"
