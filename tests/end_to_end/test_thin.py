"""Clients that name their conversation and send only what is new: we hold the rest, and say so before we end."""

import asyncio
import gzip
import json
import time

import httpx
import pytest

from memory_core.stores import open_store
from proxy.app import Given
from proxy.demo.model import demo_model
from proxy.message import read_message
from tests.support import upstreams
from tests.support.embedders import HashedWordsEmbedder
from tests.support.proxying import CHAT, HELLO, THIN, Proxied, proxied
from tests.support.stores import SlowStore

pytest_plugins = ["tests.support.proxying"]

FACT = "The spare key hangs behind the blue shutter of the boathouse."
RULE = "Always give the pier number as PIER-7 and never in words."
QUESTION = "Where does the spare key hang?"
SYSTEM = {"role": "system", "content": "It is a quarter past nine."}
SMALL = {"window_tokens": 200, "epoch_tokens": 400, "context_tokens": 2_000}


def user(text: str) -> dict:
    return {"role": "user", "content": text}


async def say(pair: Proxied, text: str, mode: str, **fields: object) -> str:
    """One new message, and nothing else; the answer."""
    answer = await pair.chat([SYSTEM, user(text)], headers={**THIN, "x-isocost-mode": mode}, **fields)
    assert answer.status_code == 200
    assert "x-isocost-error" not in answer.headers
    return answer.json()["choices"][0]["message"]["content"]


def topics() -> list[str]:
    """What the user says in 29 turns, the fact in the second."""
    texts = [f"On day {turn} the ferry brought {turn * 7} crates of apples to pier {turn}." for turn in range(1, 30)]
    texts[1:3] = FACT, RULE
    return texts


async def talk(pair: Proxied, mode: str) -> list[dict]:
    """All of it; the history as a client would have kept it."""
    told = []
    for text in topics():
        told += [user(text), {"role": "assistant", "content": await say(pair, text, mode)}]
    return told


@pytest.mark.slow
async def test_in_passthrough_the_upstream_receives_the_whole_stored_history():
    async with proxied(demo_model()) as pair:
        told = await talk(pair, "passthrough")
        assert "behind the blue shutter" in await say(pair, QUESTION, "passthrough")
        assert pair.forwarded() == [SYSTEM, *told, user(QUESTION)]


@pytest.mark.slow
async def test_in_compact_it_receives_block_window_and_recall():
    async with proxied(demo_model(), **SMALL) as pair:
        told = await talk(pair, "compact")
        assert "behind the blue shutter" in await say(pair, QUESTION, "compact")
        system, block, *window, asked = pair.forwarded()
    assert system == SYSTEM
    assert block["role"] == "system"
    assert "turns are not sent in full" in block["content"]
    assert RULE in block["content"]
    assert 0 < len(window) < 30
    assert window == told[-len(window) :]
    assert window[0]["role"] == "user"
    assert asked["content"].startswith(QUESTION)
    assert FACT in block["content"] + asked["content"]


@pytest.mark.slow
async def test_it_is_what_a_client_that_resends_would_get():
    """The transcript and its epochs are the same, so the prompt is: whoever holds it."""
    async with proxied(demo_model(), **SMALL) as pair:
        told = await talk(pair, "compact")
        await say(pair, QUESTION, "compact")
        thin = pair.forwarded()
        resent = await pair.chat([SYSTEM, *told, user(QUESTION)], headers={**THIN, "x-isocost-mode": "compact"})
        assert resent.headers["x-isocost-epoch"] != "0"
        assert pair.forwarded() == thin


@pytest.mark.slow
async def test_a_client_that_resends_and_one_that_does_not_are_sent_alike_turn_by_turn():
    """Two conversations, each with epochs of its own: they begin with the same turns and hold the same bytes."""
    epochs = set()
    async with proxied(demo_model(), **SMALL) as pair:
        told: list[dict] = []
        for text in [*topics(), QUESTION]:
            answer = await say(pair, text, "compact")
            thin = pair.forwarded()
            resent = await pair.chat([SYSTEM, *told, user(text)], headers={"x-isocost-mode": "compact"})
            assert pair.forwarded() == thin
            epochs.add(resent.headers["x-isocost-epoch"])
            told += [user(text), {"role": "assistant", "content": answer}]
    assert len(epochs) > 2


@pytest.mark.parametrize("cut", [len(upstreams.ODD_SSE), len(upstreams.ODD_SSE) - 5], ids=["whole", "cut in [DO|NE]"])
async def test_a_streamed_answer_is_stored_before_its_last_event(cut: int):
    """Clients read up to [DONE] and no further; then their next request must find it, however it was cut."""
    store = SlowStore(await open_store("memory://"), 0.2, ("save",))
    given = Given(embedder=HashedWordsEmbedder(), store=store)
    async with proxied(upstreams.odd_sse(cut, pause_s=0.05), given=given) as pair:
        for turn in range(1, 4):
            body = json.dumps({"model": "m", "stream": True, "messages": [user(f"Turn {turn}.")]})
            async with pair.client.stream("POST", pair.url + CHAT, content=body, headers=THIN) as response:
                heard = b""
                async for piece in response.aiter_bytes():
                    heard += piece
                    if b"[DONE]" in heard:
                        break
            assert await pair.metric("isocost_learned_total", outcome="learned") == turn
            assert len(pair.forwarded()) == 2 * turn - 1


async def test_two_requests_at_once_keep_both(durable_store: str):
    async with proxied(upstreams.slow(0.1), store=durable_store) as pair:
        await pair.chat(HELLO, headers=THIN)
        await asyncio.gather(*(pair.chat([user(f"At once {n}.")], headers=THIN) for n in range(4)))
        await pair.chat([user("Who spoke?")], headers=THIN)
        said = [message["content"] for message in pair.forwarded() if message["role"] == "user"]
    assert said[0] == "hello"
    assert sorted(said[1:-1]) == [f"At once {n}." for n in range(4)]
    assert said[-1] == "Who spoke?"


@pytest.mark.slow
async def test_two_proxies_on_one_store_keep_all_that_comes_at_once(durable_store: str):
    app = upstreams.answers()
    async with proxied(app, store=durable_store) as one, proxied(app, store=durable_store) as other:
        await asyncio.gather(
            *(pair.chat([user(f"At once {n}.")], headers=THIN) for n, pair in enumerate([one, other] * 12))
        )
        for pair in (one, other):
            await pair.until_learned(12)
        await one.chat([user("Who spoke?")], headers=THIN)
        said = [message["content"] for message in one.forwarded() if message["role"] == "user"]
    assert sorted(said[:-1]) == sorted(f"At once {n}." for n in range(24))


async def test_a_call_that_was_cut_off_is_not_sent_again():
    """No client could answer it, and no upstream would take the conversation any more."""
    cut = upstreams.TOOL_CALL_SSE[: upstreams.TOOL_CALL_SSE.index(b'rich\\"}')]
    async with proxied(upstreams.breaks_off(cut)) as pair:
        for text in ("Where is it?", "And now?"):
            with pytest.raises(httpx.RemoteProtocolError):
                await pair.chat([user(text)], headers=THIN, stream=True)
            await pair.until_learned(1)
        assert pair.forwarded() == [user("Where is it?"), user("And now?")]


@pytest.mark.parametrize("path", [CHAT, "/v1/responses"])
async def test_who_holds_no_history_is_told_where_we_could_not_read_the_request(path: str):
    body = gzip.compress(json.dumps({"model": "m", "messages": HELLO, "input": HELLO}).encode())
    async with proxied(upstreams.answers()) as pair:
        answer = await pair.client.post(pair.url + path, content=body, headers={**THIN, "content-encoding": "gzip"})
        assert answer.headers["x-isocost-error"] == "unreadable"
        assert await pair.metric("isocost_memory_errors_total", reason="unreadable") == 1


async def test_two_proxies_on_one_store_keep_both(durable_store: str):
    """Two replicas, one conversation, no session that sticks."""
    app = upstreams.answers()
    async with proxied(app, store=durable_store) as one, proxied(app, store=durable_store) as other:
        for turn in range(3):
            await one.chat([user(f"To one {turn}.")], headers=THIN)
            await other.chat([user(f"To other {turn}.")], headers=THIN)
        said = [message["content"] for message in other.forwarded() if message["role"] == "user"]
        await asyncio.gather(*(pair.chat([user(f"At once {n}.")], headers=THIN) for n, pair in enumerate([one, other])))
        await one.chat([user("Who spoke?")], headers=THIN)
        everyone = [message["content"] for message in one.forwarded() if message["role"] == "user"]
    assert said == [f"To {name} {turn}." for turn in range(3) for name in ("one", "other")]
    assert sorted(everyone[6:-1]) == ["At once 0.", "At once 1."]


async def test_the_window_that_a_client_keeps_itself_is_not_stored_twice():
    async with proxied(upstreams.answers()) as pair:
        kept = []
        for turn in range(4):
            kept = [*kept, user(f"Turn {turn}.")][-3:]
            await pair.chat(kept, headers=THIN)
            kept.append({"role": "assistant", "content": "Noted, sir."})
        said = [message["content"] for message in pair.forwarded() if message["role"] == "user"]
    assert said == [f"Turn {turn}." for turn in range(4)]


@pytest.mark.parametrize("stream", [False, True])
async def test_the_answer_waits_for_the_store_only_so_long(stream: bool):
    """Past the bound it ends all the same, and the risk that was taken is counted."""
    store = SlowStore(await open_store("memory://"), 30, ("save",))
    given = Given(embedder=HashedWordsEmbedder(), store=store)
    async with proxied(demo_model(), given=given, ack_timeout_s=0.3, drain_timeout_s=0) as pair:
        began = time.monotonic()
        answer = await pair.chat(HELLO, headers=THIN, stream=stream)
        taken_s = time.monotonic() - began
        assert answer.status_code == 200
        assert 0.3 <= taken_s < 5
        assert await pair.metric("isocost_late_acknowledgements_total") == 1
        # a client that resends its history is not made to wait at all
        began = time.monotonic()
        await pair.chat(HELLO, stream=stream)
        assert time.monotonic() - began < 0.3
        assert await pair.metric("isocost_late_acknowledgements_total") == 1


async def test_the_answer_waits_until_the_store_has_it():
    store = SlowStore(await open_store("memory://"), 0.3, ("save",))
    async with proxied(upstreams.answers(), given=Given(embedder=HashedWordsEmbedder(), store=store)) as pair:
        for _ in range(2):
            await pair.chat(HELLO, headers=THIN)
            assert await pair.metric("isocost_learned_total", outcome="learned") >= 1
        assert await pair.metric("isocost_late_acknowledgements_total") == 0
        assert len(pair.forwarded()) == 3


async def test_what_is_learned_of_an_answer_is_what_a_client_would_resend():
    """Or a thin client that changes to resending would fork off its own conversation."""
    async with proxied(demo_model()) as pair:
        answer = await pair.chat(HELLO, headers=THIN)
        message = answer.json()["choices"][0]["message"]
        resent = await pair.chat([*HELLO, message, user("and now?")], headers=THIN)
        assert resent.headers["x-isocost-turn"] == "3"
        assert read_message(json.dumps(message).encode()).fingerprint
        assert pair.forwarded() == [*HELLO, message, user("and now?")]
        thin = await pair.chat([user("and then?")], headers=THIN)
        assert thin.headers["x-isocost-turn"] == "5"


async def test_conversations_of_one_store_are_apart(durable_store: str):
    async with proxied(upstreams.answers(), store=durable_store) as pair:
        for name in ("one", "other", "one"):
            await pair.chat([user(f"To {name}.")], headers={"x-isocost-conversation": name})
        said = [message["content"] for message in pair.forwarded() if message["role"] == "user"]
    assert said == ["To one.", "To one."]
