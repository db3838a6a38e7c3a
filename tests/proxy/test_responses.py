"""Items of /v1/responses: what makes them one turn with what a client sends back, and what no server would take."""

import json

import pytest

from proxy.message import items_as_resent, read_message
from proxy.responses import fault, parse


def raw(item: object) -> bytes:
    return json.dumps(item).encode()


CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a": 1}'}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "done"}
USER = {"role": "user", "content": "hi"}


def test_an_answer_and_what_is_sent_back_of_it_are_one_turn():
    heard = {
        "type": "message",
        "id": "msg_1",
        "status": "completed",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "Noted, sir.", "annotations": [], "logprobs": []}],
    }
    (kept,) = items_as_resent([heard])
    fingerprints = {
        read_message(each).fingerprint
        for each in (kept, raw(heard), raw({"role": "assistant", "content": "Noted, sir."}))
    }
    assert len(fingerprints) == 1
    assert read_message(kept).text == "Noted, sir."


def test_a_call_is_the_same_whatever_ids_the_server_gave_it():
    heard = {**CALL, "id": "fc_1", "status": "completed"}
    (kept,) = items_as_resent([{"type": "reasoning", "id": "rs_1", "summary": []}, heard])
    assert json.loads(kept) == CALL
    respaced = {**CALL, "arguments": '{"a":1}'}
    assert len({read_message(each).fingerprint for each in (kept, raw(heard), raw(respaced))}) == 1
    assert read_message(raw({**CALL, "call_id": "c2"})).fingerprint != read_message(kept).fingerprint


def test_items_are_read_as_who_says_them():
    call, output = read_message(raw(CALL)), read_message(raw(OUTPUT))
    assert (call.role, call.text) == ("assistant", 'f({"a": 1})')
    assert (output.role, output.text) == ("tool", "done")
    parts = {**OUTPUT, "output": [{"type": "input_text", "text": "do"}, {"type": "input_text", "text": "ne"}]}
    assert read_message(raw(parts)).text == "do\nne"
    reasoning = read_message(raw({"type": "reasoning", "summary": []}))
    assert not reasoning.is_turn
    assert not reasoning.is_system
    assert read_message(raw(USER)).is_turn


def test_an_input_of_text_is_one_message_of_the_user():
    request = parse(raw({"model": "m", "input": "hi"}))
    assert [(each.role, each.text) for each in request.messages] == [("user", "hi")]
    assert (request.model, request.field) == ("m", "input")


@pytest.mark.parametrize(
    ("items", "wrong"),
    [
        ([USER], ""),
        ([USER, CALL, OUTPUT], ""),
        ([USER, CALL], ""),
        ([USER, CALL, OUTPUT, USER], ""),
        ([], "there are no items"),
        ([OUTPUT], "input[0] is the output of a call that is not before it"),
        ([USER, CALL, OUTPUT, OUTPUT], "input[3] is the output of a call that is not before it"),
        ([USER, CALL, USER], "input[2] comes while 1 calls before it have no output"),
    ],
)
def test_faults(items, wrong):
    assert fault([raw(item) for item in items]) == wrong
