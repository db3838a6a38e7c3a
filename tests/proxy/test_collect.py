"""The answer read along, put together from any pieces; nothing is learned where there is no answer."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire import parse
from tests.support.answers import JSON, MIB, SSE, Heard, call, collected, stream, whole
from tests.support.messages import said
from tests.support.recorded import recorded_chats
from tests.support.upstreams import ANSWER, ODD_SSE, ODD_SSE_TEXT, TOOL_CALL_SSE

# --- cut


@pytest.mark.parametrize(
    ("deltas", "said"),
    [
        ([{"content": "I will look."}, call(0, id="0", function={"name": "f", "arguments": '{"a'})], "I will look."),
        ([call(0, id="0", function={"name": "f", "arguments": '{"a'})], None),
        ([{"content": "Once upon"}], "Once upon"),
        ([{"content": ""}], None),
    ],
)
def test_of_a_cut_answer_what_was_said_is_kept_and_no_call(deltas, said):
    body = stream({"role": "assistant", "content": ""}, *deltas, finish="stop")
    cut = body[: body.index(b'"finish_reason": "stop"')]
    heard = collected(cut[: cut.rindex(b"data:")])
    assert not heard.complete
    turns = [json.loads(turn.raw) for turn in heard.turns()]
    assert turns == ([] if said is None else [{"role": "assistant", "content": said}])


# --- plain and streamed are the same


@given(st.lists(st.text(max_size=6), max_size=8), st.integers(1, 50))
def test_a_stream_at_any_cuts_is_the_whole_message(words, size):
    message = {"role": "assistant", "content": "".join(words)}
    streamed = collected(
        stream({"role": "assistant", "content": ""}, *({"content": word} for word in words)), size=size
    )
    plain = collected(whole(message), JSON, size=size)
    assert streamed.complete
    assert plain.complete
    assert streamed.message() == plain.message()
    assert plain.message().fingerprint == said("assistant", "".join(words)).fingerprint


@pytest.mark.parametrize("size", [1, 3, 0])
def test_tool_calls_in_pieces_are_whole_calls(size):
    body = stream(
        {"role": "assistant", "content": None},
        call(0, id="c0", type="function", function={"name": "look", "arguments": ""}),
        call(0, function={"arguments": '{"a'}),
        call(1, id="c1", type="function", function={"name": "find", "arguments": "{}"}),
        call(0, function={"arguments": '": 1}'}),
        call(2, id="c2", type="custom", custom={"name": "write", "input": "free "}),
        call(2, custom={"input": "text"}),
        finish="tool_calls",
    )
    assert json.loads(collected(body, size=size).message().raw)["tool_calls"] == [
        {"id": "c0", "type": "function", "function": {"name": "look", "arguments": '{"a": 1}'}},
        {"id": "c1", "type": "function", "function": {"name": "find", "arguments": "{}"}},
        {"id": "c2", "type": "custom", "custom": {"name": "write", "input": "free text"}},
    ]


@pytest.mark.parametrize(
    "deltas",
    [
        [{"tool_calls": [{"id": "0", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}],
        [
            call(0, id="0", function={"name": "f", "arguments": ""}),
            call(0, id="0", function={"name": "f", "arguments": "{}"}),
        ],
        [call(0, id="0", function={"name": "f"})],
        [call(0, id="0", type="function", function={"name": "f", "arguments": None})],
        [
            call(0, id="0", type="function", function={"name": "f", "arguments": ""}),
            call(0, id="", type=None, function=None),
        ],
    ],
    ids=["no index", "name repeated", "no arguments", "arguments null", "empty fields"],
)
def test_dialects_of_tool_calls(deltas):
    expected = [{"id": "0", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    assert json.loads(collected(stream(*deltas)).message().raw)["tool_calls"] == expected


def test_a_refusal_and_reasoning():
    refused = collected(stream({"refusal": "I would "}, {"refusal": "rather not."}))
    assert json.loads(refused.message().raw) == {"role": "assistant", "content": None, "refusal": "I would rather not."}
    thought = collected(stream({"reasoning_content": "hm"}, {"content": "4"}))
    assert json.loads(thought.message().raw) == {"role": "assistant", "content": "4"}


@pytest.mark.parametrize("cut", [0, 1, 5])
def test_odd_streams(cut):
    assert collected(ODD_SSE, size=cut).message().text == ODD_SSE_TEXT
    assert collected(ODD_SSE, size=cut).usage == {"prompt_tokens": 9}
    assert collected(TOOL_CALL_SSE, size=cut).message().text == 'look_up({"city": "Zürich"})'
    assert collected(json.dumps(ANSWER).encode(), JSON, size=cut).message().text == "Noted, sir."


# --- when there is nothing to learn


def test_several_choices_are_no_answer_but_their_usage_counts():
    choices = [{"index": index, "message": {"role": "assistant", "content": "x"}} for index in (0, 1)]
    body = json.dumps({"choices": choices, "usage": {"prompt_tokens": 7}}).encode()
    assert collected(body, JSON).message() is None
    assert collected(body, JSON).usage == {"prompt_tokens": 7}
    events = [{"choices": [{"index": index, "delta": {"content": "x"}}]} for index in (1, 0)]
    assert collected(b"".join(b"data: %s\n\n" % json.dumps(event).encode() for event in events)).message() is None


def test_an_error_is_no_answer():
    error = b'{"error": {"message": "no", "type": "server_error"}}'
    assert collected(error, JSON).message() is None
    assert collected(b"data: " + error + b"\n\n").message() is None
    assert not collected(b"data: " + error + b"\n\n").complete


def test_an_answer_that_breaks_off_is_not_complete():
    broken = Heard([(b"content-type", SSE.encode())], bytes_max=MIB)
    broken.feed(stream({"content": "half"}, done=False, finish=None))
    assert not broken.complete
    broken.end()
    assert not broken.complete
    assert broken.message().text == "half"
    assert not collected(whole({"content": "a"})[:-5], JSON).complete
    assert collected(whole({"content": "a"})[:-5], JSON).message() is None


@pytest.mark.parametrize(("done", "finish"), [(True, None), (False, "stop"), (True, "stop")])
def test_complete_is_a_finish_reason_or_done(done, finish):
    assert collected(stream({"content": "a"}, done=done, finish=finish)).complete


# --- recorded with real servers


def test_recorded_answers_are_read_and_their_streams_at_any_cut():
    chats = recorded_chats()
    assert len(chats) > 30
    for chat in chats:
        collector = collected(chat.body, chat.content_type, chat.content_encoding)
        assert collector.complete, chat.name
        several = json.loads(chat.asked).get("n", 1) > 1
        assert (collector.message() is None) == several, chat.name
        assert several or collector.message().text, chat.name
        pieces = collected(chat.body, chat.content_type, chat.content_encoding, size=13)
        assert (pieces.message(), pieces.usage) == (collector.message(), collector.usage)
        assert collector.usage.get("prompt_tokens", 0) > 0 or "not_complete" in chat.name


def test_recorded_tool_calls_come_back_with_the_fingerprint_under_which_they_are_learned():
    """Where the next recorded request of a test resends the answer before it, both are one turn to us."""
    chats = recorded_chats()
    matched = 0
    for chat, following in pairwise(chats):
        learned = collected(chat.body, chat.content_type, chat.content_encoding).message()
        resent = [m for m in parse(following.asked).messages if m.role == "assistant" and b"tool_calls" in m.raw]
        # (in one recording the second half is another's, with other ids)
        if learned is not None and b"tool_calls" in learned.raw and resent and _ids(resent[-1]) == _ids(learned):
            assert resent[-1].fingerprint == learned.fingerprint, (chat.name, resent[-1].raw, learned.raw)
            matched += 1
    assert matched >= 6


def _ids(message):
    return [call["id"] for call in json.loads(message.raw)["tool_calls"]]
