"""A real server that behaves, lags, lies or refuses; and transports that cannot connect."""

import asyncio
import socket
import traceback
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import numpy as np
import pytest

from embedders import EmbedderError
from embedders.remote import CONNECT_RETRIES_MAX, RemoteEmbedder
from tests.support.embedders import HashedWordsEmbedder
from tests.support.embeddings_server import EmbeddingsServer, Json, serve_embeddings

pytestmark = pytest.mark.slow  # each starts a server

KEY = "sk-very-secret"
TEXT = "what nobody else may read"


@pytest.fixture
async def server() -> AsyncIterator[EmbeddingsServer]:
    async with serve_embeddings(HashedWordsEmbedder()) as serving:
        yield serving


@pytest.fixture
async def embedder(server: EmbeddingsServer) -> AsyncIterator[RemoteEmbedder]:
    opened = await RemoteEmbedder.open(server.url, model="hashed", timeout_s=5.0, key=KEY, texts_per_call_max=4)
    yield opened
    await opened.aclose()


async def test_the_dimension_is_learned_and_the_name_says_whose(
    server: EmbeddingsServer, embedder: RemoteEmbedder
) -> None:
    assert embedder.dimension == 64
    assert embedder.name == f"hashed@{httpx.URL(server.url).netloc.decode()}"
    assert len(server.requests) == 1


async def test_calls_are_bounded_and_rows_normalised_and_in_order(
    server: EmbeddingsServer, embedder: RemoteEmbedder
) -> None:
    texts = [f"text {n}" for n in range(10)]
    vectors = await embedder.embed(texts)
    np.testing.assert_allclose(vectors, await HashedWordsEmbedder().embed(texts), atol=1e-6)
    payloads = [payload for payload, _ in server.requests[1:]]
    assert [payload["input"] for payload in payloads] == [texts[:4], texts[4:8], texts[8:]]
    assert {payload["model"] for payload in payloads} == {"hashed"}


async def test_the_key_is_sent_as_openai_wants_it(server: EmbeddingsServer, embedder: RemoteEmbedder) -> None:
    assert server.requests[0][1]["authorization"] == f"Bearer {KEY}"


async def test_without_a_key_none_is_sent(server: EmbeddingsServer) -> None:
    opened = await RemoteEmbedder.open(server.url, model="hashed", timeout_s=5.0)
    assert "authorization" not in server.requests[0][1]
    await opened.aclose()


async def test_what_servers_refuse_has_a_stand_in(server: EmbeddingsServer, embedder: RemoteEmbedder) -> None:
    await embedder.embed(["", "half \ud800"])
    assert server.requests[-1][0]["input"] == [" ", "half ?"]


@pytest.mark.parametrize(
    ("status", "advice"),
    [(401, "check the key"), (404, "ends in /v1"), (429, "try later"), (500, "look into its log"), (307, "307")],
)
async def test_a_refusal_says_what_to_do_and_leaks_nothing(
    server: EmbeddingsServer, embedder: RemoteEmbedder, status: int, advice: str
) -> None:
    server.status = status
    with pytest.raises(EmbedderError, match=advice) as caught:
        await embedder.embed([TEXT])
    shown = "".join(traceback.format_exception(caught.value))
    assert KEY not in shown
    assert TEXT not in shown
    assert len(server.requests) == 2  # an answer is an answer: no retry


def rows(change: Callable[[list[Json]], object]) -> Callable[[Json], Json]:
    return lambda reply: {**reply, "data": change(reply["data"])}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda reply: b"<html>", "OpenAI's shape"),
        (lambda reply: {"vectors": []}, "OpenAI's shape"),
        (rows(lambda data: data[:1]), "one row for each of 2"),
        (rows(lambda data: [data[0], data[0]]), "one row for each of 2"),
        (rows(lambda data: [{**row, "index": row["index"] + 1} for row in data]), "one row for each of 2"),
        (rows(lambda data: [{**data[0], "embedding": [1.0]}, data[1]]), "unequal"),
        (rows(lambda data: [{**row, "embedding": []} for row in data]), "no length"),
        (rows(lambda data: [{**row, "embedding": [1.0] * 63} for row in data]), "dimension from 64 to 63"),
        (rows(lambda data: [{**row, "embedding": [0.0] * 64} for row in data]), "without direction"),
        (rows(lambda data: [{**row, "embedding": [1e200] * 64} for row in data]), "without direction"),
        (rows(lambda data: [{**row, "embedding": [float("nan")] * 64} for row in data]), "OpenAI's shape"),
        (lambda reply: b'{"data": [{"index": 0, "embedding": [1e999]}]}', "OpenAI's shape"),
        (lambda reply: b" " * (17 * 2**20), "more than 16777216 bytes"),
    ],
)
async def test_answers_that_are_not_what_was_asked(
    server: EmbeddingsServer, embedder: RemoteEmbedder, change: Any, sentence: str
) -> None:
    server.change = change
    with pytest.raises(EmbedderError, match=sentence):
        await embedder.embed(["one", "two"])
    server.change = lambda reply: reply
    assert (await embedder.embed(["one"])).shape == (1, 64)


async def test_a_server_that_lags_runs_into_the_time_out(server: EmbeddingsServer) -> None:
    opened = await RemoteEmbedder.open(server.url, model="hashed", timeout_s=0.3)
    server.hold = asyncio.Event()
    with pytest.raises(EmbedderError, match=r"no answer within 0\.3 s"):
        await opened.embed(["late"])
    server.hold.set()
    server.hold = None
    assert (await opened.embed(["in time"])).shape == (1, 64)
    await opened.aclose()


class Refusing(httpx.AsyncBaseTransport):
    """Fails the first `times` requests with `error`, then hands over to a real transport."""

    def __init__(self, times: int, error: type[httpx.TransportError]) -> None:
        self.attempts = 0
        self.closed = False
        self._times = times
        self._error = error
        self._real = httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.attempts += 1
        if self.attempts <= self._times:
            raise self._error("cannot", request=request)
        return await self._real.handle_async_request(request)

    async def aclose(self) -> None:
        self.closed = True
        await self._real.aclose()


async def test_a_failed_connect_is_tried_again(server: EmbeddingsServer) -> None:
    transport = Refusing(CONNECT_RETRIES_MAX, httpx.ConnectError)
    opened = await RemoteEmbedder.open(server.url, model="hashed", timeout_s=5.0, transport=transport)
    assert transport.attempts == CONNECT_RETRIES_MAX + 1
    await opened.aclose()


@pytest.mark.parametrize(("error", "attempts"), [(httpx.ConnectError, CONNECT_RETRIES_MAX + 1), (httpx.ReadError, 1)])
async def test_retries_end_and_what_may_have_been_computed_is_not_retried(
    error: type[httpx.TransportError], attempts: int
) -> None:
    transport = Refusing(100, error)
    with pytest.raises(EmbedderError, match=rf"\({error.__name__}\): is it running"):
        await RemoteEmbedder.open("http://127.0.0.1:9/v1", model="m", timeout_s=5.0, transport=transport)
    assert transport.attempts == attempts
    assert transport.closed


async def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(EmbedderError, match=f"127.0.0.1:{port} cannot be used"):
        await RemoteEmbedder.open(f"http://127.0.0.1:{port}/v1", model="m", timeout_s=5.0)


@pytest.mark.parametrize("key", ["", "with space", "line\nbreak", "schlüssel"])
async def test_a_key_that_no_header_takes_is_not_shown(key: str) -> None:
    with pytest.raises(EmbedderError, match="the embedder's key is empty or holds") as caught:
        await RemoteEmbedder.open("http://127.0.0.1:9/v1", model="m", timeout_s=5.0, key=key)
    assert not key or key not in "".join(traceback.format_exception(caught.value, limit=0))


@pytest.mark.parametrize("timeout_s", [0.0, -1.0, float("inf"), float("nan")])
async def test_a_time_out_must_be_one(timeout_s: float) -> None:
    with pytest.raises(EmbedderError, match="time-out must be over 0 s"):
        await RemoteEmbedder.open("http://127.0.0.1:9/v1", model="m", timeout_s=timeout_s)


async def test_a_url_that_is_none() -> None:
    with pytest.raises(EmbedderError, match=r"write http\(s\)://host"):
        await RemoteEmbedder.open("http://host:port/v1", model="m", timeout_s=5.0)


async def test_credentials_in_the_url_stay_out_of_the_name(server: EmbeddingsServer) -> None:
    url = server.url.replace("://", "://user:hidden@")
    opened = await RemoteEmbedder.open(url, model="hashed", timeout_s=5.0)
    assert "hidden" not in opened.name
    await opened.aclose()
