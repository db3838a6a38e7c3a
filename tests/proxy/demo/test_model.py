"""The demo model on a real socket, through the openai SDK and through plain httpx."""

import json
import time

import httpx
import openai
import pytest

from proxy.demo.answers import NO_ANSWER
from proxy.demo.model import BODY_BYTES_MAX, demo_model
from proxy.demo.serving import serve_app

pytestmark = pytest.mark.slow  # each starts a server

HELLO = [{"role": "user", "content": "We painted the hull today, and it rained on the last coat."}]
TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}}
    for name in ("weather", "tides")
]


@pytest.fixture
async def url():
    async with serve_app(demo_model()) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
async def http(url):
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=10) as client:
        yield client


@pytest.fixture
async def sdk(url):
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=10) as client:
        yield client


async def test_plain_completion(sdk):
    completion = await sdk.chat.completions.create(model="any", messages=HELLO)
    choice = completion.choices[0]
    assert (choice.message.role, choice.finish_reason) == ("assistant", "stop")
    assert completion.model == completion.system_fingerprint == "isocost-demo"
    assert completion.usage.prompt_tokens == -(-len(HELLO[0]["content"]) // 4) + 4
    assert completion.usage.total_tokens == completion.usage.prompt_tokens + completion.usage.completion_tokens


async def test_stream_says_word_by_word_what_the_plain_answer_says(sdk):
    plain = await sdk.chat.completions.create(model="any", messages=HELLO)
    stream = await sdk.chat.completions.create(
        model="any", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    assert chunks[0].choices[0].delta.role == "assistant"
    words = [chunk.choices[0].delta.content or "" for chunk in chunks[:-1]]
    assert "".join(words) == plain.choices[0].message.content
    assert len(words) > 40
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage == plain.usage


async def test_stream_without_usage_ends_with_done(http):
    body = {"messages": HELLO, "stream": True}
    response = await http.post("/v1/chat/completions", json=body)
    assert response.headers["content-type"].startswith("text/event-stream")
    events = response.text.split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    assert all("usage" not in json.loads(event.removeprefix("data: ")) for event in events[:-2])
    assert (await http.post("/v1/chat/completions", json=body)).content == response.content


async def test_same_request_same_bytes_other_request_other_id(http):
    first = await http.post("/v1/chat/completions", json={"messages": HELLO})
    again = await http.post("/v1/chat/completions", json={"messages": HELLO})
    other = await http.post("/v1/chat/completions", json={"messages": [*HELLO, *HELLO]})
    assert first.content == again.content
    assert first.json()["id"] != other.json()["id"]


@pytest.mark.parametrize(
    ("choice", "name"),
    [("required", "weather"), ({"type": "function", "function": {"name": "tides"}}, "tides")],
)
async def test_a_demanded_tool_is_called(sdk, choice, name):
    completion = await sdk.chat.completions.create(model="any", messages=HELLO, tools=TOOLS, tool_choice=choice)
    call = completion.choices[0].message.tool_calls[0]
    assert (call.function.name, call.function.arguments) == (name, "{}")
    assert completion.choices[0].finish_reason == "tool_calls"
    stream = await sdk.chat.completions.create(
        model="any", messages=HELLO, tools=TOOLS, tool_choice=choice, stream=True
    )
    first = await anext(aiter(stream))
    assert first.choices[0].delta.tool_calls[0].function.name == name
    await stream.close()


async def test_an_offered_tool_is_left_alone(sdk):
    completion = await sdk.chat.completions.create(model="any", messages=HELLO, tools=TOOLS, tool_choice="auto")
    assert completion.choices[0].message.tool_calls is None


async def test_models_and_unknown_paths(sdk, http):
    assert [model.id async for model in sdk.models.list()] == ["isocost-demo"]
    for method, path in (("GET", "/v1/chat/completions"), ("POST", "/v1/embeddings"), ("GET", "/v1/models/")):
        response = await http.request(method, path)
        assert response.status_code == 404
        assert response.json()["error"]["code"] == "unknown_url"


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff\xfe\xfd", b"[" * 100_000, b"[]", b"{}", b'{"messages": []}', b'{"messages": [1]}', b"null"],
)
async def test_malformed_requests_get_an_openai_error(http, body):
    response = await http.post("/v1/chat/completions", content=body)
    assert response.status_code == 400
    assert response.json()["error"].keys() == {"message", "type", "param", "code"}


async def test_odd_shapes_are_answered(http):
    messages = [{"role": 7, "content": {"a": 1}}, {"content": None}, *HELLO]
    odd = {"messages": messages, "tools": "none", "tool_choice": 3, "stream_options": []}
    assert (await http.post("/v1/chat/completions", json=odd)).status_code == 200


async def test_a_lone_surrogate_is_quoted_and_not_fatal(http):
    body = rb'{"messages": [{"role": "user", "content": "My code is \ud800 seven. What is my code?"}]}'
    content = (await http.post("/v1/chat/completions", content=body)).json()["choices"][0]["message"]["content"]
    assert content != NO_ANSWER
    assert "\ud800" in content


async def test_a_body_beyond_the_bound_is_refused(http):
    response = await http.post("/v1/chat/completions", content=b" " * (BODY_BYTES_MAX + 1))
    assert response.status_code == 413


async def test_delay_stands_before_each_chunk():
    delay_s = 0.002
    async with serve_app(demo_model(delay_s)) as port, httpx.AsyncClient(trust_env=False, timeout=10) as client:
        began = time.perf_counter()
        response = await client.post(
            f"http://127.0.0.1:{port}/v1/chat/completions", json={"messages": HELLO, "stream": True}
        )
        taken_s = time.perf_counter() - began
    assert taken_s >= delay_s * (response.text.count("data: ") - 1)
