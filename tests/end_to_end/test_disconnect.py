"""The client hangs up: the upstream must know at once, for it is paid by the token; and the proxy goes on."""

import asyncio
import json
import time
from urllib.parse import urlsplit

import pytest

from tests.support import upstreams
from tests.support.proxying import CHAT, HELLO, LONG, Proxied, eventually, proxied

WITHIN_S = 0.25
FIRST = b'data: {"choices": [{"index": 0, "delta": {"content": "Once upon"}}]}\n\n'


async def connect(pair: Proxied, path: str, body: bytes, *, announced: int | None = None, headers: str = ""):
    """A bare connection with a request on it; httpx would keep it open, or close it too politely."""
    address = urlsplit(pair.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    length = len(body) if announced is None else announced
    writer.write(f"POST {path} HTTP/1.1\r\nhost: x\r\n{headers}content-length: {length}\r\n\r\n".encode() + body)
    await writer.drain()
    return reader, writer


async def hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()
    await writer.wait_closed()


async def goes_on(pair: Proxied) -> None:
    assert (await pair.client.get(f"{pair.url}/v1/models")).json() == {}
    assert (await pair.client.get(f"{pair.url}/healthz")).status_code == 200


@pytest.mark.parametrize(
    ("path", "mode"), [(CHAT, "passthrough"), (CHAT, "compact"), ("/v1/responses", "compact"), ("/v1/completions", "")]
)
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "plain"])
@pytest.mark.parametrize("first", [FIRST, b""], ids=["in the answer", "before its first byte"])
async def test_the_upstream_sees_a_hang_up(path: str, mode: str, stream: bool, first: bytes):
    asked, gone = asyncio.Event(), asyncio.Event()
    async with proxied(upstreams.never_answers(asked, gone, first=first)) as pair:
        for _ in range(2):
            said = LONG if mode == "compact" else HELLO
            body = json.dumps({"model": "m", "messages": said, "input": said, "stream": stream}).encode()
            reader, writer = await connect(pair, path, body, headers=f"x-isocost-mode: {mode}\r\n" if mode else "")
            await asyncio.wait_for(asked.wait(), 10)
            if first:
                await asyncio.wait_for(reader.readuntil(b"Once upon"), 10)
            began = time.monotonic()
            await hang_up(writer)
            await asyncio.wait_for(gone.wait(), 10)
            assert time.monotonic() - began < WITHIN_S
            asked.clear()
            gone.clear()
            await goes_on(pair)


async def test_one_client_of_many_hangs_up():
    """The others hear on."""
    asked, gone = asyncio.Event(), asyncio.Event()
    async with proxied(upstreams.never_answers(asked, gone, first=FIRST)) as pair:
        body = json.dumps({"model": "m", "messages": HELLO, "stream": True}).encode()
        connections = [await connect(pair, CHAT, body) for _ in range(8)]
        await asyncio.gather(*(reader.readuntil(b"Once upon") for reader, _ in connections))
        await hang_up(connections[0][1])
        await asyncio.wait_for(gone.wait(), WITHIN_S)
        assert not any(reader.at_eof() for reader, _ in connections[1:])
        await goes_on(pair)
        for _, writer in connections[1:]:
            await hang_up(writer)


async def test_what_was_heard_before_a_hang_up_is_kept_for_a_named_conversation():
    asked, gone = asyncio.Event(), asyncio.Event()
    async with proxied(upstreams.never_answers(asked, gone, first=FIRST)) as pair:
        body = json.dumps({"model": "m", "messages": HELLO, "stream": True}).encode()
        for count in (1, 3):
            reader, writer = await connect(pair, CHAT, body, headers="x-isocost-conversation: thin\r\n")
            await asyncio.wait_for(reader.readuntil(b"Once upon"), 10)
            assert len(pair.forwarded()) == count
            await hang_up(writer)
            await asyncio.wait_for(gone.wait(), WITHIN_S)
            await pair.until_learned(count // 2 + 1)
        assert [message["content"] for message in pair.forwarded()] == ["hello", "Once upon", "hello"]


@pytest.mark.parametrize("path", [CHAT, "/v1/files"])
async def test_a_hang_up_in_the_middle_of_the_request(path: str):
    asked, gone = asyncio.Event(), asyncio.Event()
    async with proxied(upstreams.never_answers(asked, gone)) as pair:
        _, writer = await connect(pair, path, b'{"messages": [', announced=1000)
        await hang_up(writer)

        async def counted() -> bool:
            return path != CHAT or await pair.metric("isocost_requests_total", status="gone") == 1

        await eventually(counted)
        await goes_on(pair)
        assert not asked.is_set()
