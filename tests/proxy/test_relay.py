"""Bytes as they came, the last ones held until the turn is safe."""

import asyncio

import httpx
import pytest

from proxy.demo.serving import serve_app
from proxy.errors import BadRequestError, UpstreamError
from proxy.headers import end_to_end
from proxy.patience import Patience, Timed, Timer
from proxy.relay import AFTER_LAST_S, relay, send_error
from proxy.transport import PooledTransport
from proxy.upstream import Target, Upstream
from tests.support.upstreams import dies_mid_stream

SSE = [
    (b"Content-Type", b"text/event-stream"),
    (b"Connection", b"keep-alive, x-hop"),
    (b"X-Hop", b"1"),
    (b"X-Id", b"7"),
]


class Chunks(httpx.AsyncByteStream):
    """A response's stream: these chunks, then an error if one is given."""

    def __init__(self, *chunks, error=None):
        self.chunks = chunks
        self.error = error
        self.closed = False

    async def __aiter__(self):
        for chunk in self.chunks:
            yield chunk
        if self.error is not None:
            raise self.error

    async def aclose(self):
        self.closed = True


class KeptOpen(Chunks):
    """Goes on after its `last` event only when it may."""

    def __init__(self, last, after=(), error=None):
        super().__init__(*after, error=error)
        self.last = last
        self.may_end = asyncio.Event()

    async def __aiter__(self):
        yield self.last
        await self.may_end.wait()
        async for chunk in super().__aiter__():
            yield chunk


class Client:
    """What a client receives, in order, with what else happens noted between."""

    def __init__(self):
        self.log = []

    async def send(self, event):
        self.log.append(event)

    def note(self, what):
        self.log.append(what)

    async def before_end(self):
        self.note("before end")

    @property
    def body(self):
        return b"".join(event.get("body", b"") for event in self.log if isinstance(event, dict))


async def relayed(stream, headers=SSE, client=None, read_along=lambda _: None, hold=False):
    client = client or Client()
    response = httpx.Response(200, headers=headers, stream=stream)
    await relay(
        response,
        client.send,
        headers=[*end_to_end(response.headers.raw), (b"x-isocost-mode", b"compact")],
        read_along=read_along,
        before_end=client.before_end,
        hold=hold,
    )
    return client


# --- relaying


@pytest.mark.parametrize("headers", [SSE, [(b"content-type", b"application/json")]])
async def test_bytes_status_and_headers_pass_as_they_came(headers):
    heard = []
    stream = Chunks(b"data: a\n\n", b"\xff\0", b"", b"data: [DONE]\n\n")
    client = await relayed(stream, headers, read_along=heard.append)
    assert client.body == b"".join(stream.chunks) == b"".join(heard)
    start = client.log[0]
    assert (start["type"], start["status"]) == ("http.response.start", 200)
    names = [name for name, _ in start["headers"]]
    assert names == [name.lower() for name, _ in headers if name not in (b"Connection", b"X-Hop")] + [b"x-isocost-mode"]
    assert [event.get("more_body") for event in client.log if isinstance(event, dict)][-1] is False
    assert stream.closed


@pytest.mark.parametrize(("headers", "hold"), [(SSE, True), (SSE, False), ([(b"content-type", b"audio/mpeg")], False)])
async def test_no_token_of_a_stream_waits_for_the_next(headers, hold):
    client = Client()
    order = []
    stream = Chunks(b"data: a\n\n", b"data: b\n\n")

    async def send(event):
        order.append(("sent", event.get("body")))

    response = httpx.Response(200, headers=headers, stream=stream)
    await relay(
        response,
        send,
        headers=end_to_end(response.headers.raw),
        read_along=lambda chunk: order.append(("read", chunk)),
        before_end=client.before_end,
        hold=hold,
    )
    assert order[1:5] == [
        ("read", b"data: a\n\n"),
        ("sent", b"data: a\n\n"),
        ("read", b"data: b\n\n"),
        ("sent", b"data: b\n\n"),
    ]


@pytest.mark.parametrize(
    ("chunks", "headers", "held"),
    [
        ([b"data: a\n\n", b"data: [DONE]\n\n"], SSE, b"data: [DONE]\n\n"),
        ([b"data: a\n\ndata: [DONE]\n\n"], SSE, b"data: a\n\ndata: [DONE]\n\n"),
        ([b"data: a\n\ndata: [DO", b"NE]\n\n"], SSE, b"NE]\n\n"),
        ([b'{"choices":', b"[]}"], [(b"content-type", b"application/json")], b"[]}"),
        ([b"data: a\n\n"], SSE, b""),
        ([], SSE, b""),
    ],
)
async def test_the_end_is_held_until_the_turn_is_safe(chunks, headers, held):
    client = await relayed(Chunks(*chunks), headers, hold=True)
    assert client.log[-2] == "before end"
    assert client.log[-1] == {"type": "http.response.body", "body": held, "more_body": False}
    assert client.body == b"".join(chunks)
    unheld = await relayed(Chunks(*chunks), headers)
    assert unheld.log[-1] == {"type": "http.response.body", "body": b"", "more_body": False}
    assert unheld.body == b"".join(chunks)


@pytest.mark.parametrize("after", [[], [b": bye\n\n"]])
async def test_a_stream_that_is_kept_open_after_its_last_event_keeps_nobody_waiting(after):
    client, stream = Client(), KeptOpen(b"data: a\n\ndata: [DONE]\n\n", after)
    relaying = asyncio.create_task(relayed(stream, client=client, hold=True))
    async with asyncio.timeout(20 * AFTER_LAST_S):
        while client.body != b"data: a\n\ndata: [DONE]\n\n":
            await asyncio.sleep(0.01)
    assert client.log[-2] == "before end"
    stream.may_end.set()
    await relaying
    assert client.body == b"".join([b"data: a\n\ndata: [DONE]\n\n", *after])
    assert client.log[-1]["more_body"] is False


@pytest.mark.parametrize("error", [httpx.ReadError("x"), None])
async def test_whoever_goes_while_a_stream_is_kept_open_is_not_waited_for(error):
    client, stream = Client(), KeptOpen(b"data: [DONE]\n\n", error=error)
    relaying = asyncio.create_task(relayed(stream, client=client, hold=True))
    async with asyncio.timeout(20 * AFTER_LAST_S):
        while not client.body:
            await asyncio.sleep(0.01)
        if error is None:
            relaying.cancel()
        stream.may_end.set()
        with pytest.raises(UpstreamError if error else asyncio.CancelledError):
            await relaying
    assert stream.closed
    assert client.body == b"data: [DONE]\n\n"


async def test_what_follows_done_is_relayed_too():
    client = await relayed(Chunks(b"data: [DONE]\n\n", b": bye\n\n"))
    assert client.body == b"data: [DONE]\n\n: bye\n\n"


@pytest.mark.parametrize("error", [httpx.ReadError("x"), httpx.ReadTimeout("x"), ConnectionResetError()])
async def test_an_upstream_that_breaks_off_breaks_the_answer_and_is_closed(error):
    client = Client()
    stream = Chunks(b"data: half\n\n", error=error)
    with pytest.raises(UpstreamError):
        await relayed(stream, client=client)
    assert client.body == b"data: half\n\n"
    assert "before end" not in client.log
    assert all(event.get("more_body", True) for event in client.log)
    assert stream.closed


@pytest.mark.parametrize("headers", [SSE, [(b"content-type", b"application/json")]])
async def test_what_was_held_is_not_lost_where_the_upstream_breaks_off(headers):
    client = Client()
    stream = Chunks(b"data: half\n\n", b"data: [DONE]\n\n", error=httpx.ReadError("x"))
    with pytest.raises(UpstreamError):
        await relayed(stream, headers, client, hold=True)
    assert client.body == b"data: half\n\ndata: [DONE]\n\n"
    assert "before end" not in client.log


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_without_a_body_is_told_no_length(status):
    client = Client()
    headers = [(b"content-length", b"31"), (b"etag", b"7")]
    await relay(
        httpx.Response(status, headers=headers, stream=Chunks()),
        client.send,
        headers=headers,
        read_along=lambda _: None,
        before_end=client.before_end,
    )
    assert client.log[0]["headers"] == [(b"etag", b"7")]


async def test_an_answer_that_nobody_reads_ends_with_the_time_for_the_whole():
    timer = Timer(asyncio.get_running_loop().time() + 0.1, 5.0)
    timer.begin(5.0)
    inner = Chunks(b"data: a\n\n")

    async def stuck(event):
        if event.get("body"):
            await asyncio.Event().wait()

    with pytest.raises(UpstreamError, match="not read"):
        await relay(
            httpx.Response(200, headers=SSE, stream=Timed(inner, 5.0, timer)),
            stuck,
            headers=SSE,
            read_along=lambda _: None,
            before_end=Client().before_end,
        )
    assert inner.closed


async def test_a_real_upstream_that_dies_mid_stream():
    client = Client()
    async with serve_app(dies_mid_stream()) as port:
        target = Target(f"http://127.0.0.1:{port}")
        transport = PooledTransport()
        try:
            upstream = Upstream(target, transport, Patience(5, 5, 5))
            response = await upstream.send("POST", "/v1/chat/completions", b"", [], b"{}")
            with pytest.raises(UpstreamError):
                await relay(
                    response,
                    client.send,
                    headers=end_to_end(response.headers.raw),
                    read_along=lambda _: None,
                    before_end=client.before_end,
                )
        finally:
            await transport.aclose()
    assert b"half" in client.body
    assert b" an answer" in client.body
    assert "before end" not in client.log


async def test_the_upstream_is_closed_when_the_client_cannot_be_sent_to():
    stream = Chunks(b"data: a\n\n")

    class Broken(Client):
        async def send(self, event):
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        await relayed(stream, client=Broken())
    assert stream.closed


async def test_an_answer_of_our_own():
    client = Client()
    await send_error(BadRequestError("No."), client.send, [(b"x-isocost-mode", b"passthrough")])
    start, body = client.log
    assert start["status"] == 400
    assert start["headers"] == [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body["body"])).encode()),
        (b"x-isocost-mode", b"passthrough"),
    ]
    assert body["body"] == BadRequestError("No.").body()
    assert not body["more_body"]
