"""Reads an answer along while it is relayed: the assistant's message, the usage, whether it came to its end.

It cannot raise and it keeps no more than a bounded amount: what it does not understand is relayed all the same and
learned from the client's next request instead.
"""

import zlib
from typing import Any

import msgspec

from proxy.errors import ProxyError
from proxy.headers import Headers, header
from proxy.message import MALFORMED, Message, as_resent, items_as_resent, read_message
from proxy.sse import EventReader

_LAST_EVENTS = ("response.completed", "response.incomplete", "response.failed")
"""Of a stream of /v1/responses: they hold the whole response."""

_BLOCK_BYTES = 2**14

_DEFLATED = (b"gzip", b"x-gzip", b"deflate")

READABLE_ENCODINGS = (b"gzip", b"deflate", b"identity")


class Collector:
    """Feed it the body's bytes as they came; then ask for `turns` and `usage`. Names of headers in lower case."""

    def __init__(self, headers: Headers, *, bytes_max: int) -> None:
        encoding = header(headers, b"content-encoding").strip().lower()
        self._is_stream = header(headers, b"content-type").lower().startswith(b"text/event-stream")
        self._inflater = zlib.decompressobj(wbits=47) if encoding in _DEFLATED else None
        self._readable = self._inflater is not None or encoding in (b"", b"identity")
        self._bytes_max = bytes_max
        self._read = 0
        self._events = EventReader()
        self._body: list[bytes] = []
        self._answer = _Answer()
        self._unread: list[bytes] = []
        self._unread_bytes = 0
        self._complete = False

    @property
    def is_stream(self) -> bool:
        """The answer is a stream of server-sent events."""
        return self._is_stream

    def feed(self, chunk: bytes) -> None:
        """Read a chunk along; gives up silently past the cap or at what it cannot read."""
        if not self._readable:
            return
        try:
            plain = chunk if self._inflater is None else self._inflate(self._inflater, chunk)
        except zlib.error:
            self._readable = False
            return
        self._read += len(plain)
        if self._read > self._bytes_max:
            self._readable = False
            self._body.clear()
            self._unread.clear()
        elif self._is_stream:
            self._unread.append(plain)
            self._unread_bytes += len(plain)
            if self._unread_bytes > _BLOCK_BYTES:
                self._read_on()
        else:
            self._body.append(plain)

    def _inflate(self, inflater: "zlib._Decompress", chunk: bytes) -> bytes:
        """At most one byte over the cap; what follows the end of the compressed data would only be hoarded."""
        return b"" if inflater.eof else inflater.decompress(chunk, self._bytes_max - self._read + 1)

    @property
    def complete(self) -> bool:
        """The answer came to its end."""
        self._read_on()
        return self._complete

    def end(self) -> None:
        """The upstream closed the answer in order."""
        self._read_on()
        if not self._readable:
            return
        if self._is_stream:
            for data in self._events.end():
                self._event(data)
            return
        fields = _object(b"".join(self._body))
        self._body.clear()
        self._complete = fields is not None
        if fields is not None:
            self._answer.take_whole(fields)

    def turns(self) -> tuple[Message, ...]:
        """The answer as turns of the transcript; none if there is nothing to learn (n > 1, an error).

        Of one that was cut only what was said: half a tool call could never be answered.
        """
        self._read_on()
        if not self._readable or self._answer.choices != 1:
            return ()
        if not self._complete and not self._answer.drop_calls():
            return ()
        try:
            return tuple(map(read_message, self._answer.resent()))
        except (ProxyError, RecursionError):
            return ()

    @property
    def usage(self) -> dict[str, Any]:
        """What the upstream reported; {} if it did not."""
        self._read_on()
        return self._answer.usage

    def _read_on(self) -> None:
        """What was heard of a stream, as events: some of them at once, and none while the client waits for its own."""
        unread, self._unread, self._unread_bytes = b"".join(self._unread), [], 0
        if unread and self._readable:
            for data in self._events.feed(unread):
                self._event(data)

    def _event(self, data: bytes) -> None:
        if data.strip() == b"[DONE]":
            self._complete = True
            return
        fields = _object(data)
        if fields is not None and isinstance(fields.get("response"), dict):
            if fields.get("type") in _LAST_EVENTS:
                self._answer.take_whole(fields["response"])
                self._complete = True
        elif fields is not None:
            self._answer.take_chunk(fields)
            self._complete = self._complete or self._answer.finished


class _Answer:
    """The assistant's message, put together from deltas or taken whole."""

    def __init__(self) -> None:
        self.usage: dict[str, Any] = {}
        self._text: list[str] = []
        self._refusal: list[str] = []
        self._calls: dict[int, dict[str, Any]] = {}
        self._whole: dict[str, Any] | None = None
        self._items: list[bytes] | None = None
        self._indexes: set[int] = set()
        self.finished = False

    @property
    def choices(self) -> int:
        return len(self._indexes)

    def resent(self) -> list[bytes]:
        """What a client would send back of it."""
        return [as_resent(self._message())] if self._items is None else self._items

    def drop_calls(self) -> bool:
        """Whether anything is left then."""
        self._calls.clear()
        return any(self._text) or any(self._refusal) or self._whole is not None or self._items is not None

    def _message(self) -> dict[str, Any]:
        if self._whole is not None:
            return self._whole
        calls = [_joined(self._calls[index]) for index in sorted(self._calls)]
        return {"content": "".join(self._text), "refusal": "".join(self._refusal), "tool_calls": calls}

    def take_whole(self, fields: dict[str, Any]) -> None:
        self._take_usage(fields)
        if isinstance(fields.get("output"), list):
            self._items = items_as_resent(fields["output"]) if fields.get("status") != "failed" else []
            self._indexes = {0}
        for place, choice in enumerate(_objects(fields.get("choices"))):
            self._indexes.add(place)
            if isinstance(choice.get("message"), dict) and self._whole is None:
                self._whole = choice["message"]

    def take_chunk(self, fields: dict[str, Any]) -> None:
        self._take_usage(fields)
        for choice in _objects(fields.get("choices")):
            delta = choice.get("delta")
            index = choice.get("index", 0)
            if not isinstance(delta, dict) or not isinstance(index, int):
                continue
            self._indexes.add(index)
            self.finished = self.finished or choice.get("finish_reason") is not None
            if index == min(self._indexes):
                self._take_delta(delta)

    def _take_delta(self, delta: dict[str, Any]) -> None:
        for name, into in (("content", self._text), ("refusal", self._refusal)):
            if isinstance(delta.get(name), str):
                into.append(delta[name])
        for call in _objects(delta.get("tool_calls")):
            self._take_call(call)

    def _take_call(self, delta: dict[str, Any]) -> None:
        index = delta.get("index", len(self._calls))
        if not isinstance(index, int):
            return
        call = self._calls.setdefault(index, {"id": "", "type": "function"})
        for name in ("id", "type"):
            if isinstance(delta.get(name), str) and delta[name]:
                call[name] = delta[name]
        for kind in ("function", "custom"):
            if isinstance(delta.get(kind), dict):
                _append_strings(call.setdefault(kind, {}), delta[kind])  # a list each: joined once, at the end

    def _take_usage(self, fields: dict[str, Any]) -> None:
        if isinstance(fields.get("usage"), dict):
            self.usage = fields["usage"]


def _append_strings(into: dict[str, list[str]], delta: dict[str, Any]) -> None:
    for name, value in delta.items():
        if isinstance(value, str) and (name, into.get(name)) != ("name", [value]):  # some servers repeat the name
            into.setdefault(name, []).append(value)


def _joined(call: dict[str, Any]) -> dict[str, Any]:
    """A tool call with the pieces of its strings put together; some servers leave out empty arguments."""
    parts = {
        kind: {name: "".join(pieces) for name, pieces in call[kind].items()}
        for kind in ("function", "custom")
        if kind in call
    }
    if "function" in parts and not parts["function"].get("arguments"):
        parts["function"]["arguments"] = "{}"
    return call | parts


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _object(data: bytes) -> dict[str, Any] | None:
    try:
        decoded = msgspec.json.decode(data)
    except MALFORMED:
        return None
    return decoded if isinstance(decoded, dict) else None
