"""Answers of an upstream, and a collector that has read one along."""

import json
from typing import Any

from proxy.collect import Collector

SSE, JSON = "text/event-stream", "application/json"
MIB = 2**20


def collected(body: bytes, kind: str = SSE, encoding: str = "", *, size: int = 0, bytes_max: int = MIB) -> Collector:
    """A collector that was fed `body` in pieces of `size` bytes (0: in one) and told its end."""
    collector = Collector(kind, encoding, bytes_max=bytes_max)
    for at in range(0, len(body), size or max(len(body), 1)):
        collector.feed(body[at : at + (size or len(body))])
    collector.end()
    return collector


def stream(*deltas: dict[str, Any], done: bool = True, finish: str | None = "stop") -> bytes:
    """A stream of these deltas, with a finish reason and [DONE]."""
    events: list[dict[str, Any]] = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    if finish:
        events.append({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    return b"".join(b"data: %s\n\n" % json.dumps(event).encode() for event in events) + b"data: [DONE]\n\n" * done


def whole(message: dict[str, Any]) -> bytes:
    """A plain answer."""
    return json.dumps({"choices": [{"index": 0, "message": message}]}).encode()


def call(index: int, **fields: Any) -> dict[str, Any]:
    """A delta of one tool call."""
    return {"tool_calls": [{"index": index, **fields}]}
