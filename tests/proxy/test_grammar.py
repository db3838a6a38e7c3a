"""What clients send is well formed; each single fault that is put into it is found."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.grammar import fault, fault_of_rewrite
from tests.support.transcripts import SHOUT, Msg, inserted, part, raws, replaced, sessions, transcripts, without

TRAJECTORIES = Path(__file__).parents[3] / "shared" / "data" / "tool_chats.json.gz"
SMALL = transcripts(exchanges_max=3)


def user(content: Any = "hello") -> Msg:
    return {"role": "user", "content": content}


def asks(*ids: Any) -> Msg:
    return {"role": "assistant", "content": None, "tool_calls": [{"id": id_} for id_ in ids]}


def reply(id_: Any) -> Msg:
    return {"role": "tool", "tool_call_id": id_, "content": "42"}


# --- well formed


@given(transcripts())
def test_what_clients_send_is_well_formed(messages: list[Msg]):
    assert fault(raws(messages)) == ""


@given(sessions(requests_max=8))
def test_each_request_of_a_session_is_well_formed_and_asks_for_an_answer(requests):
    for request in requests:
        assert fault(request.raws) == ""
        assert request.messages[-1]["role"] in ("user", "tool", "function")


@pytest.mark.parametrize(
    "messages",
    [
        [user(""), user([part("a"), {"type": "of tomorrow", "more": 1}])],
        [user(), asks("a")],
        [user(), asks("b", "a"), reply("a"), reply("b")],
        [user(), asks("a"), reply("a"), asks("a"), reply("a"), user()],
        [user(), {"role": "assistant", "content": "so", "tool_calls": []}],
        [user(), {"role": "assistant", "refusal": "no"}, {"role": "assistant", "audio": {"id": "x"}}],
        [{"role": "assistant", "content": "Hi."}, user() | {"tool_calls": "of no concern here"}],
        [user(), asks("a"), reply("a") | {"content": [part("42")], "name": "look"}],
        [user(), {"role": "assistant", "function_call": {"name": "f"}}, {"role": "function", "name": "f"}],
    ],
)
def test_unusual_but_accepted(messages):
    assert fault(raws(messages)) == ""


def test_the_recorded_trajectories_and_their_prefixes_are_well_formed():
    if not TRAJECTORIES.exists():
        pytest.skip(f"the tool trajectories are missing: {TRAJECTORIES}")
    with gzip.open(TRAJECTORIES) as file:
        trajectories = [raws(each["traj"]) for each in json.load(file)]
    prefixes = 0
    for trajectory in trajectories:
        assert fault(trajectory) == ""
        for end in range(1, len(trajectory)):
            if json.loads(trajectory[end - 1])["role"] in ("user", "tool"):
                assert fault(trajectory[:end]) == ""
                prefixes += 1
    assert len(trajectories) == 100 and prefixes > 1_000


# --- each single fault


@pytest.mark.parametrize(
    ("messages", "found"),
    [
        ([], "there are no messages"),
        (["text"], "messages[0] is no JSON object"),
        ([user(), {"content": "x"}], "messages[1] has no known role"),
        ([user() | {"role": "bot"}], "messages[0] has no known role"),
        ([user() | {"role": ["user"]}], "messages[0] has no known role"),
        ([user(None)], "messages[0] has no content"),
        ([{"role": "system"}], "messages[0] has no content"),
        ([user({"type": "text"})], "messages[0] has content that is neither text nor a list of parts"),
        ([user([])], "messages[0] has an empty list of parts, or a part without a type"),
        ([user(["text"])], "messages[0] has an empty list of parts, or a part without a type"),
        ([user([{"text": "x"}])], "messages[0] has an empty list of parts, or a part without a type"),
        ([{"role": "assistant", "content": None, "tool_calls": []}], "messages[0] has no content"),
        ([{"role": "assistant", "reasoning_content": "hm"}], "messages[0] has no content"),
        ([asks(None)], "messages[0] has a tool call without an id"),
        ([asks("")], "messages[0] has a tool call without an id"),
        ([asks("a") | {"tool_calls": {"id": "a"}}], "messages[0] has tool_calls that are no list of objects"),
        ([asks("a") | {"tool_calls": ["a"]}], "messages[0] has tool_calls that are no list of objects"),
        ([asks("a", "a")], "messages[0] has two tool calls with the same id"),
        ([asks("a"), {"role": "tool", "content": "x"}], "messages[1] is a tool's reply without a tool_call_id"),
        ([asks("a"), reply("a") | {"content": None}], "messages[1] has no content"),
        (
            [asks("a"), reply("a"), reply("b")],
            "messages[2] replies to a tool call that the assistant's message before it does not have",
        ),
        (
            [asks("a"), reply("a"), user(), reply("a")],
            "messages[3] replies to a tool call that the assistant's message before it does not have",
        ),
        ([asks("a"), reply("a"), reply("a")], "messages[2] replies to a tool call for the second time"),
        ([asks("a", "b"), reply("a"), user()], "messages[2] comes while 1 tool calls before it have no reply"),
        ([asks("a"), SHOUT, reply("a")], "messages[1] comes while 1 tool calls before it have no reply"),
        ([asks("a", "b", "c"), reply("b")], "messages end while 2 of 3 tool calls have no reply"),
        ([user(), {"role": "function", "content": "x"}], "messages[1] is a function's reply without a name"),
        (
            [user(), {"role": "function", "name": "f", "content": "x"}],
            "messages[1] is a function's reply, and the message before it does not call that function",
        ),
    ],
)
def test_a_fault_by_hand(messages, found):
    assert fault(raws(messages)) == found


def faulty(messages: list[Msg]) -> Iterator[list[Msg]]:
    """All single faults of some kinds that can be put into well-formed messages."""
    for place, message in enumerate(messages):
        yield replaced(messages, place, message | {"role": "narrator"})
        yield replaced(messages, place, message | {"content": []})
        if message["role"] not in ("assistant", "function"):
            yield replaced(messages, place, message | {"content": None})
        if message["role"] == "tool":
            yield inserted(messages, place, message)
            yield replaced(messages, place, message | {"tool_call_id": "another"})
            yield inserted(messages, place, user())
            yield inserted(messages, place, SHOUT)
            is_alone = messages[place - 1]["role"] != "tool" and place == len(messages) - 1
            if not is_alone:  # else the list ends with calls, which is allowed
                yield without(messages, place)
        following = messages[place + 1]["role"] if place + 1 < len(messages) else ""
        if following in ("tool", "function") and message["role"] == "assistant":
            yield without(messages, place)
            yield [*messages[:place], messages[place + 1], message, *messages[place + 2 :]]
            if following == "tool":
                yield inserted(messages, place + 1, message)
        if calls := message.get("tool_calls"):
            yield replaced(messages, place, message | {"tool_calls": [*calls, calls[0]]})
            if following:
                yield replaced(messages, place, message | {"tool_calls": [*calls, calls[0] | {"id": "one more"}]})


@given(SMALL)
def test_every_single_fault_is_found(messages):
    for broken in faulty(messages):
        assert fault(raws(broken)) != "", broken


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner))
NAMES = st.sampled_from(["role", "content", "tool_calls", "tool_call_id", "name", "function_call", "id", "type"])
ROLES = st.sampled_from(["user", "assistant", "tool", "function", "system"])
ODD = st.dictionaries(NAMES, VALUES | ROLES | st.lists(st.dictionaries(NAMES, LEAVES), max_size=2), max_size=5)
ANYTHING = st.binary(max_size=9) | ODD.map(lambda value: json.dumps(value).encode())


@given(st.lists(ANYTHING, max_size=5), st.lists(ANYTHING, max_size=5))
def test_nothing_raises(sent, forwarded):
    assert isinstance(fault(sent), str)
    assert isinstance(fault_of_rewrite(sent, forwarded), str)


def test_nesting_too_deep_to_read_is_a_fault_and_no_error():
    for depth in (900, 990, 1_000, 100_000):
        deep = b'{"role":"user","content":"x","more":' + b"[" * depth + b"]" * depth + b"}"
        assert fault([deep]) in ("", "messages[0] is no JSON object")
        assert isinstance(fault_of_rewrite([deep], [deep, deep]), str)


@settings(max_examples=25)
@given(SMALL)
def test_no_text_of_a_message_is_told(messages):
    secret = "Zorbas"
    marked = json.loads(json.dumps(messages).replace("call_", secret).replace("heron", secret))
    for broken in faulty(marked):
        hidden = [message | ({"role": secret} if message["role"] == "narrator" else {}) for message in broken]
        assert secret not in fault(raws(hidden))
