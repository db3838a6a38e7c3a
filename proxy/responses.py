"""/v1/responses: its `input` read as messages, for memory; and where there is none to be had.

An item that is a message, a function call or its output is a turn; reasoning items go along with the turn they belong
to. What the server holds (`previous_response_id`, a `conversation`, references, encrypted content) only the server can
read, and a request with any of it goes through as it came.
"""

from collections.abc import Sequence

import msgspec

from proxy.errors import BadRequestError
from proxy.histories import NOTHING, UNKNOWN, Histories, History, Opened
from proxy.message import MALFORMED, messages_of
from proxy.wire import ChatRequest, items_of, model_of, split_fields

_HELD_BY_SERVER = ("previous_response_id", "conversation", "prompt", "background")

_NOTHING = (b"null", b"false")

_READABLE = frozenset(
    ("message", "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output", "reasoning")
)


class _Item(msgspec.Struct):
    type: str = "message"
    role: str = ""
    call_id: str = ""
    encrypted_content: str | None = None


def parse(body: bytes, histories: Histories = UNKNOWN) -> ChatRequest:
    """Bytes to ChatRequest; without messages where memory has nothing to read. Raises BadRequestError for no JSON."""
    opened = histories.open(body, "input", split_fields)
    fields = opened.fields
    return ChatRequest(
        body,
        fields,
        _history(opened, histories),
        model_of(fields),
        fields.get("stream") == b"true",
        field="input",
    )


def fault(items: Sequence[bytes]) -> str:
    """What an upstream would refuse in these items, "" if nothing: an output whose call is not before it, a call in
    mid-list that has no output."""
    called: set[str] = set()
    for place, raw in enumerate(items):
        try:
            item = msgspec.json.decode(raw, type=_Item)
        except MALFORMED:
            return f"input[{place}] is no item"
        if item.type.endswith("_output"):
            if item.call_id not in called:
                return f"input[{place}] is the output of a call that is not before it"
            called.discard(item.call_id)
        elif item.type.endswith("_call"):
            called.add(item.call_id)
        elif item.role == "user" and called:
            return f"input[{place}] comes while {len(called)} calls before it have no output"
    return "" if items else "there are no items"


def _history(opened: Opened, histories: Histories) -> History:
    fields = opened.fields
    given = fields.get("input", b"null")
    if any(fields.get(name, b"null") not in _NOTHING for name in _HELD_BY_SERVER):
        return NOTHING
    try:
        if given.startswith(b'"'):
            text = msgspec.json.decode(given, type=str)
            return History(messages_of([msgspec.json.encode({"role": "user", "content": text})]))
        return histories.read(opened, _readable_items) if given.startswith(b"[") else NOTHING
    except (BadRequestError, *MALFORMED):  # the upstream's to judge
        return NOTHING


def _readable_items(raw: bytes) -> list[bytes]:
    items = items_of(raw, "input")
    if not all(map(_is_readable, items)):
        raise BadRequestError("there is an item that only its server can read")
    return items


def _is_readable(raw: bytes) -> bool:
    item = msgspec.json.decode(raw, type=_Item)
    return item.type in _READABLE and item.encrypted_content is None
