"""Who says which conversation a request belongs to: a header of ours, a field of the body, or its content alone.

| said by | the request's turns | may send only what is new |
|---|---|---|
| `x-isocost-conversation` | follow what is stored under the id | yes |
| `metadata.conversation_id` | follow what is stored under the id | no: such clients resend |
| `prompt_cache_key` | are found by their prefix, apart from those under another key | no |
| nothing | are found by their prefix | no |

A cache key names no conversation: many clients set one for all that share a system prompt. So it only separates.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from proxy.message import MALFORMED

ID_CHARS_MAX = 512
"""A longer id in the body is no id to us; in our own header it is an error."""


class _Metadata(msgspec.Struct):
    conversation_id: str = ""


@dataclass(frozen=True, slots=True)
class Identity:
    """`scope` goes into every digest; `names`: it is a conversation; `resends`: its client sends all that it wants."""

    scope: str = ""
    names: bool = False
    resends: bool = True


ANONYMOUS = Identity()


def identity_of(header: str, fields: Mapping[str, bytes]) -> Identity:
    """The strongest that a request gives: `header` is x-isocost-conversation's value, `fields` the body's raw JSON."""
    if header:
        return Identity(header, names=True, resends=False)
    named = _text(fields.get("metadata"))
    if named:
        return Identity(named, names=True)
    key = _string(fields.get("prompt_cache_key"))
    return Identity(f"prompt_cache_key {key}") if key else ANONYMOUS


def _text(metadata: bytes | None) -> str:
    if metadata is None:
        return ""
    try:
        found = msgspec.json.decode(metadata, type=_Metadata).conversation_id
    except MALFORMED:
        return ""
    return found if len(found) <= ID_CHARS_MAX else ""


def _string(field: bytes | None) -> str:
    if field is None:
        return ""
    try:
        found = msgspec.json.decode(field, type=str)
    except MALFORMED:
        return ""
    return found if len(found) <= ID_CHARS_MAX else ""
