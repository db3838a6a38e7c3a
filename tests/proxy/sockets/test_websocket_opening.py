"""How an upstream is asked for a WebSocket, and what becomes of one that says no, nothing, or something else."""

import asyncio
import base64
import hashlib
import json
import logging
import re
import socket
import time
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus

from tests.support.sockets import Server
from tests.support.websocket_upstreams import PATH, answered, asking, by_hand, connected, last_words, proxying

pytestmark = pytest.mark.slow  # real sockets, and time that passes

NO = b"HTTP/1.1 401 Unauthorized\r\nserver: them\r\ncontent-type: application/json\r\n"
WHY = b'{"error": {"message": "no key", "code": "invalid_api_key"}}'
SIZED = NO + b"x-request-id: req_1\r\nkeep-alive: timeout=5\r\ncontent-length: %d\r\n\r\n%b" % (len(WHY), WHY)
CHUNKED = NO + b"x-request-id: req_1\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(WHY), WHY)
ENDED = NO + b"x-request-id: req_1\r\n\r\n" + WHY


@pytest.mark.parametrize(
    "target", ["*@127.0.0.1:{evil}/", "*@127.0.0.1:{evil}", "*", "*/v1", "http://127.0.0.1:{evil}/"]
)
async def test_nobody_else_is_asked_whatever_the_target(target: str):
    evil, upstream = Server(b"", closes=True), Server(SIZED)
    async with by_hand(evil) as evil_url, by_hand(upstream) as url, proxying(url, upstream_key="secret") as port:
        written = target.format(evil=evil_url.rpartition(":")[2]).encode()
        async with asking(port, written) as reader:
            status, _, body = await answered(reader)
    assert status == 400
    assert b"error" in body or b"Invalid" in body
    assert (evil.connections, upstream.connections) == (0, 0)


@pytest.mark.parametrize("replaced", [True, False])
async def test_a_browser_s_key_is_a_credential(replaced: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("THE_KEY", "secret")
    upstream = Server(SIZED)
    offered = b"sec-websocket-protocol: realtime, OpenAI-Insecure-API-Key.sk-mine,\r\nSec-WebSocket-Protocol: v1\r\n"
    async with by_hand(upstream) as url:
        row = f'[[upstream]]\nname = "one"\nurl = "{url}"\nmodels = ["*"]\n' + 'key_env = "THE_KEY"\n' * replaced
        (tmp_path / "upstreams.toml").write_text(row)
        ours = {"upstream": "", "upstreams": str(tmp_path / "upstreams.toml")} if replaced else {"upstream": url}
        async with (
            proxying(**ours, upstream_key="secret") as port,
            asking(port, b"/v1/realtime", offered) as reader,
        ):
            await answered(reader)
    if replaced:
        assert b"sk-mine" not in upstream.asked[0]
        assert b"\r\nSec-WebSocket-Protocol: realtime, v1\r\n" in upstream.asked[0]
        assert b"\r\nauthorization: Bearer secret\r\n" in upstream.asked[0]
    else:  # one credential is told
        assert b"\r\nSec-WebSocket-Protocol: realtime, OpenAI-Insecure-API-Key.sk-mine, v1\r\n" in upstream.asked[0]
        assert b"authorization" not in upstream.asked[0]


async def test_the_head_is_the_client_s_byte_for_byte():
    upstream = Server(SIZED)
    sent = b"X-Latin: caf\xe9\r\nx-utf: \xc5\x82\r\nx-twice: a\r\nx-twice: b\r\n"
    sent += b"sec-websocket-extensions: permessage-deflate\r\nupgrade-insecure-requests: 1\r\n"
    async with (
        by_hand(upstream) as url,
        proxying(f"{url}/base/v1?v=1", upstream_key="secret") as port,
        asking(port, b"/v1/real%2Ftime?model=m&a=%C3%BC", sent) as reader,
    ):
        await answered(reader)
    first, *lines = upstream.asked[0].removesuffix(b"\r\n\r\n").split(b"\r\n")
    assert first == b"GET /base/v1/real%2Ftime?v=1&model=m&a=%C3%BC HTTP/1.1"
    told = [line for line in lines if not line.startswith(b"Sec-WebSocket-Key: ")]
    assert told == [
        f"Host: {url.removeprefix('http://')}".encode(),
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Version: 13",
        b"x-latin: caf\xe9",
        b"x-utf: \xc5\x82",
        b"x-twice: a",
        b"x-twice: b",
        b"upgrade-insecure-requests: 1",
        b"authorization: Bearer secret",
    ]


@pytest.mark.parametrize("answer", [SIZED, CHUNKED, ENDED], ids=["sized", "chunked", "ended"])
async def test_a_refusal_is_the_upstream_s_and_no_error_of_ours(answer: bytes, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING):
        async with by_hand(Server(answer, closes=True)) as url, proxying(url) as port:
            with pytest.raises(InvalidStatus) as refused:
                await connected(f"ws://127.0.0.1:{port}{PATH}")
    response = refused.value.response
    assert (response.status_code, bytes(response.body)) == (401, WHY)
    assert response.headers["x-request-id"] == "req_1"
    assert response.headers["content-type"] == "application/json"
    assert response.headers["content-length"] == str(len(WHY))
    assert "keep-alive" not in response.headers
    assert [record.message for record in caplog.records] == []


async def test_a_redirect_is_the_client_s_to_follow():
    elsewhere = Server(SIZED)
    async with by_hand(elsewhere) as there:
        moved = f"HTTP/1.1 307 Moved\r\nlocation: {there}/\r\ncontent-length: 0\r\n\r\n".encode()
        async with by_hand(Server(moved)) as url, proxying(url) as port, asking(port, b"/v1/realtime") as reader:
            status, headers, _ = await answered(reader)
    assert (status, headers[b"location"]) == (307, f"{there}/".encode())
    assert elsewhere.connections == 0


TOO_LONG = NO + b"content-length: 2000000\r\n\r\n" + b"x" * 2_000_000
WRONG = b"HTTP/1.1 101 Fine\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: bm8=\r\n\r\n"
EARLY = b"HTTP/1.1 103 Early Hints\r\n\r\n"


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-OpenSSH\r\n", WRONG, EARLY, TOO_LONG, SIZED[:-1]])
async def test_an_answer_that_is_none_is_a_502(answer: bytes, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING):
        async with (
            by_hand(Server(answer, closes=True)) as url,
            proxying(url) as port,
            asking(port, b"/v1/realtime") as reader,
        ):
            status, headers, body = await answered(reader)
    assert (status, headers[b"content-type"]) == (502, b"application/json")
    assert json.loads(body)["error"]["type"] == "upstream_error"
    assert [record.message for record in caplog.records] == []


async def test_an_upstream_that_says_nothing_is_given_up():
    silent = Server(b"")
    async with by_hand(silent) as url, proxying(url, connect_timeout_s=0.2) as port:
        async with asking(port, b"/v1/realtime") as reader:
            assert (await answered(reader))[0] == 502
        async with asyncio.timeout(1):
            await silent.gone.wait()


async def test_a_client_that_hangs_up_is_not_waited_for(caplog: pytest.LogCaptureFixture):
    silent = Server(b"")
    with caplog.at_level(logging.WARNING):
        async with by_hand(silent) as url, proxying(url) as port:
            async with asking(port, b"/v1/realtime"), asyncio.timeout(5):
                while not silent.asked:
                    await asyncio.sleep(0.01)
            since = time.monotonic()
            async with asyncio.timeout(5):
                await silent.gone.wait()
            assert time.monotonic() - since < 0.25
    assert [record.message for record in caplog.records] == []


async def test_who_hangs_up_before_there_is_a_connection_is_not_waited_for_either(caplog: pytest.LogCaptureFixture):
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for waiting in (first, second):  # its queue is full
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        async with proxying(f"http://127.0.0.1:{listener.getsockname()[1]}") as port:
            async with asking(port, b"/v1/realtime"):
                await asyncio.sleep(0.1)
            since = time.monotonic()
        assert time.monotonic() - since < 0.9  # the server ends when what it serves has ended, or after a second
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == []


async def accepts(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, behind: bytes = b"") -> bytes:
    """The head of an upgrade, after it is accepted."""
    head = await reader.readuntil(b"\r\n\r\n")
    found = re.search(rb"sec-websocket-key: (\S+)", head, re.IGNORECASE)
    assert found
    digest = hashlib.sha1(found[1] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    writer.write(
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
        b"sec-websocket-accept: " + base64.b64encode(digest) + b"\r\n\r\n" + behind
    )
    return head


async def test_what_comes_with_the_handshake_is_heard():
    async def at_once(reader, writer):
        await accepts(reader, writer, b"\x81\x02hi\x88\x02\x0f\xa1")
        await reader.read()

    async with by_hand(at_once) as url, proxying(url) as port, connected(f"ws://127.0.0.1:{port}{PATH}") as client:
        assert await client.recv() == "hi"
        assert await last_words(client) == (4001, "")
