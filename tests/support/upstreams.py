"""Upstreams for tests, one function a behaviour; each is an ASGI app that listens on any path."""

import asyncio
import gzip
import json
from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

Headers = Iterable[tuple[bytes, bytes]]

JSON = ((b"content-type", b"application/json"),)
SSE = ((b"content-type", b"text/event-stream; charset=utf-8"),)

ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Noted, sir."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
}


def _chunk(**delta: object) -> bytes:
    return json.dumps({"choices": [{"index": 0, "delta": delta}]}).encode()


def _call(**call: object) -> bytes:
    return _chunk(tool_calls=[{"index": 0, **call}])


ODD_SSE = b"".join(
    [
        b": a comment before anything\r\n\r\n",
        b"event: message\r\nid: 1\r\ndata: " + _chunk(role="assistant", content="") + b"\r\n\r\n",
        b"data:" + _chunk(content="Zürich ".encode().decode()) + b"\n\n",
        # one event of two data lines: JSON may be broken anywhere that allows white space
        b'data: {"choices": [{"index": 0,\r\ndata:  "delta": {"content": "has trams"}}]}\r\n\r\n',
        b": keep-alive\n\nretry: 1000\n\n",
        b"data: this is no JSON\n\n",
        b"data: " + _chunk(content=" 🚋") + b"\r\r",
        b'data: {"choices": [], "usage": {"prompt_tokens": 9}}\n\n',
        b"data: [DONE]\n\n",
    ]
)
"""Comments, three line endings, an event of two lines, one that is no JSON; says ODD_SSE_TEXT."""
ODD_SSE_TEXT = "Zürich has trams 🚋"

TOOL_CALL_SSE = b"".join(
    b"data: " + data + b"\n\n"
    for data in (
        _chunk(role="assistant", content=None),
        _call(id="call_7", type="function", function={"name": "look_up", "arguments": ""}),
        _call(function={"arguments": '{"city": "Zü'}),
        _call(function={"arguments": 'rich"}'}),
        json.dumps({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}).encode(),
        b"[DONE]",
    )
)


def echo() -> ASGIApp:
    """Answers with what it received: method, path, query, headers, and the body as latin-1."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            body = await _body(receive)
            received = {
                "method": scope["method"],
                "path": scope["raw_path"].decode(),
                "query": scope["query_string"].decode(),
                "headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]],
                "body": body.decode("latin-1"),
            }
            await _answer(send, 200, JSON, [json.dumps(received).encode()])

    return app


def canned(body: bytes, *, status: int = 200, headers: Headers = JSON, cut: int = 0, pause_s: float = 0.0) -> ASGIApp:
    """Answers with these bytes, in pieces of `cut` bytes if it is not 0, and a pause after each."""
    pieces = [body[at : at + cut] for at in range(0, len(body), cut)] if cut else [body]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await _body(receive)
            await _answer(send, status, headers, pieces, pause_s)

    return app


def answers() -> ASGIApp:
    """A plain chat completion."""
    return canned(json.dumps(ANSWER).encode())


def slow(delay_s: float) -> ASGIApp:
    """A plain chat completion, so much later."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await _body(receive)
            await asyncio.sleep(delay_s)
            await _answer(send, 200, JSON, [json.dumps(ANSWER).encode()])

    return app


def rate_limited() -> ASGIApp:
    """429 with the headers by which clients wait."""
    headers = (*JSON, (b"retry-after", b"17"), (b"x-ratelimit-remaining-tokens", b"0"), (b"x-request-id", b"req_1"))
    body = b'{"error": {"message": "Slow down.", "type": "tokens", "param": null, "code": "rate_limit_exceeded"}}'
    return canned(body, status=429, headers=headers)


def broken() -> ASGIApp:
    """500 with a page that is no JSON."""
    return canned(b"<h1>oh no</h1>", status=500, headers=((b"content-type", b"text/html"),))


def gzipped() -> ASGIApp:
    """A plain chat completion, compressed, as many servers send it to those who accept it."""
    headers = (*JSON, (b"content-encoding", b"gzip"), (b"vary", b"Accept-Encoding"))
    return canned(gzip.compress(json.dumps(ANSWER).encode(), mtime=0), headers=headers)


def odd_sse(cut: int, pause_s: float = 0.0) -> ASGIApp:
    """ODD_SSE in pieces of `cut` bytes; with a pause they also arrive as such."""
    return canned(ODD_SSE, headers=SSE, cut=cut, pause_s=pause_s)


def tool_call_stream() -> ASGIApp:
    """TOOL_CALL_SSE, in pieces that end nowhere in particular."""
    return canned(TOOL_CALL_SSE, headers=SSE, cut=37)


def breaks_off(said: bytes) -> ASGIApp:
    """So much of a stream, and then the connection breaks."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await _body(receive)
            await send({"type": "http.response.start", "status": 200, "headers": list(SSE)})
            await send({"type": "http.response.body", "body": said, "more_body": True})
            # returning with more_body still promised makes uvicorn close the connection without an end

    return app


def dies_mid_stream() -> ASGIApp:
    """Two events of a stream, and then the connection breaks."""
    return breaks_off(b"".join(b"data: " + _chunk(content=word) + b"\n\n" for word in ("half", " an answer")))


def never_answers(asked: asyncio.Event, gone: asyncio.Event, *, first: bytes = b"") -> ASGIApp:
    """Takes POSTs and says nothing after `first`, the beginning of a stream; tells when asked and when left.

    Anything that is no POST is answered at once, to see that life goes on.
    """

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        await _body(receive)
        if scope["method"] != "POST":
            await _answer(send, 200, JSON, [b"{}"])
            return
        asked.set()
        if first:
            await send({"type": "http.response.start", "status": 200, "headers": list(SSE)})
            await send({"type": "http.response.body", "body": first, "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            continue
        gone.set()

    return app


async def _body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    more = True
    while more:
        event: Message = await receive()
        parts.append(event.get("body", b""))
        more = event.get("more_body", False)
    return b"".join(parts)


async def _answer(send: Send, status: int, headers: Headers, pieces: list[bytes], pause_s: float = 0.0) -> None:
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    for piece in pieces:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        await asyncio.sleep(pause_s)  # even 0 lets each piece leave by itself
    await send({"type": "http.response.body", "body": b"", "more_body": False})
