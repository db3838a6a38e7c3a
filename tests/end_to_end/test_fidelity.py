"""The wire is nobody's business but theirs: what goes through the proxy comes out as it went in, both ways."""

import json
import re
from collections.abc import Sequence

import httpx
import msgspec
import pytest

from proxy.headers import HOP_BY_HOP
from tests.support import upstreams
from tests.support.proxying import CHAT, Proxied, history, proxied, quick_client

# Spaces, escapes, digits and order that a parser would not keep; "no_such_field" is unknown to all.
ODD_BODY = (
    b'{ "temperature": 1.0, "model":"gpt-4o",\n "messages": [ {"content":"caf\\u00e9 \\ud83d\\udca1","role":"user",'
    b' "x":1e2} ],"seed":12345678901234567890, "no_such_field":{"b":[1.50,null],"a":{}},"stream":false }'
)
OUR_HEADERS = {
    "x-isocost-conversation": "c1",
    "x-isocost-user": "anna",
    "x-isocost-mode": "passthrough",
    "x-isocost-context-tokens": "100",
    "x-isocost-short-circuit": "off",
    "X-Isocost-Not-Yet-Known": "1",
}


async def exchange(url: str, method: str = "POST", **options) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Status, headers less hop-by-hop and ours, and the body as it stood on the wire."""
    async with quick_client() as client, client.stream(method, url, **options) as response:
        headers = [(name.lower(), value) for name, value in response.headers.raw]
        body = b"".join([piece async for piece in response.aiter_raw()])
    kept = [pair for pair in headers if pair[0] not in HOP_BY_HOP and not pair[0].startswith(b"x-isocost-")]
    return response.status_code, sorted(kept), body


async def both_ways(pair: Proxied, path: str, method: str = "POST", **options) -> Sequence[object]:
    """The answer through the proxy, which must equal the direct one."""
    direct = await exchange(pair.upstream_url + path, method, **options)
    assert await exchange(pair.url + path, method, **options) == direct
    return direct


async def received(pair: Proxied, path: str, method: str = "POST", **options) -> dict:
    """What the echo upstream received through the proxy."""
    _, _, body = await exchange(pair.url + path, method, **options)
    return json.loads(body)


@pytest.mark.parametrize("path", [CHAT, "/chat/completions", "/v1/responses"])
async def test_a_request_that_is_not_compacted_arrives_byte_for_byte(path: str):
    async with proxied(upstreams.echo()) as pair:
        arrived = await received(pair, path, content=ODD_BODY)
    assert arrived["body"].encode("latin-1") == ODD_BODY
    assert (arrived["method"], arrived["path"]) == ("POST", path)


async def test_headers_arrive_as_they_were_sent_but_for_ours():
    sent = [
        ("Authorization", "Bearer sk-1"),
        ("OpenAI-Organization", "org"),
        ("X-Twice", "one"),
        ("X-Twice", "two"),
        ("Cookie", "a=b"),
        ("User-Agent", "curl/8"),
        ("Accept-Encoding", "gzip, deflate"),
        ("Content-Type", "application/json"),
        ("Connection", "keep-alive, x-hop"),
        ("X-Hop", "for the next hop only"),
    ]
    async with proxied(upstreams.echo()) as pair:
        direct = json.loads((await exchange(pair.upstream_url + CHAT, content=ODD_BODY, headers=sent))[2])
        arrived = await received(pair, CHAT, content=ODD_BODY, headers=[*sent, *OUR_HEADERS.items()])
    host = ["host", pair.upstream_url.removeprefix("http://")]
    expected = [header for header in direct["headers"] if header[0] not in ("connection", "x-hop")]
    assert host in expected
    assert sorted(arrived["headers"]) == sorted(expected)


@pytest.mark.parametrize("path", [CHAT, "/v1/models"])
async def test_none_of_our_request_headers_reaches_the_upstream(path: str):
    async with proxied(upstreams.echo()) as pair:
        arrived = await received(pair, path, content=ODD_BODY, headers=OUR_HEADERS)
    assert not [name for name, _ in arrived["headers"] if name.startswith("x-isocost-")]


async def test_only_encodings_that_can_be_read_along_are_asked_for_where_nobody_else_holds_the_answer():
    async with proxied(upstreams.echo()) as pair:
        for sent, wanted in (("br, gzip;q=0.5, zstd", "gzip;q=0.5"), ("br", "identity"), ("*", "identity")):
            thin = {"accept-encoding": sent, "x-isocost-conversation": f"thin {sent}"}
            arrived = await received(pair, CHAT, content=ODD_BODY, headers=thin)
            assert ["accept-encoding", wanted] in arrived["headers"]
            streamed = json.dumps({"model": "m", "stream": True, "messages": [{"role": "user", "content": "hello"}]})
            arrived = await received(pair, CHAT, content=streamed, headers=thin)
            assert ["accept-encoding", "identity"] in arrived["headers"]  # its end is to be seen before it is passed on
            untouched = await received(pair, CHAT, content=ODD_BODY, headers={"accept-encoding": sent})
            assert ["accept-encoding", sent] in untouched["headers"]


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "PATCH", "OPTIONS", "POST", "PURGE"])
async def test_any_method_path_and_query_string(method: str):
    path, query = "/v1/threads/a%2Fb/caf%C3%A9%20!/", "after=x%20y&limit=10&limit=20&empty="
    async with proxied(upstreams.echo()) as pair:
        arrived = await received(pair, f"{path}?{query}", method)
    assert (arrived["method"], arrived["path"], arrived["query"]) == (method, path, query)
    assert arrived["body"] == ""


async def test_a_base_url_that_ends_in_v1_is_not_doubled():
    async with proxied(upstreams.echo()) as inner, proxied(upstreams.echo(), upstream=f"{inner.url}/v1/") as pair:
        assert (await received(pair, "/v1/models", "GET"))["path"] == "/v1/models"
        assert (await received(pair, CHAT, content=ODD_BODY))["path"] == CHAT


@pytest.mark.parametrize("known_length", [True, False])
async def test_a_multipart_upload(known_length: bool):
    body = httpx.Request("POST", "http://x", data={"purpose": "batch"}, files={"file": ("f.bin", bytes(range(256)))})
    sent = body.read() * 300  # some 130 kB, so that it comes in several parts

    async def pieces():
        for at in range(0, len(sent), 10_000):
            yield sent[at : at + 10_000]

    content = sent if known_length else pieces()
    headers = {"content-type": body.headers["content-type"]}
    async with proxied(upstreams.echo()) as pair:
        arrived = await received(pair, "/v1/files", content=content, headers=headers)
    assert arrived["body"].encode("latin-1") == sent
    assert ["content-type", body.headers["content-type"]] in arrived["headers"]
    assert (["content-length", str(len(sent))] in arrived["headers"]) == known_length


@pytest.mark.parametrize("path", [CHAT, "/v1/completions"])
@pytest.mark.parametrize(
    ("name", "app"),
    [
        ("plain", upstreams.answers()),
        ("429", upstreams.rate_limited()),
        ("500", upstreams.broken()),
        ("gzip", upstreams.gzipped()),
        ("odd status", upstreams.canned(b"", status=529, headers=())),
        ("204", upstreams.canned(b"", status=204, headers=())),
        ("redirect", upstreams.canned(b"", status=307, headers=((b"location", b"https://elsewhere.example/"),))),
        (
            "headers twice",
            upstreams.canned(
                b'{"a": 1.0 }',
                headers=(
                    *upstreams.JSON,
                    (b"set-cookie", b"a=1; Path=/"),
                    (b"set-cookie", b"b=2"),
                    (b"server", b"cloudflare"),
                    (b"date", b"Thu, 01 Jan 1970 00:00:00 GMT"),
                    (b"content-length", b"11"),
                ),
            ),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_answers_come_back_as_they_left(path: str, name: str, app):
    async with proxied(app) as pair:
        await both_ways(pair, path, content=ODD_BODY, headers={"accept-encoding": "gzip"})


@pytest.mark.parametrize("mode", ["passthrough", "compact"])
@pytest.mark.parametrize(
    "app",
    [*(upstreams.odd_sse(cut) for cut in (1, 7, 1000)), upstreams.tool_call_stream()],
    ids=["a byte", "7 bytes", "whole", "tool call"],
)
async def test_streams_come_back_byte_for_byte(app, mode: str):
    async with proxied(app) as pair:
        status, headers, body = await both_ways(pair, CHAT, content=ODD_BODY, headers={"x-isocost-mode": mode})
    assert status == 200
    assert (b"content-type", b"text/event-stream; charset=utf-8") in headers
    assert body in (upstreams.ODD_SSE, upstreams.TOOL_CALL_SSE)


async def test_what_an_odd_stream_or_a_gzipped_answer_said_is_learned():
    headers = {"x-isocost-conversation": "thin"}
    for app, said in (
        (upstreams.odd_sse(5), upstreams.ODD_SSE_TEXT),
        (upstreams.gzipped(), "Noted, sir."),
    ):
        async with proxied(app) as pair:
            await pair.chat([{"role": "user", "content": "hello"}], headers=headers)
            await pair.chat([{"role": "user", "content": "and now?"}], headers=headers)
        assert [message["content"] for message in pair.forwarded()] == ["hello", said, "and now?"]


async def test_a_streamed_tool_call_is_learned():
    headers = {"x-isocost-conversation": "thin"}
    async with proxied(upstreams.tool_call_stream()) as pair:
        await pair.chat([{"role": "user", "content": "hello"}], headers=headers)
        await pair.chat([{"role": "tool", "tool_call_id": "call_7", "content": "rainy"}], headers=headers)
        _, call, reply = pair.forwarded()
    assert call["tool_calls"] == [
        {"id": "call_7", "type": "function", "function": {"name": "look_up", "arguments": '{"city": "Zürich"}'}}
    ]
    assert reply["content"] == "rainy"


@pytest.mark.parametrize(
    ("model", "own", "added"),
    [
        (b"gpt-4o", b"", ["prompt_cache_key"]),
        (b"gpt-4o", b'"prompt_cache_key" : "mine" ,', []),
        (b"a model whose upstream may not know the field", b"", []),
    ],
    ids=["no cache key", "a cache key of the client's", "another upstream"],
)
async def test_compact_changes_messages_and_nothing_else(model: bytes, own: bytes, added: list[str]):
    items = [b' {"x" : 1.0e1, "content": %s,"role":"%s"}' % (json.dumps(m["content"]).encode(), m["role"].encode())
             for m in history(60)]  # fmt: skip
    items[4] = b'{"role":"user", "content": "Always send the invoice to IBAN DE89 3704 0044 0532 0130 00."}'
    items.append(b'{ "role":"user", "content" : [{"type":"text","text":"word3x1?"},{"type":"image_url"}] }')
    system = b'{"role": "developer" , "content":"Be brief."}'
    body = ODD_BODY.split(b"[")[0] + b"[" + b",".join([system, *items]) + b"]" + ODD_BODY.split(b"} ]", 1)[1]
    body = body.replace(b"gpt-4o", model).replace(b'"seed"', own + b'"seed"')
    async with proxied(upstreams.echo(), context_tokens=2_000) as pair:
        arrived = await received(pair, CHAT, content=body, headers={"x-isocost-mode": "compact"})
    sent, forwarded = (raw_fields(text) for text in (body, arrived["body"].encode("latin-1")))
    assert list(forwarded) == [*sent, *added]
    assert all(re.fullmatch(b'"[0-9a-f]{32}"', forwarded[name]) for name in added)
    assert {name for name in sent if sent[name] != forwarded[name]} == {"messages"}
    first, block, *window, question = msgspec.json.decode(forwarded["messages"], type=list[msgspec.Raw])
    assert bytes(first) == system
    assert json.loads(bytes(block))["role"] == "system"
    assert "DE89 3704 0044 0532 0130 00" in json.loads(bytes(block))["content"]
    stripped = [item.strip() for item in items]
    assert [bytes(item) for item in window] == stripped[-1 - len(window) : -1]
    assert 0 < len(window) < 60
    text, image, recall = json.loads(bytes(question))["content"]
    assert (text["text"], image) == ("word3x1?", {"type": "image_url"})
    assert "word3x1" in recall["text"]


async def test_an_upstreams_cookies_are_not_given_to_the_next_client():
    cookie = upstreams.canned(b"{}", headers=(*upstreams.JSON, (b"set-cookie", b"session=anna; Path=/")))
    async with proxied(both(cookie, upstreams.echo())) as target:
        # a cookie jar takes nothing from hosts that are addresses
        by_name = target.upstream_url.replace("127.0.0.1", "localhost")
        async with proxied(upstreams.echo(), upstream=by_name) as pair:
            assert (await pair.client.get(f"{pair.url}/v1/set")).headers["set-cookie"] == "session=anna; Path=/"
            async with quick_client() as another:
                arrived = (await another.get(f"{pair.url}/v1/echo")).json()
    assert not [name for name, _ in arrived["headers"] if name == "cookie"]


def both(setting, echoing):
    """An app that sets a cookie under .../set and echoes everywhere else."""

    async def app(scope, receive, send):
        chosen = setting if scope["type"] == "http" and scope["path"].endswith("/set") else echoing
        await chosen(scope, receive, send)

    return app


def raw_fields(body: bytes) -> dict[str, bytes]:
    return {name: bytes(value) for name, value in msgspec.json.decode(body, type=dict[str, msgspec.Raw]).items()}


ANTHROPIC_BODY = (
    b'{"model":"claude-sonnet-4-5", "max_tokens": 64, "system":[{"type":"text","text":"Be brief.",'
    b'"cache_control":{"type":"ephemeral"}}],"messages":[{"role":"user","content":[{"type":"tool_result",'
    b'"tool_use_id":"t1","content":"7"}]}],"stream":true}'
)
ANTHROPIC_STREAM = (
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","usage":{"input_tokens":9}}}\n\n'
    b'event: ping\ndata: {"type": "ping"}\n\n'
    b'event: content_block_delta\ndata: {"type":"content_block_delta","delta":{"type":"text_delta","text":"7"}}\n\n'
    b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
)


async def test_the_messages_of_anthropic_pass_through_both_ways():
    headers = {"x-api-key": "sk-ant-1", "anthropic-version": "2023-06-01", "content-type": "application/json"}
    async with proxied(upstreams.echo()) as pair:
        arrived = await received(pair, "/v1/messages?beta=true", content=ANTHROPIC_BODY, headers=headers)
    assert arrived["body"].encode("latin-1") == ANTHROPIC_BODY
    assert all([name, value] in arrived["headers"] for name, value in headers.items())
    stream = [(b"content-type", b"text/event-stream")]
    async with proxied(upstreams.canned(ANTHROPIC_STREAM, headers=stream, cut=7)) as pair:
        _, _, body = await both_ways(pair, "/v1/messages", content=ANTHROPIC_BODY, headers=headers)
    assert body == ANTHROPIC_STREAM
