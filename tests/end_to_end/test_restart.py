"""`isocost serve` as a process of its own, killed and started again: what was answered before is there again."""

import asyncio
import json
import signal
import socket
from contextlib import asynccontextmanager

import httpx
import pytest

from memory_core.stores import open_store
from proxy.demo.model import demo_model
from proxy.demo.recorder import Recorder
from proxy.demo.serving import serve_app
from tests.support import upstreams
from tests.support.embedders import HashedWordsEmbedder
from tests.support.embeddings_server import EmbeddingsServer, serve_embeddings
from tests.support.proxying import CHAT, THIN, Process, quick_client, run_isocost, serving
from tests.support.redis_server import free_port

pytest_plugins = ["tests.support.proxying"]
pytestmark = pytest.mark.slow

FACT = "The spare key hangs behind the blue shutter of the boathouse."
QUESTION = "Where does the spare key hang?"
COMPACT = {"x-isocost-mode": "compact"}
PASSTHROUGH = {"x-isocost-mode": "passthrough"}


@asynccontextmanager
async def surroundings(tmp_path, store: str, delay_s: float = 0.0):
    """An upstream, an embeddings server that tells what it was asked, and `start()` for proxies among them."""
    recorder = Recorder(demo_model(delay_s))
    # a server for the vectors: it starts at once where the built-in model takes seconds, and it keeps count
    async with serve_app(recorder) as upstream, serve_embeddings(HashedWordsEmbedder()) as embeddings:
        environ = {
            "ISOCOST_STORE": store,
            "ISOCOST_EMBEDDER": embeddings.url,
            "ISOCOST_EMBEDDER_MODEL": "hashed-words",
            "ISOCOST_WINDOW_TOKENS": "200",
            "ISOCOST_EPOCH_TOKENS": "400",
            "ISOCOST_PRICE_ROW": "vLLM",  # caches short prompts too, so that these budgets are what a window holds
        }
        flags = ("--upstream", f"http://127.0.0.1:{upstream}")
        port = free_port()
        yield recorder, embeddings, lambda: serving(tmp_path, port, flags, **environ)


async def say(process: Process, messages: list[dict], headers: dict[str, str]):
    body = json.dumps({"model": "isocost-demo", "messages": messages})
    async with quick_client() as client:
        response = await client.post(process.url + CHAT, content=body, headers=headers)
    assert response.status_code == 200
    assert "x-isocost-error" not in response.headers
    return response


def forwarded(recorder: Recorder) -> list[dict]:
    return json.loads(recorder.body)["messages"]


def texts(embeddings: EmbeddingsServer) -> set[str]:
    return {text for payload, _ in embeddings.requests for text in payload["input"]}


async def exchange(process: Process, told: list[dict], text: str, *, thin: bool) -> None:
    """One turn of either client; both keep the history, though only one of them sends it."""
    asked = {"role": "user", "content": text}
    sent, headers = ([asked], THIN | COMPACT) if thin else ([*told, asked], COMPACT)
    answer = await say(process, sent, headers)
    told += [asked, answer.json()["choices"][0]["message"]]


async def test_what_was_answered_before_a_kill_is_there_again(tmp_path, durable_store: str):
    resent: list[dict] = []
    thin: list[dict] = []
    async with surroundings(tmp_path, durable_store) as (recorder, embeddings, start):
        async with start() as process:
            for turn in range(1, 21):
                text = FACT if turn == 2 else f"On day {turn} the ferry brought {turn * 7} crates of apples."
                await exchange(process, resent, f"Dear diary, {text}", thin=False)
                await exchange(process, thin, text, thin=True)
            process.handle.kill()  # the answer has just ended
            assert await process.ended() == -signal.SIGKILL
        known = texts(embeddings)
        embeddings.requests.clear()
        async with start() as process:
            await say(process, [{"role": "user", "content": QUESTION}], THIN | PASSTHROUGH)
            assert forwarded(recorder)[:-1] == [{k: m[k] for k in ("role", "content")} for m in thin]
            compact = await say(process, [{"role": "user", "content": QUESTION}], THIN | COMPACT)
            assert compact.headers["x-isocost-turn"] == "43"
            assert FACT in json.dumps(forwarded(recorder)[0]) + forwarded(recorder)[-1]["content"]
            compact = await say(process, [*resent, {"role": "user", "content": QUESTION}], COMPACT)
            assert compact.headers["x-isocost-mode"] == "compact"
            assert len(forwarded(recorder)) < 20
            assert f"Dear diary, {FACT}" in json.dumps(forwarded(recorder)[0]) + forwarded(recorder)[-1]["content"]
        # memory came from the store: no turn that was learned before the kill was embedded again
        newest = {message["content"] for message in resent[-2:]}  # a client that resends is learned from afterwards
        again = texts(embeddings) & {message["content"] for message in [*resent, *thin]} - newest
    assert {message["content"] for message in [*resent, *thin]} <= known
    assert again == set()


async def test_a_kill_in_the_middle_of_an_answer(tmp_path, durable_store: str):
    """What was answered before it stays; the client that saw its stream break asks again."""
    async with surroundings(tmp_path, durable_store, delay_s=0.02) as (recorder, _, start):
        async with start() as process:
            first = await say(process, [{"role": "user", "content": FACT}], THIN)
            async with quick_client() as client:
                body = json.dumps({"stream": True, "messages": [{"role": "user", "content": "Tell me a story."}]})
                with pytest.raises(httpx.TransportError):
                    async with client.stream("POST", process.url + CHAT, content=body, headers=THIN) as response:
                        async for _ in response.aiter_bytes():
                            process.handle.kill()
            await process.ended()
        async with start() as process:
            await say(process, [{"role": "user", "content": QUESTION}], THIN)
        said = [message["content"] for message in forwarded(recorder)]
    assert said == [FACT, first.json()["choices"][0]["message"]["content"], QUESTION]


async def test_sigterm_lets_answers_end_and_learns_them(tmp_path):
    store = f"sqlite:///{tmp_path}/isocost.sqlite"
    async with surroundings(tmp_path, store, delay_s=0.02) as (_, _, start), start() as process:
        async with quick_client() as client:
            body = json.dumps({"stream": True, "messages": [{"role": "user", "content": "Tell me a story."}]})
            async with client.stream("POST", process.url + CHAT, content=body) as response:
                heard = b""
                async for piece in response.aiter_bytes():
                    if not heard:
                        process.handle.send_signal(signal.SIGTERM)
                    heard += piece
            conversation = response.headers["x-isocost-conversation"]
        status = await process.ended()
        log = process.log.read_text()
    assert heard.endswith(b"data: [DONE]\n\n")
    assert status == 0, log
    assert "Traceback" not in log
    stored = await open_store(store)
    snapshot = await stored.load(conversation)
    assert snapshot is not None
    assert snapshot.seq == 2
    assert len(await stored.path(conversation, snapshot.digest)) == 2
    assert len(await stored.rows(conversation, 10)) == 1
    await stored.aclose()


async def test_sigterm_takes_nobody_more_in_and_cuts_what_does_not_end(tmp_path):
    """Streams without an end, and a secret in each place of a request: none of it is in the log."""
    never = upstreams.never_answers(asyncio.Event(), asyncio.Event(), first=b"data: secret-answer\n\n")
    body = json.dumps({"stream": True, "messages": [{"role": "user", "content": "secret-question"}]})
    async with serve_app(never, stop_timeout_s=1) as upstream, serve_embeddings(HashedWordsEmbedder()) as embeddings:
        environ = {
            "ISOCOST_EMBEDDER": embeddings.url,
            "ISOCOST_EMBEDDER_MODEL": "hashed-words",
            "ISOCOST_DRAIN_TIMEOUT_S": "1",
        }
        flags = ("--upstream", f"http://ann:secret-word@127.0.0.1:{upstream}", "--store", "memory://")
        async with serving(tmp_path, free_port(), flags, **environ) as process, quick_client() as client:
            headers = {"authorization": "Bearer secret-key", "cookie": "secret-cookie"}
            hearing = []  # an iterator that is let go hangs up
            for path in (CHAT, "/v1/completions?key=secret-parameter"):
                request = client.build_request("POST", process.url + path, content=body, headers=headers)
                response = await client.send(request, stream=True)
                hearing.append(response.aiter_raw())
                assert await anext(hearing[-1]) == b"data: secret-answer\n\n"
            process.handle.send_signal(signal.SIGTERM)
            await asyncio.sleep(0.3)
            async with quick_client() as late:
                with pytest.raises(httpx.ConnectError):
                    await late.get(f"{process.url}/healthz")
            assert await process.ended(within_s=5) == 0
            for pieces in hearing:
                with pytest.raises(httpx.RemoteProtocolError):
                    await anext(pieces)
            log = process.log.read_text()
    assert log.count("cut off by the end") == 2
    assert "Traceback" not in log
    assert "secret" not in log


async def test_sigterm_with_nothing_to_do_ends_at_once(tmp_path):
    async with surroundings(tmp_path, "memory://") as (_, _, start), start() as process:
        process.handle.send_signal(signal.SIGTERM)
        assert await process.ended(5) == 0


async def test_a_port_that_is_taken_ends_with_a_sentence(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        flags = ("--port", port, "--store", "memory://")
        status, _, errors = await run_isocost(tmp_path, "serve", *flags, within_s=30, COLUMNS="1000")
    assert status != 0
    assert "address already in use" in errors
    assert "Traceback" not in errors


async def test_a_store_of_another_embedder_ends_with_a_sentence(tmp_path):
    store = f"sqlite:///{tmp_path}/isocost.sqlite"
    async with surroundings(tmp_path, store) as (_, _, start):
        async with start():
            pass
        status, _, errors = await run_isocost(tmp_path, "serve", "--port", "0", "--store", store, COLUMNS="1000")
    assert status != 0
    assert "this store was written with the embedder" in errors
    assert "Traceback" not in errors
