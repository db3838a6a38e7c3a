"""The official `openai` SDK, unchanged, through the proxy: over real sockets, on a SQLite file and a real Redis."""

import asyncio
import json

import openai
import pytest

from proxy.app import Given
from proxy.demo.model import MODEL, demo_model
from tests.support.embedders import HashedWordsEmbedder
from tests.support.proxying import Proxied, proxied

pytest_plugins = ["tests.support.proxying"]

FACT = "The spare key hangs behind the blue shutter of the boathouse."
QUESTION = "Where does the spare key hang?"
TOOLS = [
    {
        "type": "function",
        "function": {"name": "gate_code", "description": "Look a code up", "parameters": {"type": "object"}},
    }
]


@pytest.fixture
async def pair(durable_store):
    async with proxied(demo_model(), store=durable_store) as running:
        yield running


def sdk(pair: Proxied, **options) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{pair.url}/v1", api_key="sk-test", max_retries=0, timeout=60, **options)


def asked(text: str) -> list[dict]:
    return [{"role": "user", "content": text}]


async def test_plain_and_streamed_answers_say_the_same(pair: Proxied):
    messages = asked(f"{FACT} {QUESTION}")
    async with sdk(pair) as client:
        plain = await client.chat.completions.create(model=MODEL, messages=messages)
        stream = await client.chat.completions.create(
            model=MODEL, messages=messages, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
    text = plain.choices[0].message.content
    assert "behind the blue shutter" in text
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == text
    assert chunks[-1].usage == plain.usage


async def test_the_synchronous_client(pair: Proxied):
    def talk() -> tuple[str, str, list[str]]:
        with openai.OpenAI(base_url=f"{pair.url}/v1", api_key="sk-test", max_retries=0, timeout=60) as client:
            plain = client.chat.completions.create(model=MODEL, messages=asked(f"{FACT} {QUESTION}"))
            with client.chat.completions.create(model=MODEL, messages=asked(f"{FACT} {QUESTION}"), stream=True) as s:
                streamed = "".join(chunk.choices[0].delta.content or "" for chunk in s)
            return plain.choices[0].message.content, streamed, [model.id for model in client.models.list()]

    plain, streamed, models = await asyncio.to_thread(talk)
    assert "behind the blue shutter" in plain
    assert streamed == plain
    assert models == [MODEL]


async def test_models_and_the_upstreams_own_errors(pair: Proxied):
    async with sdk(pair) as client:
        assert [model.id async for model in client.models.list()] == [MODEL]
        with pytest.raises(openai.NotFoundError) as refused:
            await client.embeddings.create(model=MODEL, input="anything")
    assert refused.value.code == "unknown_url"


async def test_our_own_errors_are_the_sdks_errors(pair: Proxied):
    async with sdk(pair, default_headers={"x-isocost-mode": "magic"}) as client:
        with pytest.raises(openai.BadRequestError) as refused:
            await client.chat.completions.create(model=MODEL, messages=asked("hello"))
    assert refused.value.param == "x-isocost-mode"


@pytest.mark.parametrize("mode", ["auto", "compact"])
async def test_a_whole_tool_loop(pair: Proxied, mode: str):
    async with sdk(pair, default_headers={"x-isocost-mode": mode}) as client:
        messages = asked("What is the harbour gate code?")
        first = await client.chat.completions.create(
            model=MODEL, messages=messages, tools=TOOLS, tool_choice="required"
        )
        (call,) = first.choices[0].message.tool_calls
        result = {"role": "tool", "tool_call_id": call.id, "content": "The harbour gate code is 4711."}
        messages += [first.choices[0].message, result]
        second = await client.chat.completions.create(model=MODEL, messages=messages, tools=TOOLS)
    assert call.function.name == "gate_code"
    assert "4711" in second.choices[0].message.content
    assert [message["role"] for message in pair.forwarded()] == ["user", "assistant", "tool"]


async def test_a_streamed_tool_call(pair: Proxied):
    async with sdk(pair) as client:
        stream = await client.chat.completions.create(
            model=MODEL, messages=asked("Which code?"), tools=TOOLS, tool_choice="required", stream=True
        )
        chunks = [chunk async for chunk in stream]
    calls = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or []]
    assert [call.function.name for call in calls] == ["gate_code"]
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


@pytest.mark.slow
async def test_turn_60_knows_what_turn_2_said(durable_store: str):
    async with proxied(demo_model(), store=durable_store) as pair:
        await talk_for_60_turns(pair)


@pytest.mark.slow
async def test_turn_60_knows_what_turn_2_said_with_the_builtin_model(tmp_path):
    async with proxied(demo_model(), given=Given(), store=f"sqlite:///{tmp_path}/s.sqlite") as pair:
        await talk_for_60_turns(pair)


async def talk_for_60_turns(pair: Proxied) -> None:
    messages: list[dict] = [{"role": "system", "content": "You are the keeper of the boathouse."}]
    async with sdk(pair, default_headers={"x-isocost-mode": "compact"}) as client:
        for turn in range(1, 60):
            said = FACT if turn == 2 else f"On day {turn} the ferry brought {turn * 7} crates of apples to pier {turn}."
            messages += asked(said)
            answer = await client.chat.completions.create(model=MODEL, messages=messages)
            messages.append({"role": "assistant", "content": answer.choices[0].message.content})
        messages += asked(QUESTION)
        compact = await client.chat.completions.with_raw_response.create(model=MODEL, messages=messages)
        sent = pair.forwarded()
        whole = await client.chat.completions.with_raw_response.create(
            model=MODEL, messages=messages, extra_headers={"x-isocost-mode": "passthrough"}
        )
    assert compact.headers["x-isocost-mode"] == "compact"
    assert compact.headers["x-isocost-turn"] == "119"
    assert "x-isocost-error" not in compact.headers
    assert int(compact.headers["x-isocost-sent-tokens"]) < int(compact.headers["x-isocost-full-tokens"]) * 0.7
    assert "behind the blue shutter" in compact.parse().choices[0].message.content
    assert len(sent) < len(messages) / 2
    assert sent[0] == messages[0]
    # the fact came by memory: the turn itself is not among those that were sent
    assert not any(message["role"] == "user" and message["content"] == FACT for message in sent)
    assert FACT in json.dumps(sent)
    assert whole.headers["x-isocost-mode"] == "passthrough"
    assert pair.forwarded() == messages


async def test_two_users_with_one_embedder_do_not_share_an_explicit_conversation(durable_store: str):
    given = Given(embedder=HashedWordsEmbedder())
    headers = {"x-isocost-conversation": "diary"}
    async with proxied(demo_model(), given=given, store=durable_store) as pair:
        for key in ("sk-anna", "sk-bert"):
            async with sdk(pair, default_headers=headers).with_options(api_key=key) as client:
                await client.chat.completions.create(model=MODEL, messages=asked(f"I am {key}."))
                assert len(pair.forwarded()) == 1
                await client.chat.completions.create(model=MODEL, messages=asked("Go on."))
                assert pair.forwarded()[0]["content"] == f"I am {key}."
