"""/v1/responses with the SDK: the same memory where the input is the whole history, and hands off where it is not."""

import json
from typing import Any

import pytest
from openai import AsyncOpenAI
from starlette.types import ASGIApp, Receive, Scope, Send

from proxy import responses
from tests.support.proxying import COMPACT, Proxied, history, proxied

PATH = "/v1/responses"
QUESTION = "What about word3x1?"
CALL = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "call_1",
    "name": "look_up",
    "arguments": '{"city": "Zürich"}',
}


def message(text: str) -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": []}
    return {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [part]}


def response(*output: dict[str, Any], **fields: Any) -> dict[str, Any]:
    usage = {"input_tokens": 7, "input_tokens_details": {"cached_tokens": 3}, "output_tokens": 3, "total_tokens": 10}
    usage["output_tokens_details"] = {"reasoning_tokens": 0}
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1767225600,
        "status": "completed",
        "model": "m",
        "output": list(output),
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": usage,
        **fields,
    }


def answering(*output: dict[str, Any]) -> ASGIApp:
    """A responses server: the same output each time, streamed if asked."""
    whole = response(*output)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body, more = b"", True
        while more:
            event = await receive()
            body += event.get("body", b"")
            more = event.get("more_body", False)
        stream = json.loads(body).get("stream")
        kind = b"text/event-stream" if stream else b"application/json"
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
        for piece in events(whole) if stream else [json.dumps(whole).encode()]:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    return app


def events(whole: dict[str, Any]) -> list[bytes]:
    told = [
        {
            "type": "response.created",
            "response": {**whole, "status": "in_progress", "output": []},
            "sequence_number": 0,
        },
        {
            "type": "response.output_text.delta",
            "item_id": "msg_1",
            "output_index": 0,
            "content_index": 0,
            "delta": "No",
        },
        {"type": "response.completed", "response": whole, "sequence_number": 2},
    ]
    return [f"event: {each['type']}\ndata: {json.dumps(each)}\n\n".encode() for each in told]


def client(pair: Proxied) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=f"{pair.url}/v1", api_key="key", http_client=pair.client)


def forwarded(pair: Proxied) -> Any:
    return json.loads(pair.recorder.body)


async def test_a_long_input_is_compacted_and_only_input_differs():
    given = [*history(60), {"role": "user", "content": [{"type": "input_text", "text": QUESTION}]}]
    async with proxied(answering(message("Noted."))) as pair:
        sdk = client(pair)
        raw = await sdk.responses.with_raw_response.create(
            model="m", input=given, instructions="Be brief.", temperature=0.5, extra_headers=COMPACT
        )
        assert raw.headers["x-isocost-mode"] == "compact"
        assert raw.parse().output_text == "Noted."
        sent = forwarded(pair)
    assert (sent["instructions"], sent["temperature"], sent["model"]) == ("Be brief.", 0.5, "m")
    assert len(sent["input"]) < len(given) / 2
    asked = sent["input"][-1]["content"]
    assert asked[0] == {"type": "input_text", "text": QUESTION}
    assert asked[1]["type"] == "input_text"
    assert "word3x1" in asked[1]["text"]


@pytest.mark.parametrize("stream", [False, True])
async def test_what_is_answered_is_learned_and_found_again_when_resent(stream: bool):
    async with proxied(answering(message("Noted."))) as pair:
        sdk = client(pair)
        given: list[Any] = [{"role": "user", "content": "hello"}]
        if stream:
            async for event in await sdk.responses.create(model="m", input=given, stream=True):
                last = event
            output = last.response.output  # type: ignore[union-attr]
        else:
            output = (await sdk.responses.create(model="m", input=given)).output
        await pair.until_learned(1)
        given += [item.model_dump(exclude_none=True) for item in output] + [{"role": "user", "content": "and now?"}]
        again = await sdk.responses.with_raw_response.create(model="m", input=given)
        assert again.headers["x-isocost-turn"] == "3"
        await pair.until_learned(2)
        assert await pair.metric("isocost_learned_total", outcome="failed") == 0


async def test_a_thin_client_sends_a_text_and_the_rest_is_ours():
    async with proxied(answering(message("Noted."))) as pair:
        sdk = client(pair)
        named = {"x-isocost-conversation": "mine"}
        await sdk.responses.create(model="m", input="My boat is called Halcyon.", extra_headers=named)
        await sdk.responses.create(model="m", input="What is it called?", extra_headers=named)
        sent = forwarded(pair)["input"]
    said = [{"type": "output_text", "text": "Noted."}]
    assert sent == [
        {"role": "user", "content": "My boat is called Halcyon."},
        {"type": "message", "role": "assistant", "content": said},
        {"role": "user", "content": "What is it called?"},
    ]


async def test_a_call_and_its_output_stay_together():
    loop = [
        {key: value for key, value in CALL.items() if key != "id"},
        {"type": "function_call_output", "call_id": "call_1", "output": "Trams run until one."},
    ]
    given = [*history(50), {"role": "user", "content": QUESTION}, *loop]
    async with proxied(answering(message("Until one."))) as pair:
        raw = await client(pair).responses.with_raw_response.create(model="m", input=given, extra_headers=COMPACT)
        assert raw.headers["x-isocost-mode"] == "compact"
        sent = forwarded(pair)["input"]
    assert sent[-2:] == loop
    assert sent[-3]["content"].startswith(QUESTION)
    assert responses.fault([json.dumps(item).encode() for item in sent]) == ""


async def test_several_calls_are_several_turns():
    second = {**CALL, "id": "fc_2", "call_id": "call_2"}
    async with proxied(answering(CALL, second)) as pair:
        sdk = client(pair)
        await sdk.responses.create(
            model="m", input="Where do trams run?", extra_headers={"x-isocost-conversation": "a"}
        )
        outputs = [
            {"type": "function_call_output", "call_id": call["call_id"], "output": "Here."} for call in (CALL, second)
        ]
        raw = await sdk.responses.with_raw_response.create(
            model="m", input=outputs, extra_headers={"x-isocost-conversation": "a"}
        )
        assert raw.headers["x-isocost-turn"] == "5"
        kinds = [item.get("type", "user") for item in forwarded(pair)["input"]]
    assert kinds == ["user", "function_call", "function_call", "function_call_output", "function_call_output"]


ENCRYPTED = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}


@pytest.mark.parametrize(
    "fields",
    [
        {"previous_response_id": "resp_0"},
        {"conversation": "conv_1"},
        {"background": True},
        {"input": [*history(60), ENCRYPTED, {"role": "user", "content": QUESTION}]},
        {"input": [*history(60), {"type": "item_reference", "id": "msg_1"}, {"role": "user", "content": QUESTION}]},
    ],
)
async def test_what_the_server_holds_goes_through_as_it_came(fields: dict[str, Any]):
    body = {"model": "m", "input": [*history(60), {"role": "user", "content": QUESTION}], **fields}
    async with proxied(answering(message("Noted."))) as pair:
        answer = await pair.client.post(pair.url + PATH, content=json.dumps(body), headers=COMPACT)
        assert answer.status_code == 200
        assert answer.headers["x-isocost-mode"] == "passthrough"
        assert pair.recorder.body == json.dumps(body).encode()


@pytest.mark.parametrize("body", [{}, {"model": "m"}, {"input": 7}, {"input": []}, {"input": [7]}, {"input": [{}]}])
async def test_what_is_no_input_is_the_upstream_s_to_judge(body: dict[str, Any]):
    async with proxied(answering(message("Noted."))) as pair:
        answer = await pair.client.post(pair.url + PATH, content=json.dumps(body), headers=COMPACT)
        assert answer.status_code == 200
        assert pair.recorder.body == json.dumps(body).encode()


async def test_what_is_no_json_gets_openai_s_error():
    async with proxied(answering(message("Noted."))) as pair:
        answer = await pair.client.post(pair.url + PATH, content=b"{", headers=COMPACT)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"
