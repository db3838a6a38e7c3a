"""The demo model: an OpenAI-compatible upstream as one ASGI app, without weights, network or clock.

It answers from the prompt it receives and from nothing else (see `answers`), so that one can see whether a
fact arrived. It says what it is in `model` and `system_fingerprint`.
"""

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from proxy.demo.answers import answer, text_of

MODEL = "isocost-demo"
CREATED = 1_767_225_600  # a fixed second: the same request must give the same bytes
BODY_BYTES_MAX = 64 * 2**20

Json = dict[str, Any]


class _RefusedError(Exception):
    """The request cannot be answered; carries what OpenAI's error shape needs."""

    def __init__(self, message: str, *, status: int = 400, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.param = param


@dataclass(frozen=True, slots=True)
class _Reply:
    """What is said, before it is cut into chunks or not. `tool` names the function to call, if one must be."""

    id: str
    text: str
    tool: str | None
    usage: Json

    @property
    def message(self) -> Json:
        if self.tool is None:
            return {"role": "assistant", "content": self.text, "refusal": None}
        return {"role": "assistant", "content": None, "tool_calls": [self._call()]}

    @property
    def finish_reason(self) -> str:
        return "stop" if self.tool is None else "tool_calls"

    def deltas(self) -> Iterator[Json]:
        """The message in the pieces of a stream: the role, then a word at a time."""
        if self.tool is not None:
            yield {"role": "assistant", "content": None, "tool_calls": [{"index": 0, **self._call()}]}
            return
        yield {"role": "assistant", "content": ""}
        for word in re.findall(r"\s*\S+\s*", self.text):
            yield {"content": word}

    def _call(self) -> Json:
        return {
            "id": self.id.replace("chatcmpl-", "call_"),
            "type": "function",
            "function": {"name": self.tool, "arguments": "{}"},
        }


def demo_model(delay_s: float = 0.0) -> ASGIApp:
    """The model as an ASGI app: `POST /v1/chat/completions`, `GET /v1/models`, OpenAI's 404 for all else.

    `delay_s` seconds pass before each chunk of a stream, and once before a plain answer.
    """

    async def chat(request: Request) -> Response:
        try:
            asked = _parse(await _body(request))
        except _RefusedError as refused:
            return _error(str(refused), refused.status, refused.param)
        except ClientDisconnect:
            return _error("the client left before its request was complete", 400)
        reply = _reply(asked)
        if asked.get("stream") is True:
            return StreamingResponse(_events(reply, asked, delay_s), media_type="text/event-stream")
        await asyncio.sleep(delay_s)
        choice = {"index": 0, "message": reply.message, "logprobs": None, "finish_reason": reply.finish_reason}
        return _json({**_head(reply, "chat.completion"), "choices": [choice], "usage": reply.usage})

    app = Starlette(
        routes=[
            Route("/v1/chat/completions", chat, methods=["POST"]),
            Route("/v1/models", _models, methods=["GET"]),
        ],
        exception_handlers={404: _unknown, 405: _unknown},
    )
    app.router.redirect_slashes = False
    return app


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > BODY_BYTES_MAX:
            raise _RefusedError(f"the body is larger than {BODY_BYTES_MAX} bytes", status=413)
    return bytes(body)


def _parse(body: bytes) -> Json:
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _RefusedError("the body of the request is not valid JSON") from error
    if not isinstance(asked, dict):
        raise _RefusedError("the body of the request must be a JSON object")
    messages = asked.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(m, dict) for m in messages):
        raise _RefusedError("'messages' must be a non-empty array of objects", param="messages")
    return asked


def _reply(asked: Json) -> _Reply:
    canonical = json.dumps(asked, sort_keys=True).encode()
    text, tool = answer(asked["messages"]), _required_tool(asked)
    sent = sum(_estimated_tokens(text_of(message)) + 4 for message in asked["messages"])
    said = _estimated_tokens(text if tool is None else tool)
    return _Reply(
        id=f"chatcmpl-{hashlib.sha256(canonical).hexdigest()[:24]}",
        text=text,
        tool=tool,
        usage={"prompt_tokens": sent, "completion_tokens": said, "total_tokens": sent + said},
    )


def _estimated_tokens(text: str) -> int:
    """A quarter of the characters, rounded up: an estimate, since this model has no tokenizer."""
    return -(-len(text) // 4)


def _required_tool(asked: Json) -> str | None:
    """The function that `tool_choice` demands: the named one, or the first offered for "required"."""
    offered = [name for tool in asked.get("tools") or [] if (name := _function_name(tool)) is not None]
    choice = asked.get("tool_choice")
    if choice == "required":
        return offered[0] if offered else None
    named = _function_name(choice)
    return named if named in offered else None


def _function_name(tool: object) -> str | None:
    function = tool.get("function") if isinstance(tool, Mapping) else None
    name = function.get("name") if isinstance(function, Mapping) else None
    return name if isinstance(name, str) else None


async def _events(reply: _Reply, asked: Json, delay_s: float) -> AsyncIterator[bytes]:
    options = asked.get("stream_options")
    with_usage = isinstance(options, dict) and options.get("include_usage") is True
    head = _head(reply, "chat.completion.chunk")
    usage = {"usage": None} if with_usage else {}
    for delta, finish in [*((delta, None) for delta in reply.deltas()), ({}, reply.finish_reason)]:
        await asyncio.sleep(delay_s)
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        yield _event({**head, "choices": [choice], **usage})
    if with_usage:
        yield _event({**head, "choices": [], "usage": reply.usage})
    yield b"data: [DONE]\n\n"


def _head(reply: _Reply, kind: str) -> Json:
    return {"id": reply.id, "object": kind, "created": CREATED, "model": MODEL, "system_fingerprint": MODEL}


def _event(fields: Json) -> bytes:
    return b"data: " + json.dumps(fields, separators=(",", ":")).encode() + b"\n\n"


def _json(fields: Json, status: int = 200) -> Response:
    # json's \u escapes and not JSONResponse: a lone surrogate in a quoted sentence has no UTF-8
    return Response(json.dumps(fields), status_code=status, media_type="application/json")


async def _models(_: Request) -> Response:
    model = {"id": MODEL, "object": "model", "created": CREATED, "owned_by": "isocost"}
    return _json({"object": "list", "data": [model]})


async def _unknown(request: Request, _: Exception) -> Response:
    return _error(f"Unknown request URL: {request.method} {request.url.path}", 404, code="unknown_url")


def _error(message: str, status: int, param: str | None = None, code: str | None = None) -> Response:
    fields = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    return JSONResponse({"error": fields}, status_code=status)
