"""A request with every field of the spec and some of none, and a reply with everything in it: the same as direct."""

import json
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from tests.support import upstreams
from tests.support.proxying import CHAT, Proxied, history, proxied

FIELDS: dict[str, Any] = {
    "model": "gpt-4o",
    "audio": {"voice": "alloy", "format": "wav"},
    "frequency_penalty": -0.5,
    "function_call": "auto",
    "functions": [{"name": "old", "parameters": {"type": "object", "properties": {}}}],
    "logit_bias": {"50256": -100},
    "logprobs": True,
    "max_completion_tokens": 4096,
    "max_tokens": 4096,
    "metadata": {"team": "böats"},
    "modalities": ["text", "audio"],
    "moderation": {"mode": "strict"},
    "n": 2,
    "parallel_tool_calls": False,
    "prediction": {"type": "content", "content": "x"},
    "presence_penalty": 2.0,
    "prompt_cache_key": "mine",
    "prompt_cache_options": {"mode": "explicit", "ttl": "1h"},
    "prompt_cache_retention": "24h",
    "reasoning_effort": "high",
    "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}},
    "safety_identifier": "u1",
    "seed": 12345678901234567890,
    "service_tier": "flex",
    "stop": ["\n\n", "END"],
    "store": True,
    "stream_options": {"include_usage": True, "include_obfuscation": False},
    "temperature": 1.0,
    "tool_choice": {"type": "function", "function": {"name": "f"}},
    "tools": [
        {"type": "function", "function": {"name": "f", "strict": True, "parameters": {"type": "object"}}},
        {"type": "custom", "custom": {"name": "c", "format": {"type": "grammar", "grammar": {"syntax": "lark"}}}},
    ],
    "top_logprobs": 5,
    "top_p": 0.1,
    "user": "u1",
    "verbosity": "low",
    "web_search_options": {"search_context_size": "low"},
    "chat_template_kwargs": {"enable_thinking": False},
    "guided_json": {"type": "object"},
    "min_p": 0.05,
    "kv_transfer_params": None,
    "no_such_field": [1.50, {"a": None}],
}

LAST = {
    "role": "user",
    "name": "anna",
    "content": [
        {"type": "text", "text": "What is this? word3x1", "prompt_cache_breakpoint": {"mode": "explicit"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "high"}},
        {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
        {"type": "file", "file": {"file_id": "file-1"}},
    ],
}
TALK = [
    {"role": "developer", "content": "Be brief.", "name": "d"},
    {"role": "user", "content": "Look it up."},
    {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "reasoning_content": "Two at once.",
        "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{ "a":1.0 }'}},
            {"id": "call_2", "type": "custom", "custom": {"name": "c", "input": "raw"}},
        ],
    },
    {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "one"}]},
    {"role": "tool", "tool_call_id": "call_2", "content": "two"},
    {"role": "assistant", "content": "Done.", "audio": {"id": "audio_1"}, "annotations": []},
    *history(60),
]

USAGE = {
    "prompt_tokens": 9,
    "completion_tokens": 4,
    "total_tokens": 13,
    "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 1, "accepted_prediction_tokens": 0},
}
LOGPROBS = {"content": [{"token": "é", "logprob": -0.0, "bytes": [195, 169], "top_logprobs": []}], "refusal": None}
MESSAGES: list[dict[str, Any]] = [
    {"role": "assistant", "content": None, "refusal": "No.", "annotations": [], "reasoning": "Hm.", "extra": 1e2},
    {"role": "assistant", "content": "é", "audio": {"id": "a", "data": "UklGRg==", "expires_at": 1, "transcript": "é"}},
]


def reply(kind: str, *choices: dict[str, Any], **fields: Any) -> bytes:
    head = {"id": "chatcmpl-1", "object": kind, "created": 1, "model": "gpt-4o-2024-08-06", "system_fingerprint": None}
    return json.dumps({**head, "choices": choices, "service_tier": "flex", "obfuscation": "x7", **fields}).encode()


WHOLE = reply(
    "chat.completion",
    *(
        {"index": n, "message": said, "logprobs": LOGPROBS, "finish_reason": "stop", "stop_reason": None}
        for n, said in enumerate(MESSAGES)
    ),
    usage=USAGE,
)


def _chunk(index: int, delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish, "token_ids": [1]}
    return reply("chat.completion.chunk", choice, usage=None)


STREAM = b"".join(
    b"data: " + each + b"\r\n\r\n"
    for each in (
        _chunk(0, {"role": "assistant", "content": "", "refusal": None}),
        _chunk(1, {"role": "assistant", "reasoning": "Hm."}),
        _chunk(0, {"tool_calls": [{"index": 0, "id": "c", "type": "function", "function": {"name": "f"}}]}),
        _chunk(0, {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}),
        _chunk(1, {"content": "é"}),
        _chunk(0, {}, "tool_calls"),
        _chunk(1, {}, "stop"),
        reply("chat.completion.chunk", usage=USAGE),
        b"[DONE]",
    )
)


class Keeps:
    """Answers rich, whole or streamed, and keeps the body that it was asked with."""

    def __init__(self, *, stream: bool) -> None:
        self._answer = upstreams.canned(STREAM, headers=upstreams.SSE, cut=61) if stream else upstreams.canned(WHOLE)
        self.asked = b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        parts: list[bytes] = []

        async def heard() -> Any:
            event = await receive()
            parts.append(event.get("body", b""))
            self.asked = b"".join(parts)
            return event

        await self._answer(scope, heard, send)


async def answered(pair: Proxied, url: str, body: bytes, mode: str) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    request = httpx.Request("POST", url + CHAT, content=body, headers={"x-isocost-mode": mode})
    response = await pair.client.send(request, stream=True)
    raw = b"".join([part async for part in response.aiter_raw()])
    await response.aclose()
    headers = [one for one in response.headers.raw if not one[0].lower().startswith(b"x-isocost-")]
    return response.status_code, headers, raw


@pytest.mark.parametrize("mode", ["passthrough", "compact"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_it_arrives_and_comes_back_as_it_does_directly(stream: bool, mode: str):
    sent = {**FIELDS, "stream": stream, "messages": [*TALK, LAST]}
    body = json.dumps(sent, indent=1, ensure_ascii=False).encode()
    keeps = Keeps(stream=stream)
    async with proxied(keeps) as pair:
        direct = await answered(pair, pair.upstream_url, body, mode)
        assert keeps.asked == body
        assert await answered(pair, pair.url, body, mode) == direct
        asked = keeps.asked
    assert direct[2] == (STREAM if stream else WHOLE)
    if mode == "passthrough":
        assert asked == body
        return
    got = json.loads(asked)
    assert list(got) == list(sent)
    assert {name: value for name, value in got.items() if name != "messages"} == {
        name: value for name, value in sent.items() if name != "messages"
    }
    assert len(got["messages"]) < len(sent["messages"])
    assert got["messages"][0] == TALK[0]
    assert got["messages"][-1]["content"][: len(LAST["content"])] == LAST["content"]
    assert got["messages"][-1]["name"] == "anna"
