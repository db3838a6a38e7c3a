"""What streams is passed on piece by piece, whatever it is and both ways; what is coded is passed on unread."""

import asyncio
import gzip
import json
import logging
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from memory_core.stores import open_store
from proxy.app import Given
from tests.support import upstreams
from tests.support.embedders import HashedWordsEmbedder
from tests.support.proxying import CHAT, HELLO, history, proxied
from tests.support.stores import SlowStore

PIECES = (b'{"token": "a"}\n', b'{"token": "b"} [DONE]\n', b'{"done": true}\n')


def step_by_step(steps: asyncio.Queue[None], content_type: bytes) -> ASGIApp:
    """Sends a piece a step."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        while (await receive()).get("more_body"):
            continue
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", content_type)]})
        for piece in PIECES:
            await steps.get()
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await steps.get()
        await send({"type": "http.response.body", "body": b""})

    return app


@pytest.mark.parametrize("path", [CHAT, "/api/chat", "/v1/audio/speech"])
@pytest.mark.parametrize("content_type", [b"application/x-ndjson", b"audio/mpeg", b"text/event-stream"])
async def test_each_piece_of_an_answer_arrives_before_the_next_is_sent(path: str, content_type: bytes):
    steps: asyncio.Queue[None] = asyncio.Queue()
    body = json.dumps({"model": "m", "messages": HELLO, "stream": True})
    async with (
        proxied(step_by_step(steps, content_type)) as pair,
        pair.client.stream("POST", pair.url + path, content=body) as response,
    ):
        heard = response.aiter_raw()
        for piece in PIECES:
            steps.put_nowait(None)
            assert await asyncio.wait_for(anext(heard), 5) == piece
        steps.put_nowait(None)
        assert [piece async for piece in heard] == []


async def test_each_piece_of_an_upload_arrives_before_the_next_is_sent():
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def listening(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            while (event := await receive()).get("more_body"):
                heard.put_nowait(event["body"])
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})

    async def parts() -> AsyncIterator[bytes]:
        for piece in PIECES:
            yield piece
            assert await asyncio.wait_for(heard.get(), 5) == piece

    async with proxied(listening) as pair:
        assert (await pair.client.post(f"{pair.url}/v1/audio/transcriptions", content=parts())).status_code == 200


@pytest.mark.parametrize("path", [CHAT, "/v1/completions"])
async def test_a_stream_that_breaks_off_leaves_a_line_in_the_log_and_no_trace(
    path: str, caplog: pytest.LogCaptureFixture
):
    async with proxied(upstreams.dies_mid_stream()) as pair:
        body = json.dumps({"model": "m", "messages": HELLO, "stream": True})
        caplog.set_level(logging.INFO)
        with pytest.raises(httpx.RemoteProtocolError):
            await pair.client.post(pair.url + path, content=body)
    assert "the upstream broke off its answer" in caplog.messages
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("path", [CHAT, "/v1/files/7"])
async def test_an_answer_without_a_body(path: str, status: int, caplog: pytest.LogCaptureFixture):
    headers = [(b"etag", b"7"), *([(b"content-length", b"31")] if status == 304 else [])]

    async def empty(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": b"x" * 31 if status == 304 else b""})

    async with proxied(empty) as pair:
        for _ in range(2):
            answer = await pair.client.post(pair.url + path, content=json.dumps({"model": "m", "messages": HELLO}))
            assert (answer.status_code, answer.headers["etag"], answer.content) == (status, "7", b"")
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize("path", [CHAT, "/v1/responses"])
async def test_a_coded_request_is_passed_on_unread(path: str):
    body = gzip.compress(json.dumps({"model": "m", "messages": HELLO}).encode(), mtime=0)
    async with proxied(upstreams.answers()) as pair:
        answer = await pair.client.post(pair.url + path, content=body, headers={"content-encoding": "gzip"})
        assert answer.json() == upstreams.ANSWER
        assert answer.headers["x-isocost-mode"] == "passthrough"
        assert pair.recorder.body == body


@pytest.mark.parametrize("exchanges", [0, 20])
async def test_what_passes_through_does_not_wait_for_a_store_that_hangs(exchanges: int):
    store = SlowStore(
        await open_store("memory://"), delay_s=30, slow=("known", "read", "load", "note", "path", "append", "save")
    )
    given = Given(embedder=HashedWordsEmbedder(), store=store)
    headers = {"x-isocost-mode": "passthrough"}
    async with proxied(upstreams.answers(), given=given, drain_timeout_s=0) as pair:
        for _ in range(2):
            began = asyncio.get_running_loop().time()
            answer = await pair.chat([*history(exchanges), *HELLO], headers=headers)
            assert answer.json() == upstreams.ANSWER
            assert asyncio.get_running_loop().time() - began < 1.0
