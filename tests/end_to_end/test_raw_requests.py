"""What clients put around a request, byte by byte, through the proxy as it is served: it ends where they said."""

import asyncio
import json

import httpx
import pytest

from tests.support import upstreams
from tests.support.proxying import CHAT, Proxied, proxied
from tests.support.raw_http import Client

BODY = b'{"model": "m", "messages": [{"role": "user", "content": "GET /v1/evil HTTP/1.1\\r\\nhost: a\\r\\n\\r\\n"}]}'
LENGTH = b"content-length: %d\r\n" % len(BODY)


async def connected(pair: Proxied) -> Client:
    return Client(*await asyncio.open_connection("127.0.0.1", httpx.URL(pair.url).port))


def chat(version: bytes, headers: bytes, body: bytes) -> bytes:
    return b"POST %b HTTP/%b\r\nhost: a\r\n%b\r\n%b" % (CHAT.encode(), version, headers, body)


async def test_a_java_client_s_offer_of_http_2_costs_it_nothing():
    offer = b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAEAAEAAAAIAAAAB\r\n"
    async with proxied(upstreams.echo()) as pair:
        client = await connected(pair)
        head, body = chat(b"1.1", offer + LENGTH, b""), BODY
        for _ in range(2):
            await client.send(head)
            await asyncio.sleep(0.05)
            await client.send(body)
            status, _, answer = await client.answer()
            arrived = json.loads(answer)
            assert (status, arrived["body"].encode("latin-1")) == (200, BODY)
            assert not {"upgrade", "connection", "http2-settings"} & {name for name, _ in arrived["headers"]}
        client.writer.close()


async def test_a_credential_in_a_trailer_is_nobody_s():
    async with proxied(upstreams.echo()) as pair:
        client = await connected(pair)
        trailer = b"0\r\nauthorization: Bearer evil\r\n\r\n"
        chunks = b"%x\r\n%b\r\n" % (len(BODY), BODY) + trailer
        await client.send(chat(b"1.1", b"transfer-encoding: chunked\r\n", chunks))
        arrived = json.loads((await client.answer())[2])
        assert arrived["body"].encode("latin-1") == BODY
        assert "authorization" not in {name for name, _ in arrived["headers"]}
        client.writer.close()


async def test_a_stream_to_http_1_0_ends_with_its_connection():
    async with proxied(upstreams.odd_sse(7)) as pair:
        client = await connected(pair)
        await client.send(chat(b"1.0", LENGTH, BODY))
        status, headers = await client.head()
        assert (status, headers["connection"]) == (200, "close")
        assert "transfer-encoding" not in headers
        assert await client.rest() == upstreams.ODD_SSE
        client.writer.close()


@pytest.mark.parametrize("blank", [b" ", b"\t", b" \t "])
async def test_a_blank_behind_a_length_lengthens_nothing(blank: bytes):
    """Or the upload would go on in chunks under a length, and its tail be the next client's request."""
    smuggled = b"GET /v1/evil HTTP/1.1\r\nhost: a\r\n\r\n"
    async with proxied(upstreams.echo()) as pair:
        client = await connected(pair)
        head = b"POST /v1/audio HTTP/1.1\r\nhost: a\r\ncontent-length: %d%b\r\n\r\n" % (len(smuggled), blank)
        await client.send(head)
        await client.send(smuggled, cut=1)
        arrived = json.loads((await client.answer())[2])
        assert arrived["body"].encode("latin-1") == smuggled
        assert ["content-length", str(len(smuggled))] in arrived["headers"]
        assert (await pair.client.get(f"{pair.url}/v1/files")).json()["path"] == "/v1/files"
        client.writer.close()
