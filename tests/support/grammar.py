"""The grammar of an OpenAI message list: a validator, and random conversations that keep to it."""

import json
from collections.abc import Iterable
from typing import Any

from hypothesis import strategies as st

from proxy.message import Message
from tests.support.messages import asks, replies, said


def grammar_faults(messages: Iterable[bytes]) -> list[str]:
    """What an upstream would refuse: a reply that nobody asked for, a call without its reply, no role.

    Calls may stay open at the very end only.
    """
    faults: list[str] = []
    open_calls: set[str] = set()
    for place, raw in enumerate(messages):
        message: dict[str, Any] = json.loads(raw)
        role = message.get("role")
        if role == "tool":
            if message.get("tool_call_id") not in open_calls:
                faults.append(f"{place}: a reply that nobody asked for")
            open_calls.discard(str(message.get("tool_call_id")))
        elif role in ("user", "assistant") and open_calls:
            faults.append(f"{place}: {role} speaks while {sorted(open_calls)} are open")
            open_calls = set()
        if role not in ("system", "developer", "user", "assistant", "tool"):
            faults.append(f"{place}: no such role: {role}")
        open_calls |= {call["id"] for call in message.get("tool_calls") or ()}
    return faults


@st.composite
def conversations(draw: st.DrawFn, *, exchanges_max: int = 12) -> list[Message]:
    """A valid request: system messages anywhere, tool loops, an open one at the end, text and parts."""
    messages = [said("system", "Be brief.")] if draw(st.booleans()) else []
    for exchange in range(draw(st.integers(1, exchanges_max))):
        messages += draw(_asides())
        text = draw(st.text(max_size=20)) + f" question {exchange}"
        content: Any = [{"type": "text", "text": text}] if draw(st.booleans()) else text
        messages.append(said("user", content))
        for step in range(draw(st.integers(0, 2))):
            ids = [f"call {exchange} {step} {index}" for index in range(draw(st.integers(1, 3)))]
            messages.append(asks(*ids))
            messages += [replies(id_) for id_ in draw(st.permutations(ids))]
        messages.append(said("assistant", f"answer {exchange}"))
    last_answer = len(messages) - 1
    return messages[:last_answer] if draw(st.booleans()) else messages


def _asides() -> st.SearchStrategy[list[Message]]:
    return st.lists(st.sampled_from(["It is noon.", "Speak Dutch."]).map(_developer), max_size=1)


def _developer(text: str) -> Message:
    return said("developer", text)
