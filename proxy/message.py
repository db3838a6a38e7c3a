"""One message: raw JSON to what memory makes of it, and back. The client's own bytes are kept beside."""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from memory_core.transcript import digest_of
from proxy.errors import BadRequestError

SYSTEM_ROLES = frozenset({"system", "developer"})

NO_TURNS = SYSTEM_ROLES | {"reasoning"}
"""What is no part of the chain: system messages, and reasoning, which only goes along with its answer."""

_ITEM_ROLES = {
    "function_call": "assistant",
    "custom_tool_call": "assistant",
    "function_call_output": "tool",
    "custom_tool_call_output": "tool",
    "reasoning": "reasoning",
}
"""Items of /v1/responses that have a type and no role, and who says them."""

_TEXTS = ("text", "input_text", "output_text")
"""Types of parts that are text."""

_CACHED_BYTES_MAX = 2_048
"""Longer messages are read each time: a full cache holds at most 16,384 of these, typically some 20 MB."""

_encode_sorted = msgspec.json.Encoder(order="sorted").encode

MALFORMED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes that are no JSON to it: wrong syntax, wrong UTF-8, nested too deeply."""


class Message(msgspec.Struct, frozen=True, gc=False):
    """One message: the client's bytes, and what memory makes of them.

    `text` is what can be read in it, `attachments` counts the parts that cannot (images, audio, files);
    `fingerprint` is the same for the same content however it is formatted.
    """

    raw: bytes
    role: str
    text: str
    attachments: int
    fingerprint: bytes

    @property
    def is_turn(self) -> bool:
        """Part of the chain: no system message, and no reasoning, which only goes along with its answer."""
        return self.role not in NO_TURNS

    @property
    def is_system(self) -> bool:
        """System and developer messages: passed through, never part of the chain."""
        return self.role in SYSTEM_ROLES


def with_text_after(raw: bytes, text: str) -> bytes:
    """A message with `text` after its own: as text, or as one more part where the content is parts."""
    message = _decode_message(raw)
    content = message.get("content")
    if isinstance(content, list):
        is_item = any(isinstance(part, dict) and str(part.get("type")).startswith("input_") for part in content)
        message["content"] = [*content, {"type": "input_text" if is_item else "text", "text": text}]
    else:
        message["content"] = f"{content}\n\n{text}" if content else text
    return encode(message)


def new_message(role: str, content: str) -> bytes:
    """A message of our own."""
    return msgspec.json.encode({"role": role, "content": content})


def read_message(raw: bytes) -> Message:
    """A message from its JSON, as a client or an upstream wrote it; raises BadRequestError if it is none."""
    return _read(raw)


def as_resent(answer: Mapping[str, Any]) -> bytes:
    """An upstream's answer in the form in which clients send it back: what is empty is left out."""
    kept = {name: value for name, value in answer.items() if name in _CANONICAL and value not in _EMPTY}
    return encode({"role": "assistant", "content": None if kept else "", **kept})


def items_as_resent(output: Any) -> list[bytes]:
    """The items of a response in the form in which they can be sent back to any server: without its own ids."""
    kept = []
    for item in output if isinstance(output, list) else ():
        if isinstance(item, dict) and item.get("type") == "message":
            parts = [part for part in _parts(item.get("content")) if isinstance(part, dict)]
            said = [{name: part[name] for name in ("type", "text", "refusal") if name in part} for part in parts]
            kept.append(encode({"type": "message", "role": "assistant", "content": said}))
        elif isinstance(item, dict) and _ITEM_ROLES.get(str(item.get("type"))) == "assistant":
            names = ("type", "call_id", "name", "arguments", "input")
            kept.append(encode({name: item[name] for name in names if name in item}))
    return kept


def messages_of(items: Sequence[bytes], first: int = 0) -> tuple[Message, ...]:
    """The messages of a list from the place `first` on; raises BadRequestError that says which cannot be read."""
    try:
        return tuple([_read_cached(raw) if len(raw) <= _CACHED_BYTES_MAX else _read(raw) for raw in items])
    except BadRequestError:
        return tuple([_read(raw, f"messages[{place}]") for place, raw in enumerate(items, first)])


@lru_cache(maxsize=16_384)
def _read_cached(raw: bytes) -> Message:
    """A resent history is read once: a turn said before costs a look-up, some 2 µs instead of 25."""
    return _read(raw)


def _read(raw: bytes, param: str = "messages") -> Message:
    fields = _decode_message(raw, param)
    return _plain_text(raw, fields) or _structured(raw, fields, param)


def _plain_text(raw: bytes, fields: Mapping[str, Any]) -> Message | None:
    """What nearly every message is, read in a third of the time: a role and a text, nothing else."""
    role, content = fields.get("role"), fields.get("content")
    if len(fields) != 2 or not isinstance(role, str) or not isinstance(content, str) or not role.isascii():
        return None
    text = _readable(content)
    said = text.strip()
    if role == "assistant":
        text, said = _unthought(text), _unthought(said)
    fingerprint = digest_of(role.encode(), _encode_sorted({"content": said} if said else {}))
    return Message(raw, role, text, 0, fingerprint)


def _structured(raw: bytes, fields: Mapping[str, Any], param: str) -> Message:
    names: tuple[str, ...] = _CANONICAL
    role = fields.get("role")
    if role is None and fields.get("type") in _ITEM_ROLES:
        names, role = _CANONICAL_ITEM, _ITEM_ROLES[fields["type"]]
    if not isinstance(role, str):
        raise BadRequestError(f"{param} has no 'role'", param=f"{param}.role")
    role = _readable(role)
    try:
        text = _readable(_text_of(fields))
        said = {name: _plain(_essence(name, fields[name])) for name in names if name in fields}
        if role == "assistant":
            said["content"] = _unthought(said.get("content"))
            text = _unthought(text)  # as it is fingerprinted, or one count would stand for both forms
        canonical = {name: value for name, value in said.items() if value not in _EMPTY}
        fingerprint = digest_of(role.encode(), _encode_sorted(canonical))
    except RecursionError:
        raise BadRequestError(f"{param} is nested too deeply", param=param) from None
    return Message(raw, role, text, _attachments(fields.get("content")), fingerprint)


_CANONICAL = ("content", "tool_calls", "tool_call_id", "name", "function_call", "refusal", "audio")
"""What a message says. Reasoning is left out: clients strip it or not, and it must not fork a conversation."""

_CANONICAL_ITEM = ("call_id", "name", "arguments", "input", "output")

_EMPTY: tuple[object, ...] = (None, "", [])

_THOUGHT = ("<think>", "</think>")

_ESSENTIAL = {
    "tool_calls": ("id", "type", "function", "custom"),
    "function": ("name", "arguments"),
    "audio": ("id",),
}
"""What every client sends back of these; some add an index or parsed arguments, few return the sound itself."""


def _decode_message(raw: bytes, param: str = "messages") -> dict[str, Any]:
    try:
        decoded = msgspec.json.decode(raw)
    except MALFORMED:
        decoded = _decode_leniently(raw, param)
    if not isinstance(decoded, dict):
        raise BadRequestError(f"{param} must be an object", param=param)
    return decoded


def _decode_leniently(raw: bytes, param: str) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        raise BadRequestError(f"{param} is not valid JSON", param=param) from None


def encode(value: Mapping[str, Any] | str) -> bytes:
    """To JSON, lone surrogates and all."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:  # a lone surrogate: only escapes can carry it
        return json.dumps(value).encode()


def _unthought(content: Any) -> Any:
    """An answer without the reasoning that some models write in front of it: clients strip it or not."""
    if isinstance(content, str) and content.startswith(_THOUGHT[0]) and _THOUGHT[1] in content:
        return content.partition(_THOUGHT[1])[2].strip()
    return content


def _essence(name: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_essence(name, item) for item in value]
    if name in _ESSENTIAL and isinstance(value, dict):
        return {key: _essence(key, item) for key, item in value.items() if key in _ESSENTIAL[name]}
    return _arguments(value) if name == "arguments" and isinstance(value, str) else value


def _arguments(text: str) -> Any:
    """A call's arguments as what they mean: many clients write the JSON of an answer anew."""
    try:
        return _plain(msgspec.json.decode(text))
    except (*MALFORMED, UnicodeEncodeError):
        return text


def _plain(value: Any) -> Any:
    """A value in canonical form: text parts joined to text, text trimmed and readable."""
    if isinstance(value, str):
        return _readable(value).strip()
    if isinstance(value, list):
        if value and all(isinstance(part, dict) and part.get("type") in _TEXTS for part in value):
            return _plain("\n".join(str(part.get("text", "")) for part in value))
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {_readable(str(name)): _plain(item) for name, item in value.items()}
    return value


def _text_of(fields: Mapping[str, Any]) -> str:
    """All that can be read in a message; what cannot is named in brackets."""
    pieces = [_part_text(part) for part in _parts(fields.get("content"))]
    for call in _parts(fields.get("tool_calls")):
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict):
            pieces.append(f"{function.get('name')}({function.get('arguments')})")
    if "role" not in fields and fields.get("type") in _ITEM_ROLES:
        pieces += [_part_text(part) for part in _parts(fields.get("output"))]
        if "name" in fields:
            pieces.append(f"{fields['name']}({fields.get('arguments', fields.get('input'))})")
    return "\n".join(piece for piece in pieces if piece)


def _attachments(content: Any) -> int:
    readable = (*_TEXTS, "refusal")
    return sum(isinstance(part, dict) and part.get("type") not in readable for part in _parts(content))


def _parts(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _part_text(part: Any) -> str:
    if isinstance(part, str):
        return part
    if not isinstance(part, dict):
        return ""
    for name in ("text", "refusal"):
        if isinstance(part.get(name), str):
            return str(part[name])
    return f"[{part.get('type', 'part')}]"


def _readable(text: str) -> str:
    """Text that UTF-8 can carry: a lone surrogate becomes U+FFFD, nothing else changes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
