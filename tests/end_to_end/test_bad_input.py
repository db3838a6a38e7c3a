"""Whatever a client sends: a clear error in OpenAI's shape, or a request that goes through as it is."""

import json

import pytest
import pytest_asyncio

from tests.support import upstreams
from tests.support.proxying import CHAT, Proxied, history, proxied

USER = {"role": "user", "content": "hello"}
DEEP = 100_000
"""Nested brackets, far past any parser's stack."""


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair():
    """One for all: whatever is thrown at it, the next test finds it well."""
    async with proxied(upstreams.answers()) as running:
        yield running


async def posted(pair: Proxied, body: bytes, **headers: str):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await pair.client.post(pair.url + CHAT, content=body, headers=named)


async def lives_on(pair: Proxied) -> None:
    assert (await pair.chat([USER])).json() == upstreams.ANSWER


def messages(*items: object) -> bytes:
    return json.dumps({"model": "gpt-4o", "messages": items}).encode()


@pytest.mark.parametrize(
    ("body", "param", "words"),
    [
        (b"", None, "not valid JSON"),
        (b"{", None, "not valid JSON"),
        (b'{"messages": [}', None, "not valid JSON"),
        (b"\xff\xfe\x00", None, "not valid JSON"),
        (b'{"messages": [{"role": "user", "content": "\xff"}]}', "messages[0]", "not valid JSON"),
        (b"[" * DEEP, None, "not valid JSON"),
        (b"[]", None, "JSON object"),
        (b'"messages"', None, "JSON object"),
        (b"null", None, "JSON object"),
        (b"{}", "messages", "'messages'"),
        (b'{"messages": null}', "messages", "list"),
        (b'{"messages": "hello"}', "messages", "list"),
        (b'{"messages": {"role": "user"}}', "messages", "list"),
        (b'{"messages": []}', "messages", "empty"),
        (messages("hello"), "messages[0]", "object"),
        (messages(USER, None), "messages[1]", "object"),
        (messages(USER, [USER]), "messages[1]", "object"),
        (messages({"content": "hello"}), "messages[0].role", "role"),
        (messages(USER, {"role": 7, "content": "hello"}), "messages[1].role", "role"),
        (messages(USER, {"role": None}), "messages[1].role", "role"),
    ],
    ids=lambda value: repr(value)[:40] if isinstance(value, bytes) else "",
)
async def test_what_is_no_chat_request_is_refused(pair: Proxied, body: bytes, param: str | None, words: str):
    before = pair.recorder.body
    refused = await posted(pair, body)
    error = refused.json()["error"]
    assert refused.status_code == 400
    assert refused.headers["content-type"] == "application/json"
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert words in error["message"]
    assert pair.recorder.body is before  # nothing was forwarded
    await lives_on(pair)


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("x-isocost-mode", ""),
        ("x-isocost-mode", "Compact"),
        ("x-isocost-mode", "magic"),
        ("x-isocost-context-tokens", ""),
        ("x-isocost-context-tokens", "-1"),
        ("x-isocost-context-tokens", "1e3"),
        ("x-isocost-context-tokens", "12.5"),
        ("x-isocost-context-tokens", "100001"),
        ("x-isocost-context-tokens", "9" * 5000),
        ("x-isocost-context-tokens", "²"),
        ("x-isocost-conversation", "c" * 513),
    ],
    ids=lambda value: value[:30],
)
async def test_a_header_of_ours_with_a_wrong_value_is_named(pair: Proxied, header: str, value: str):
    before = pair.recorder.body
    refused = await pair.client.post(
        pair.url + CHAT, content=messages(USER), headers=[(header.encode(), value.encode())]
    )
    error = refused.json()["error"]
    assert refused.status_code == 400
    assert (error["type"], error["param"]) == ("invalid_request_error", header)
    assert header in error["message"]
    assert pair.recorder.body is before  # nothing was forwarded
    await lives_on(pair)


ODD_BUT_PASSED = {
    "emoji": '{"messages": [{"role": "user", "content": "👩‍🚀 💡"}]}'.encode(),
    "NUL": b'{"messages": [{"role": "user", "content": "a\\u0000b"}]}',
    "lone surrogates": b'{"messages": [{"role": "user", "content": "\\ud83d and \\udca1"}], "user": "\\udfff"}',
    "NaN": b'{"messages": [{"role": "user", "content": "hello"}], "temperature": NaN}',
    "byte order mark": b'\xef\xbb\xbf{"messages": [{"role": "user", "content": "hello"}]}',
    "content of a wrong type": b'{"messages": [{"role": "user", "content": 7}, {"role": "user", "content": {"a": 1}}]}',
    "parts of a wrong type": b'{"messages": [{"role": "user", "content": [7, null, ["x"], {"type": 7}]}]}',
    "tool calls of a wrong type": b'{"messages": [{"role": "assistant", "tool_calls": [7, {"function": "f"}]}]}',
    "no content": b'{"messages": [{"role": "user"}, {"role": "assistant", "content": null}]}',
    "unknown role": b'{"messages": [{"role": "owl\\ud800", "content": "hoo"}]}',
    "only a system message": b'{"messages": [{"role": "system", "content": "hoo"}]}',
    "model of a wrong type": b'{"model": 7, "stream": "y", "tools": 9, "messages": [{"role": "user", "content": "x"}]}',
    "deep field": b'{"messages": [{"role": "user", "content": "hello"}], "x": ' + b"[" * 300 + b"]" * 300 + b"}",
    "deep content": b'{"messages": [{"role": "user", "content": ' + b'{"a":' * 300 + b"1" + b"}" * 300 + b"}]}",
}


@pytest.mark.parametrize("mode", ["auto", "compact"])
@pytest.mark.parametrize("name", ODD_BUT_PASSED)
async def test_what_is_odd_is_the_upstreams_to_judge(pair: Proxied, name: str, mode: str):
    body = ODD_BUT_PASSED[name]
    answer = await posted(pair, body, x_isocost_mode=mode, x_isocost_conversation=f"{name} {mode}")
    assert answer.status_code == 200
    assert pair.recorder.body == body
    assert "x-isocost-error" not in answer.headers
    # and it is remembered: a client that sends only what is new gets it back from the log
    await pair.chat([USER], headers={"x-isocost-conversation": f"{name} {mode}"})
    turns = [message for message in json.loads(body.decode("utf-8-sig"))["messages"] if message["role"] != "system"]
    assert pair.forwarded()[: len(turns)] == turns
    assert len(pair.forwarded()) == len(turns) + 2


@pytest.mark.parametrize("depth", [900, 3000, DEEP])
@pytest.mark.parametrize("where", ["field", "content"])
async def test_nesting_without_end_is_refused_or_passed_but_never_a_crash(pair: Proxied, where: str, depth: int):
    nested = b"[" * depth + b"]" * depth
    inside = {"field": b'"hello"}], "x": ' + nested + b"}", "content": nested + b"}]}"}
    answer = await posted(pair, b'{"messages": [{"role": "user", "content": ' + inside[where])
    assert answer.status_code in (200, 400)
    if answer.status_code == 400:
        assert answer.json()["error"]["type"] == "invalid_request_error"
    await lives_on(pair)


@pytest.mark.parametrize("kind", ["announced", "chunked"])
async def test_a_body_over_the_cap_is_refused(kind: str):
    async def pieces():
        for _ in range(24):
            yield b" " * 2**16

    async with proxied(upstreams.answers(), body_mib_max=1) as pair:
        content = b" " * (2**20 + 1) if kind == "announced" else pieces()
        refused = await pair.client.post(pair.url + CHAT, content=content)
        error = refused.json()["error"]
        assert refused.status_code == 413
        assert (error["type"], error["code"]) == ("invalid_request_error", "request_too_large")
        assert "1 MiB" in error["message"]
        await lives_on(pair)


@pytest.mark.slow
async def test_a_body_of_20_megabytes_goes_through(pair: Proxied):
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "QUJD" * 5_000_000}}
    body = messages({"role": "user", "content": [{"type": "text", "text": "What is this?"}, image]})
    assert len(body) > 20_000_000
    for _ in range(2):
        answer = await posted(pair, body)
        assert answer.status_code == 200
        assert answer.headers["x-isocost-mode"] == "passthrough"
        assert "x-isocost-error" not in answer.headers
        assert pair.recorder.body == body
    assert int(answer.headers["x-isocost-full-tokens"]) < 2000  # an image is priced as one, not as its letters


@pytest.mark.slow
async def test_ten_thousand_messages(pair: Proxied):
    body = messages(*history(5000, words=9), {"role": "user", "content": "Who said word77x1?"})
    # auto does not wait for so much: unchanged, and says so; what was learned meanwhile is not lost
    whole = await posted(pair, body)
    assert whole.status_code == 200
    if "x-isocost-error" in whole.headers:
        assert whole.headers["x-isocost-error"] == "timeout"
        assert pair.recorder.body == body
    for _ in range(4):  # nor for ever where it was asked for: a slow machine goes on learning in between
        compact = await posted(pair, body, x_isocost_mode="compact")
        if "x-isocost-error" not in compact.headers:
            break
    assert compact.headers["x-isocost-mode"] == "compact"
    assert compact.headers["x-isocost-turn"] == "10001"
    assert len(pair.forwarded()) < 500
    assert "word77x1" in json.dumps(pair.forwarded()[:-1]) + pair.forwarded()[-1]["content"].split("\n", 1)[1]


@pytest.mark.parametrize("shape", ["words", "one word", "emoji"])
async def test_one_message_of_200_kilobytes(pair: Proxied, shape: str):
    text = {"words": "lorem ipsum 77 " * 13_500, "one word": "x" * 200_000, "emoji": "👩‍🚀" * 20_000}[shape]
    headers = {"x-isocost-mode": "compact", "x-isocost-conversation": shape}
    for said in (text, "Thank you.", "And now?"):
        answer = await pair.chat([{"role": "user", "content": said}], headers=headers)
        assert answer.status_code == 200
        assert "x-isocost-error" not in answer.headers
    assert pair.forwarded()[-1]["content"].startswith("And now?")
    # the exchange before the question is sent, the long one is behind it now: at most an excerpt of it is sent
    assert answer.headers["x-isocost-mode"] == "compact"
    assert int(answer.headers["x-isocost-sent-tokens"]) < 2000
    assert len(pair.recorder.body) < 20_000
