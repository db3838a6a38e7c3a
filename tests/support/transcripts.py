"""Chats as clients send them, made at random: single transcripts, and sessions of requests.

A message is made from one drawn number, whose digits choose its shape and its text: so a session of 30 requests is
drawn in milliseconds, and still shrinks, as 0 chooses the simplest of each.
"""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st

from tests.support.texts import OFTEN, SIZES, chosen, text_of

Msg = dict[str, Any]
Draw = st.DrawFn


@dataclass(frozen=True, slots=True)
class Request:
    """One request of a session: what is sent, to which of two replicas, which may restart first, after what wait."""

    messages: tuple[Msg, ...]
    replica: int = 0
    restart_before: bool = False
    wait_s: float = 0.0

    @property
    def raws(self) -> list[bytes]:
        """The messages as they stand in the body."""
        return raws(self.messages)


def raws(messages: Sequence[Msg]) -> list[bytes]:
    """As clients write them: one half as JavaScript does, one half, and what no UTF-8 can carry, as Python does."""
    return [_raw(message) for message in messages]


def _raw(message: Msg) -> bytes:
    escaped = json.dumps(message)
    if len(escaped) % 2 == 0:
        try:
            return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()
        except UnicodeEncodeError:
            return escaped.encode()
    return escaped.encode()


NUMBERS = st.integers(0, 99_999)

# --- messages

PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"}}
SOUND = {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}
FILE = {"type": "file", "file": {"file_id": "file-1"}}
USER_SHAPES = ["text"] * 6 + ["part", "picture", "pictures", "attached", "picture alone", "empty"]
ANSWER_SHAPES = ["text"] * 6 + ["reasons", "thinks", "parts", "refuses", "refuses part", "speaks", "empty"]


def part(text: str) -> Msg:
    """A text part."""
    return {"type": "text", "text": text}


def user_of(number: int) -> Msg:
    """Text, or parts with pictures, sounds and files between."""
    shape, size, kind, seed = chosen(number, USER_SHAPES, SIZES, OFTEN)
    text = text_of(kind, size, seed)
    content: Any = {
        "text": text,
        "part": [part(text)],
        "picture": [part(text), PICTURE],
        "pictures": [PICTURE, part(text), PICTURE, part("and this?")],
        "attached": [part(text), SOUND, FILE],
        "picture alone": [PICTURE],
        "empty": "",
    }[shape]
    named = {"name": "marta"} if text.startswith("M") else {}
    return {"role": "user", "content": content, **named}


def answer_of(number: int) -> Msg:
    """An assistant's last word of an exchange: plain, with its thoughts, refused, spoken, empty."""
    shape, size, kind, seed = chosen(number, ANSWER_SHAPES, SIZES, OFTEN)
    text = text_of(kind, size, seed)
    said: Msg = {
        "text": {"content": text},
        "reasons": {"content": text, "reasoning_content": "They ask for the heron."},
        "thinks": {"content": f"<think>\nWhich heron?\n</think>\n\n{text}"},
        "parts": {"content": [part(text), part("More?")]},
        "refuses": {"content": None, "refusal": "I cannot help with that."},
        "refuses part": {"content": [{"type": "refusal", "refusal": "No."}]},
        "speaks": {"content": None, "audio": {"id": "audio_1"}},
        "empty": {"content": "", "tool_calls": None},
    }[shape]
    return {"role": "assistant", **said}


def round_of(number: int, place: int) -> list[Msg]:
    """Calls and their replies in any order; the calls' ids are new, or the same in each round as some engines do."""
    counts, schemes = [1, 2, 1, 3, 1, 8], ["call_{place}_{index}", "call_{index}"]
    wordings: list[Msg] = [{"content": None}, {"content": ""}, {}, {"content": "Let me look."}, {"content": None}]
    count, scheme, said, seed = chosen(number, counts, schemes, wordings)
    ids = [scheme.format(place=place, index=index) for index in range(count)]
    reasons = {"reasoning_content": "It must be in the table."} if seed % 5 == 4 else {}
    replies = [_reply_of(seed + 31 * index, id_) for index, id_ in enumerate(ids)]
    random.Random(seed).shuffle(replies)
    return [{"role": "assistant", **said, **reasons, "tool_calls": [_call(id_) for id_ in ids]}, *replies]


def any_round_of(number: int, place: int) -> list[Msg]:
    """As `round_of`, one in ten as it was before there were tools."""
    seed, kind = divmod(number, 10)
    if kind < 9:
        return round_of(seed, place)
    asks = {"role": "assistant", "content": None, "function_call": {"name": "look_up", "arguments": "{}"}}
    return [asks, {"role": "function", "name": "look_up", "content": '{"found": 3}'}]


def _call(id_: str) -> Msg:
    if id_.endswith("7"):
        return {"id": id_, "type": "custom", "custom": {"name": "shell", "input": "ls"}}
    return {"id": id_, "type": "function", "function": {"name": "look_up", "arguments": '{"what": "heron"}'}}


def _reply_of(number: int, id_: str) -> Msg:
    size, kind, as_parts, seed = chosen(number, [15, 4, 60, 250, 700], ["log", "prose", "code"], [False, True, False])
    text = text_of(kind, size, seed % 50)
    return {"role": "tool", "tool_call_id": id_, "content": [part(text)] if as_parts else text}


SHOUT = {"role": "system", "content": "Reminder: answer in Dutch."}
NOTE = {"role": "developer", "content": [part("The user's plan is: free.")]}
FRONTS: list[list[Msg]] = [
    [{"role": "system", "content": "You are brief."}],
    [],
    [{"role": "system", "content": "You are brief. It is {clock}."}],
    [{"role": "developer", "content": [part("You are brief."), part("It is {clock}.")]}],
    [{"role": "system", "content": "You are brief."}, {"role": "developer", "content": "Time: {clock}"}],
]

USERS = NUMBERS.map(user_of)
ANSWERS = NUMBERS.map(answer_of)
ASIDES: st.SearchStrategy[list[Msg]] = st.sampled_from([[]] * 10 + [[SHOUT], [NOTE], [SHOUT, NOTE]])
FRONT = st.sampled_from(FRONTS)


def front_at(front: Sequence[Msg], step: int) -> list[Msg]:
    """The leading system messages of the request number `step`: what says {clock} is another each time."""
    clock = f"2024-03-05 {10 + step // 60 % 14}:{step % 60:02d}"
    return [json.loads(json.dumps(message).replace("{clock}", clock)) for message in front]


# --- single changes


def without(messages: Sequence[Any], place: int) -> list[Any]:
    """All but the one at this place."""
    return [*messages[:place], *messages[place + 1 :]]


def replaced(messages: Sequence[Any], place: int, other: Any) -> list[Any]:
    """With another at this place."""
    return [*messages[:place], other, *messages[place + 1 :]]


def inserted(messages: Sequence[Any], place: int, other: Any) -> list[Any]:
    """With one more before this place."""
    return [*messages[:place], other, *messages[place:]]


# --- transcripts

ROUNDS = st.sampled_from([0, 0, 0, 1, 2, 3])
ENDS = st.sampled_from(["user", "user", "user", "answer", "loop", "calls"])


@st.composite
def transcripts(draw: Draw, *, exchanges_max: int = 8) -> list[Msg]:
    """A valid list of messages, as any client may send it."""
    messages = front_at(draw(FRONT), 0)
    if draw(NUMBERS) % 10 == 9:
        messages.append(draw(ANSWERS))  # a greeting
    for exchange in range(draw(st.integers(1, exchanges_max))):
        messages += [*draw(ASIDES), draw(USERS)]
        for place in range(draw(ROUNDS)):
            messages += [*draw(ASIDES), *any_round_of(draw(NUMBERS), 4 * exchange + place)]
        messages.append(draw(ANSWERS))
    end = draw(ENDS)
    if end == "answer":
        return messages
    messages.append(draw(USERS))
    round_ = round_of(draw(NUMBERS), 99)
    return messages + {"user": [], "loop": round_, "calls": round_[:1]}[end]


# --- sessions

CHANGES = ["next"] * 12 + ["loop"] * 3 + ["resend", "regenerate", "edit", "fork", "strip"]
FORGETTING = ["drop", "summarise"]
WAITS_S = [0.0] * 4 + [2.0, 2.0, 40.0, 400.0, 4_000.0, 100_000.0]


@st.composite
def sessions(
    draw: Draw,
    *,
    requests_max: int = 30,
    changes: Sequence[str] = CHANGES,
    forgetting: bool = True,
    restarts: bool = True,
) -> list[Request]:
    """What one client sends, request by request; every list of messages ends where an answer is due.

    `changes` are the names of steps, as often as they are likely; with `forgetting` the client may also drop its
    oldest turns or put a summary in their place.
    """
    names = (*changes, *FORGETTING) if forgetting else tuple(changes)
    front = draw(FRONT)
    here = [*draw(ASIDES), draw(USERS)]
    there: list[Msg] = []
    requests = []
    for step in range(draw(st.integers(1, requests_max))):
        change, wait_s, replica, restart, swap, _ = chosen(draw(NUMBERS), names, WAITS_S, [0, 1], range(10), [0, 1])
        if step == 0:
            change = "resend"
        if change == "fork" or (there and swap):  # two continuations, in turns
            here, there = there or here, here
        here = STEPS[change](draw, here, step)
        sent = Request((*front_at(front, step), *here), wait_s=wait_s)
        requests.append(replace(sent, replica=replica, restart_before=restart == 9) if restarts else sent)
    return requests


def _next(draw: Draw, turns: list[Msg], _: int) -> list[Msg]:
    return [*turns, draw(ANSWERS), *draw(ASIDES), draw(USERS)]


def _loop(draw: Draw, turns: list[Msg], step: int) -> list[Msg]:
    return [*turns, *any_round_of(draw(NUMBERS), step)]


def _regenerate(draw: Draw, turns: list[Msg], _: int) -> list[Msg]:
    """The answer to an earlier turn is asked for again, mostly the newest."""
    return turns[: 1 + _late(draw, turns)]


def _edit(draw: Draw, turns: list[Msg], _: int) -> list[Msg]:
    return [*turns[: _late(draw, turns)], draw(USERS)]


def _strip(draw: Draw, turns: list[Msg], step: int) -> list[Msg]:
    """From now on without reasoning, and answers trimmed."""
    stripped = [{name: value for name, value in turn.items() if name != "reasoning_content"} for turn in turns]
    for turn in stripped:
        if turn["role"] == "assistant" and isinstance(turn.get("content"), str):
            turn["content"] = turn["content"].strip()
    return _next(draw, stripped, step)


def _drop(draw: Draw, turns: list[Msg], step: int) -> list[Msg]:
    """The oldest one to three exchanges are gone, if there are more."""
    places = _user_places(turns)[1:4] or [0]
    return _next(draw, turns[places[draw(NUMBERS) % len(places)] :], step)


def _summarise(draw: Draw, turns: list[Msg], step: int) -> list[Msg]:
    role, seed = chosen(draw(NUMBERS), ["system", "user", "assistant"])
    summary = {"role": role, "content": f"Summary of what was said before: {text_of('prose', 60, seed % 50)}"}
    return [summary, *_drop(draw, turns, step)]


def _user_places(turns: Sequence[Msg]) -> list[int]:
    return [place for place, turn in enumerate(turns) if turn["role"] == "user"]


def _late(draw: Draw, turns: Sequence[Msg]) -> int:
    """The place of one of the last six user turns."""
    places = _user_places(turns)[:-7:-1]
    return places[draw(NUMBERS) % len(places)]


STEPS: dict[str, Callable[[Draw, list[Msg], int], list[Msg]]] = {
    "next": _next,
    "loop": _loop,
    "resend": lambda draw, turns, step: turns,
    "regenerate": _regenerate,
    "edit": _edit,
    "fork": _next,
    "strip": _strip,
    "drop": _drop,
    "summarise": _summarise,
}
