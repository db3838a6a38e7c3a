"""Answers of an upstream, and a collector that has read one along."""

import json
from typing import Any

from proxy.collect import Collector
from proxy.message import Message

SSE, JSON = "text/event-stream", "application/json"
MIB = 2**20


class Heard(Collector):
    """With its only turn at hand."""

    def message(self) -> Message | None:
        """None if there is nothing to learn."""
        turns = self.turns()
        assert len(turns) < 2
        return turns[0] if turns else None


def collected(body: bytes, kind: str = SSE, encoding: str = "", *, size: int = 0, bytes_max: int = MIB) -> Heard:
    """A collector that was fed `body` in pieces of `size` bytes (0: in one) and told its end."""
    headers = [(b"content-type", kind.encode()), (b"content-encoding", encoding.encode())]
    collector = Heard(headers, bytes_max=bytes_max)
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
