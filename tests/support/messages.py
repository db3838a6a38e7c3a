"""Messages and lineages made by hand."""

import json
from collections.abc import Sequence
from typing import Any

from proxy.identity import ANONYMOUS, Identity
from proxy.lineage import Head, Lineage, trace
from proxy.message import Message, read_message

TENANT = b"tenant"


def said(role: str, content: Any = None, **more: Any) -> Message:
    """A message of this role and content."""
    return read_message(json.dumps({"role": role, "content": content, **more}).encode())


def chat(*texts: str) -> list[Message]:
    """User and assistant in turn, the user first."""
    return [said("assistant" if place % 2 else "user", text) for place, text in enumerate(texts)]


def asks(*ids: str) -> Message:
    """An assistant's message that asks for these tool calls."""
    calls = [{"id": id_, "type": "function", "function": {"name": "look", "arguments": "{}"}} for id_ in ids]
    return said("assistant", None, tool_calls=calls)


def replies(id_: str, content: str = "42") -> Message:
    """A tool's reply."""
    return said("tool", content, tool_call_id=id_)


def traced(messages: Sequence[Message], conversation: str = "", tenant: bytes = TENANT) -> Lineage:
    """The lineage of these messages; `conversation` as if named by our own header."""
    identity = Identity(conversation, names=True, resends=False) if conversation else ANONYMOUS
    return trace(messages, tenant, identity)


def heads_of(lineage: Lineage) -> list[Head]:
    """What a store would hold after learning the whole lineage."""
    return [*lineage.stored, *(Head(turn.role, turn.fingerprint, turn.digest, 5) for turn in lineage.turns)]
