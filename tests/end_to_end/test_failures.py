"""Something fails, at run time: the upstream or the embedder. The client gets an answer, or a clear error."""

import json
import socket
import time

import httpx
import pytest

from proxy.app import Given
from tests.support import upstreams
from tests.support.embedders import GatedEmbedder
from tests.support.proxying import CHAT, COMPACT, HELLO, LONG, THIN, answered_unchanged, proxied


async def test_an_upstream_that_is_down():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
    async with proxied(upstreams.answers(), upstream=address, connect_timeout_s=2) as pair:
        for refused in (await pair.chat(HELLO), await pair.client.get(f"{pair.url}/v1/models")):
            assert refused.status_code == 502
            assert refused.json()["error"]["type"] == "upstream_error"
            assert refused.json()["error"]["code"] == "upstream_unreachable"
            assert address not in refused.text  # where the upstream stands is the operator's business
        assert (await pair.client.get(f"{pair.url}/healthz")).status_code == 200
        assert (await pair.chat(HELLO)).headers["x-isocost-turn"] == "1"


@pytest.mark.slow
async def test_a_slow_upstream():
    async with proxied(upstreams.slow(30), first_byte_timeout_s=1) as pair:
        began = time.monotonic()
        refused = await pair.chat(HELLO)
        assert time.monotonic() - began < 5
        assert refused.status_code == 504
        assert refused.json()["error"]["code"] == "upstream_timeout"


@pytest.mark.parametrize("path", [CHAT, "/v1/completions"])
async def test_an_upstream_that_dies_mid_stream(path: str):
    async with proxied(upstreams.dies_mid_stream()) as pair:
        for _ in range(2):
            heard = b""
            body = json.dumps({"model": "m", "messages": HELLO, "stream": True})
            with pytest.raises(httpx.RemoteProtocolError):
                async with pair.client.stream("POST", pair.url + path, content=body) as response:
                    assert response.status_code == 200
                    async for piece in response.aiter_bytes():
                        heard += piece
            assert b"half" in heard
            assert b"an answer" in heard
        assert (await pair.client.get(f"{pair.url}/healthz")).status_code == 200


async def test_half_an_answer_is_kept_for_the_client_that_sends_only_what_is_new():
    async with proxied(upstreams.dies_mid_stream()) as pair:
        for said in ("hello", "you broke off"):
            with pytest.raises(httpx.RemoteProtocolError):
                await pair.chat([{"role": "user", "content": said}], headers=THIN, stream=True)
            await pair.until_learned(1)
    assert [message["content"] for message in pair.forwarded()] == ["hello", "half an answer", "you broke off"]


async def test_an_embedder_that_fails():
    embedder = GatedEmbedder(poison=["What about word3x1?"])
    async with proxied(upstreams.answers(), given=Given(embedder=embedder)) as pair:
        answer = await answered_unchanged(pair, LONG, COMPACT)
        assert answer.headers["x-isocost-error"] == "EmbedderError"
        await pair.until_learned(1, outcome="failed")
        embedder.poison = frozenset()
        assert (await pair.chat(LONG, headers=COMPACT)).headers["x-isocost-mode"] == "compact"


async def test_an_embedder_that_hangs():
    embedder = GatedEmbedder(is_open=False)
    async with proxied(
        upstreams.answers(), given=Given(embedder=embedder), compact_timeout_s=0.1, drain_timeout_s=0
    ) as pair:
        answer = await answered_unchanged(pair, LONG, COMPACT)
        assert answer.headers["x-isocost-error"] == "timeout"
        embedder.gate.set()
        assert (await pair.chat(LONG, headers={**COMPACT})).status_code == 200
