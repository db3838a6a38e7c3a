"""What upstreams accept as a list of messages, and what counts as a sound rewriting of a client's list. Pure.

An upstream that refuses a list answers 400, and an agent's whole session is lost with it. The rules are those that
cutting a list can break, plus the shape they need: who answers which call, and that every message says something.
OpenAI refuses by them with these words: "messages with role 'tool' must be a response to a preceding message with
'tool_calls'", "tool_call_ids did not have response messages", "Duplicate value for 'tool_call_id'", "messages with
role 'function' must have a 'name'"; llama.cpp says "Expected 'content' or 'tool_calls'".

Not looked at is what only the client decides and rewriting carries along: arguments that are no JSON, `tool_calls: []`
(OpenAI refuses it, others take it), and what single chat templates ask for: that user and assistant alternate, that
there is one system message, that no two assistant messages end the list (llama.cpp). The window is an end of the
client's own list and begins with a user message, so none of this gets worse by cutting.
"""

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from proxy.message import MALFORMED, SYSTEM_ROLES

_ROLES = SYSTEM_ROLES | {"user", "assistant", "tool", "function"}

_SPEAKERS = ("user", "assistant", "system")

_ALSO_SAYS = ("tool_calls", "function_call", "refusal", "audio")
"""What an assistant may say instead of content. Reasoning is not enough: OpenAI and older llama.cpp refuse it alone."""


_FRONT_MAX = 2
"""So many turns before a window of its own a client may keep: a summary of what it dropped, and its acknowledgement."""


class _Role(msgspec.Struct):
    role: str = ""


_decode_role = msgspec.json.Decoder(_Role).decode


def fault(messages: Sequence[bytes]) -> str:
    """What an upstream would refuse in these raw JSON messages, and where; "" if they are well formed.

    Calls of the last message may stay open; once one of them is answered all have to be. No text of a message is
    repeated. O(bytes).
    """
    called: set[str] = set()
    answered: set[str] = set()
    function = None
    for place, message in enumerate(_values(messages)):
        if not called and function is None and _is_plain(message):
            continue
        found = _shape_fault(message)
        if not found and message["role"] == "tool":
            found = _reply_fault(message["tool_call_id"], called, answered)
            answered.add(message["tool_call_id"])
        elif not found:
            found = _turn_fault(message, len(called) - len(answered), function)
            called, answered = set(_call_ids(message)), set()
            function = _called_function(message)
        if found:
            return f"messages[{place}] {found}"
    if answered and len(answered) < len(called):
        return f"messages end while {len(called) - len(answered)} of {len(called)} tool calls have no reply"
    return "" if messages else "there are no messages"


def fault_of_rewrite(sent: Sequence[bytes], forwarded: Sequence[bytes]) -> str:
    """What is unsound about forwarding `forwarded` for the client's `sent`, both raw JSON messages; "" if nothing is.

    Sound is: well formed if `sent` is; an end of `sent`, byte for byte, cut at a user message, that holds the last
    one and all after it, where only that last one may have something after its own content. Before it stand the
    system and developer messages of what is cut, in order, byte for byte, and maybe the front that a client keeps
    before a window of its own (its first turns); the last system message may have something after its content, or one
    system message of ours comes next. Turns from the log (a thin client's) may follow only if no turn is cut. O(bytes).
    """
    if list(sent) == list(forwarded):
        return ""
    found = fault(forwarded)
    if found and not fault(sent):
        return f"forwarded {found}"
    roles = [_role(raw) for raw in sent]
    asked = max((place for place, role in enumerate(roles) if role == "user"), default=-1)
    turns = [place for place, role in enumerate(roles) if role not in SYSTEM_ROLES]
    first = len(sent) - _kept(sent, forwarded, asked)
    is_whole = not turns or first <= turns[0]
    if not is_whole and first > asked:
        return _end_fault(first - 1, asked)
    # What happens to be the same before the window belongs to the head: system messages, turns of the client's front.
    first = next((place for place in turns if place >= first and (is_whole or roles[place] == "user")), len(sent))
    head = forwarded[: len(forwarded) - len(sent) + first]
    return _head_fault(sent[:first], roles, head, is_whole=is_whole)


def _is_plain(message: Any) -> bool:
    """What nearly every message is: a role and a text. After no call there is nothing more to look at."""
    return (
        isinstance(message, dict)
        and len(message) == 2
        and message.get("role") in _SPEAKERS
        and isinstance(message.get("content"), str)
    )


def _shape_fault(message: Any) -> str:
    """What is wrong with a message by itself; with "" the fields that pair it with others are there."""
    if not isinstance(message, dict):
        return "is no JSON object"
    role = message.get("role")
    if not isinstance(role, str) or role not in _ROLES:
        return "has no known role"
    if role == "tool" and not isinstance(message.get("tool_call_id"), str):
        return "is a tool's reply without a tool_call_id"
    if role == "function" and not isinstance(message.get("name"), str):
        return "is a function's reply without a name"
    return _content_fault(role, message) or (_calls_fault(message) if role == "assistant" else "")


def _content_fault(role: str, message: dict[str, Any]) -> str:
    content = message.get("content")
    if content is None:
        is_said = role == "function" or (role == "assistant" and any(message.get(name) for name in _ALSO_SAYS))
        return "" if is_said else "has no content"
    if isinstance(content, list):
        is_typed = all(isinstance(part, dict) and isinstance(part.get("type"), str) for part in content)
        return "" if content and is_typed else "has an empty list of parts, or a part without a type"
    return "" if isinstance(content, str) else "has content that is neither text nor a list of parts"


def _calls_fault(message: dict[str, Any]) -> str:
    calls = message.get("tool_calls") or []
    if not isinstance(calls, list) or not all(isinstance(call, dict) for call in calls):
        return "has tool_calls that are no list of objects"
    ids = [call.get("id") for call in calls]
    if not all(isinstance(id_, str) and id_ for id_ in ids):
        return "has a tool call without an id"
    return "" if len(set(ids)) == len(ids) else "has two tool calls with the same id"


def _reply_fault(id_: str, called: set[str], answered: set[str]) -> str:
    if id_ not in called:
        return "replies to a tool call that the assistant's message before it does not have"
    return "replies to a tool call for the second time" if id_ in answered else ""


def _turn_fault(message: dict[str, Any], open_calls: int, function: object) -> str:
    """Of a message that is no tool's reply, after a message that left so many calls open and called `function`."""
    if open_calls:
        return f"comes while {open_calls} tool calls before it have no reply"
    if message["role"] == "function" and message["name"] != function:
        return "is a function's reply, and the message before it does not call that function"
    return ""


def _call_ids(message: dict[str, Any]) -> list[str]:
    return [call["id"] for call in message.get("tool_calls") or ()] if message["role"] == "assistant" else []


def _called_function(message: dict[str, Any]) -> object:
    call = message.get("function_call") if message["role"] == "assistant" else None
    return call.get("name") if isinstance(call, dict) else None


def _kept(sent: Sequence[bytes], forwarded: Sequence[bytes], asked: int) -> int:
    """How many messages at the end of both are the same, the one at `asked` of `sent` up to what was put after it."""
    for kept in range(min(len(sent), len(forwarded))):
        own, new = sent[-1 - kept], forwarded[-1 - kept]
        if own != new and not (len(sent) - 1 - kept == asked and _is_continued(own, new)):
            return kept
    return min(len(sent), len(forwarded))


def _end_fault(place: int, asked: int) -> str:
    """Of a list whose message at `place`, not before the one at `asked`, is the last that is not kept."""
    if asked < 0:
        return f"messages[{place}] is cut, changed or out of place, and no user message comes after it"
    if place == asked:
        return f"the last user message, messages[{asked}], is not there with its own content first"
    return f"messages[{place}] stands after the last user message and is not forwarded as it came"


def _head_fault(cut: Sequence[bytes], roles: Sequence[str], head: Sequence[bytes], *, is_whole: bool) -> str:
    """Of what stands before the kept end, where the client had `cut`, whose roles come first in `roles`.

    The client's own front is tried from none to its longest; the fault told is the one without it.
    """
    systems = [place for place in range(len(cut)) if roles[place] in SYSTEM_ROLES]
    turns = [place for place in range(len(cut)) if roles[place] not in SYSTEM_ROLES]
    told = ""
    for size in range(min(_FRONT_MAX, len(turns)) + 1):
        pinned = sorted(systems + turns[:size])
        last = pinned.index(systems[-1]) if systems else -1
        found = _pinned_fault([cut[place] for place in pinned], last, head, is_whole=is_whole)
        if not found:
            return ""
        told = told or found
    return told


def _pinned_fault(pinned: Sequence[bytes], last: int, head: Sequence[bytes], *, is_whole: bool) -> str:
    """Of a head that is to begin with `pinned`, where the one at `last` may have something after its content."""
    differ = [place for place, (before, after) in enumerate(zip(pinned, head, strict=False)) if before != after]
    is_continued = differ == [last] and _is_continued(pinned[last], head[last])
    if len(head) < len(pinned) or (differ and not is_continued):
        return "a system message of the client's is missing, changed or out of place"
    roles = [_role(raw) for raw in head[len(pinned) :]]
    if roles[:1] == ["system"] and not is_continued:
        roles = roles[1:]
    if not SYSTEM_ROLES.isdisjoint(roles):
        return "there is more than one system message that the client did not send, or it is out of place"
    return "there are turns before the window that the client did not send there" if roles and not is_whole else ""


def _is_continued(own: bytes, new: bytes) -> bool:
    """Whether `new` is the message `own` with nothing but something after its content, as JSON."""
    before, after = _value(own), _value(new)
    if not isinstance(before, dict) or not isinstance(after, dict):
        return False
    content, longer = before.pop("content", None), after.pop("content", None)
    if _canonical(before) != _canonical(after):
        return False
    if isinstance(content, list):
        return isinstance(longer, list) and _canonical(longer[: len(content)]) == _canonical(content)
    return isinstance(longer, str) and (content is None or (isinstance(content, str) and longer.startswith(content)))


def _role(raw: bytes) -> str:
    try:
        return _decode_role(raw).role
    except MALFORMED:
        message = _value(raw)
        return str(message.get("role")) if isinstance(message, dict) else ""


def _values(messages: Sequence[bytes]) -> list[Any]:
    try:
        return list(map(msgspec.json.decode, messages))
    except MALFORMED:
        return list(map(_value, messages))


def _value(raw: bytes) -> Any:
    """A message's JSON as Python values; None if it is none. What only the standard library reads is read by it."""
    try:
        return msgspec.json.decode(raw)
    except MALFORMED:
        try:
            return json.loads(raw, parse_constant=str)  # NaN as text, which is equal to itself
        except (ValueError, RecursionError):
            return None


def _canonical(value: Any) -> bytes:
    """As JSON that tells 1, 1.0 and true apart, which Python's == does not."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:  # a lone surrogate: only escapes can carry it
        return json.dumps(value).encode()
