"""Upgrades relayed: text, bytes, subprotocols, headers of the handshake, close codes both ways, TLS, breaks."""

import asyncio
import json
import ssl
from contextlib import suppress
from pathlib import Path

import pytest
import trustme
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Request, Response

from proxy.websockets import MESSAGE_BYTES_MAX
from tests.support.proxying import eventually
from tests.support.websocket_upstreams import PATH, connected, last_words, proxying, relayed


async def echoes(upstream: ServerConnection) -> None:
    """Says everything again; "bye" closes with 4001."""
    async for message in upstream:
        if message == "bye":
            await upstream.close(4001, "as you wish")
            return
        await upstream.send(message)


class Closing:
    """Echoes, and remembers how it ended."""

    def __init__(self) -> None:
        self.seen: list[tuple[int | None, str | None]] = []

    async def __call__(self, upstream: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            await echoes(upstream)
        self.seen.append((upstream.close_code, upstream.close_reason))

    async def once(self) -> bool:
        return bool(self.seen)


async def test_what_is_said_arrives_both_ways():
    async with relayed(echoes, max_size=None) as url, connected(url, max_size=None) as client:
        for said in ("", "Zürich 🚋", "x" * 300_000, b"", b"\0\xff" * 70_000, b"y" * MESSAGE_BYTES_MAX):
            await client.send(said)
            assert await client.recv() == said


async def test_fragments_arrive_as_the_message_they_are():
    async def in_pieces(upstream: ServerConnection) -> None:
        assert await upstream.recv() == "Zürich 🚋"
        await upstream.send([b"\0", b"", b"\xff"])
        await upstream.send("Zürich 🚋"[at] for at in range(8))

    async with relayed(in_pieces) as url, connected(url) as client:
        await client.send(["Zü", "", "rich 🚋"])
        assert await client.recv() == b"\0\xff"
        assert await client.recv() == "Zürich 🚋"


async def test_the_upstream_is_asked_what_the_client_asks_and_nothing_else():
    asked: list[Request] = []

    async def notes(upstream: ServerConnection) -> None:
        assert upstream.request is not None
        asked.append(upstream.request)

    headers = {"authorization": "Bearer mine", "x-isocost-mode": "compact", "x-more": "a", "te": "trailers"}
    async with (
        relayed(notes) as url,
        connected(f"{url}?model=m&a=%2F", additional_headers=headers, user_agent_header=None) as client,
    ):
        await client.wait_closed()
    (request,) = asked
    assert request.path == f"{PATH}?model=m&a=%2F"
    assert request.headers["authorization"] == "Bearer mine"
    assert sorted(name.lower() for name, _ in request.headers.raw_items()) == [
        "authorization",
        "connection",
        "host",
        "sec-websocket-key",
        "sec-websocket-version",
        "upgrade",
        "x-more",
    ]


async def test_headers_and_subprotocol_of_the_handshake_reach_the_client():
    def adds(_: ServerConnection, __: Request, response: Response) -> None:
        for name, value in (("x-request-id", "req_1"), ("set-cookie", "a=1"), ("set-cookie", "b=2")):
            response.headers[name] = value

    async with (
        relayed(echoes, subprotocols=["realtime"], process_response=adds) as url,
        connected(url, subprotocols=["other", "realtime"]) as client,
    ):
        assert client.subprotocol == "realtime"
        assert client.response is not None
        assert client.response.headers["x-request-id"] == "req_1"
        assert client.response.headers.get_all("set-cookie") == ["a=1", "b=2"]
        assert len(client.response.headers.get_all("sec-websocket-accept")) == 1
        assert len(client.response.headers.get_all("connection")) == 1
        await client.send("still here")
        assert await client.recv() == "still here"


@pytest.mark.parametrize(("code", "reason"), [(4007, "enough"), (1001, "")])
async def test_the_client_s_close_reaches_the_upstream(code: int, reason: str):
    closing = Closing()
    async with relayed(closing) as url, connected(url) as client:
        await client.send("hello")
        await client.recv()
        await client.close(code, reason)
        await eventually(closing.once)
    assert closing.seen == [(code, reason)]


async def test_the_upstream_s_close_reaches_the_client():
    async with relayed(echoes) as url, connected(url) as client:
        await client.send("first")
        await client.send("bye")
        assert await client.recv() == "first"
        assert await last_words(client) == (4001, "as you wish")


async def test_a_client_that_vanishes_closes_the_upstream():
    closing = Closing()
    async with relayed(closing) as url, connected(url) as client:
        await client.send("hello")
        await client.recv()
        client.transport.abort()
        await eventually(closing.once)
    assert closing.seen == [(1000, "")]


async def test_an_upstream_that_breaks_off_closes_the_client():
    async def breaks(upstream: ServerConnection) -> None:
        await upstream.send("half a")
        await asyncio.sleep(0.05)
        upstream.transport.abort()

    async with relayed(breaks) as url, connected(url) as client:
        assert await client.recv() == "half a"
        assert await last_words(client) == (1011, "")


@pytest.mark.parametrize("whole", [True, False])
async def test_a_message_of_the_upstream_s_that_is_too_long_ends_it(whole: bool):
    closed: list[int | None] = []

    async def shouts(upstream: ServerConnection) -> None:
        half = b"x" * (MESSAGE_BYTES_MAX // 2)
        await upstream.send(half * 2 + b"x" if whole else [half, half, b"x"])
        await upstream.wait_closed()
        closed.append(upstream.close_code)

    async with relayed(shouts) as url, connected(url, max_size=None) as client:
        assert (await last_words(client))[0] == 1009

        async def seen() -> bool:
            return bool(closed)

        await eventually(seen)
    assert closed == [1009]


async def test_a_message_of_the_client_s_that_is_too_long_ends_it():
    closing = Closing()
    async with relayed(closing, max_size=None) as url, connected(url) as client:
        with suppress(ConnectionClosed):
            await client.send(b"x" * (MESSAGE_BYTES_MAX + 1))
        assert (await last_words(client))[0] == 1009
        await eventually(closing.once)
    assert closing.seen[0][0] == 1009


async def test_text_that_is_none_ends_it():
    async def mumbles(upstream: ServerConnection) -> None:
        await upstream.send(b"\xff\xfe", text=True)
        await upstream.wait_closed()

    async with relayed(mumbles) as url, connected(url) as client:
        assert (await last_words(client))[0] == 1007


async def test_pings_are_answered_on_either_side():
    async def pings(upstream: ServerConnection) -> None:
        await (await upstream.ping(b"are you there?"))
        await upstream.send("there")
        await upstream.wait_closed()

    async with relayed(pings) as url, connected(url) as client, asyncio.timeout(5):
        assert await client.recv() == "there"
        await (await client.ping())


async def test_over_tls_with_a_certificate_that_the_system_trusts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    async with relayed(echoes, tls=context, host="localhost") as url:
        with pytest.raises(InvalidStatus) as refused:
            await connected(url)
        assert refused.value.response.status_code == 502
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    async with relayed(echoes, tls=context, host="localhost") as url, connected(url) as client:
        await client.send("x" * 300_000)
        assert await client.recv() == "x" * 300_000
        await client.send("bye")
        assert await last_words(client) == (4001, "as you wish")
    async with relayed(echoes, tls=context, host="127.0.0.1") as url:  # the certificate is not for this name
        with pytest.raises(InvalidStatus):
            await connected(url)


async def test_an_upstream_that_is_away_is_a_502():
    async with proxying("http://127.0.0.1:9") as port:
        with pytest.raises(InvalidStatus) as refused:
            await connected(f"ws://127.0.0.1:{port}{PATH}")
    assert refused.value.response.status_code == 502
    assert json.loads(refused.value.response.body)["error"]["code"] == "upstream_unreachable"
