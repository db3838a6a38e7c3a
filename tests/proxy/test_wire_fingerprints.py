"""One fingerprint for the same words, however they are written and whoever sends them back."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from proxy.grammar import fault
from proxy.message import as_resent, read_message
from tests.support.messages import said

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)

SAME = [
    [b'{"role":"user","content":"hi"}', b'{"content" : "hi", "role":"user"}'],
    [b'{"role":"user","content":"hi"}', b'{"role":"user","content":[{"type":"text","text":"hi"}]}'],
    [b'{"role":"user","content":"hi"}', b'{"role":"user","content":" hi\\n"}'],
    [b'{"role":"user","content":"hi"}', b'{"role":"user","content":"hi","reasoning_content":"so?","x":1}'],
    [b'{"role":"user","content":"\xc3\xa9"}', b'{"role":"user","content":"\\u00e9"}'],
    [b'{"role":"user","content":""}', b'{"role":"user"}', b'{"role":"user","content":" "}'],
    [b'{"role":"user","content":[]}', b'{"role":"user","content":null}', b'{"role":"user","content":[]}'],
    [
        b'{"role":"user","content":[{"type":"text","text":"hi"},{"type":"image_url","image_url":{"url":"u"}}]}',
        b'{"role":"user","content":[{"text":"hi","type":"text"},{"image_url":{"url":"u"},"type":"image_url"}]}',
    ],
    [
        b'{"role":"assistant","tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}}]}',
        b'{"role":"assistant","tool_calls":[{"index":0,"id":"1","type":"function",'
        b'"function":{"arguments":"{}","name":"f","parsed_arguments":{}}}],"content":""}',
    ],
    [
        b'{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"{\\"a\\":[1,2],\\"b\\":1}"}}]}',
        b'{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"{\\"b\\": 1, \\"a\\": [1, 2]}"}}]}',
    ],
    [
        b'{"role":"assistant","content":"<think>2 and 2\\n</think>\\n\\n4"}',
        b'{"role":"assistant","content":[{"type":"text","text":"<think></think>4"}]}',
        b'{"role":"assistant","content":"4"}',
    ],
    [b'{"role":"assistant","audio":{"id":"a","data":"long"}}', b'{"role":"assistant","audio":{"id":"a"}}'],
]


@pytest.mark.parametrize("forms", SAME)
def test_the_same_words_have_one_fingerprint_however_they_are_written(forms):
    assert len({read_message(form).fingerprint for form in forms}) == 1


def test_what_differs_has_another_fingerprint():
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    others = [
        said("user", "hi"),
        said("user", "Hi"),
        said("user", "h i"),
        said("user", ["hi"]),
        said("user", None),
        said("assistant", "hi"),
        said("user", "hi", name="Ann"),
        said("tool", "hi", tool_call_id="1"),
        said("tool", "hi", tool_call_id="2"),
        said("assistant", None, refusal="hi"),
        said("assistant", None, tool_calls=[call]),
        said("assistant", None, tool_calls=[call, call]),
        said("assistant", None, tool_calls=[call | {"id": "2"}]),
        said("assistant", None, tool_calls=[call | {"function": {"name": "g", "arguments": "{}"}}]),
        said("assistant", None, tool_calls=[call | {"function": {"name": "f", "arguments": '{"a":1}'}}]),
        said("assistant", None, tool_calls=[call | {"function": {"name": "f", "arguments": '{"a":"1"}'}}]),
        said("assistant", None, tool_calls=[call | {"function": {"name": "f", "arguments": '{"a":'}}]),
        said("assistant", None, function_call={"name": "f", "arguments": "{}"}),
        said("user", [{"type": "image_url", "image_url": {"url": "u"}}]),
        said("user", [{"type": "image_url", "image_url": {"url": "v"}}]),
        said("user", [{"type": "text", "text": "hi"}, {"type": "text", "text": "there"}]),
        said("user", "<think>so</think>hi"),
        said("assistant", "<think>so"),
        said("assistant", "hi <think>so</think>"),
        said("user", 1),
        said("user", 10**40),
        said("user", "1"),
        said("user", "1.0"),
    ]
    assert len({message.fingerprint for message in others}) == len(others)


@given(JSON_VALUES, st.randoms())
def test_the_order_of_keys_is_nothing(content, random):
    def shuffled(value):
        if isinstance(value, dict):
            items = [(name, shuffled(item)) for name, item in value.items()]
            random.shuffle(items)
            return dict(items)
        return [shuffled(item) for item in value] if isinstance(value, list) else value

    assert said("user", content).fingerprint == said("user", shuffled(content)).fingerprint


# --- what a client sends back

ANSWERS = {
    "text": {"role": "assistant", "content": "Hello!", "refusal": None, "annotations": []},
    "spaced": {"role": "assistant", "content": "\n\nHello!", "refusal": None},
    "refusal": {"role": "assistant", "content": None, "refusal": "I would rather not."},
    "tools": {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}],
        "refusal": None,
        "annotations": [],
    },
    "custom tool": {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"id": "c1", "type": "custom", "custom": {"name": "f", "input": "free text"}}],
    },
    "old function call": {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
    "reasoning": {"role": "assistant", "content": "4", "reasoning_content": "2 and 2", "reasoning": "…"},
    "audio": {
        "role": "assistant",
        "content": None,
        "audio": {"id": "a1", "data": "UklGRg==", "expires_at": 1, "transcript": "Hi"},
    },
    "vLLM": {"role": "assistant", "content": "Hi", "tool_calls": [], "function_call": None, "audio": None},
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
def test_an_answer_has_the_fingerprint_that_the_sdk_will_send_back(answer):
    from openai._models import construct_type
    from openai.types.chat import ChatCompletionMessage

    learned = read_message(as_resent(answer)).fingerprint
    message = construct_type(type_=ChatCompletionMessage, value=answer)
    assert isinstance(message, ChatCompletionMessage)
    dumps = [answer, message.model_dump(), message.model_dump(exclude_none=True), message.to_dict()]
    dumps += [json.loads(message.model_dump_json()), {"content": message.content, **answer}]
    for resent in dumps:
        assert read_message(json.dumps(resent).encode()).fingerprint == learned


def test_an_answer_is_kept_without_what_is_empty():
    kept = as_resent({"role": "x", "content": "a", "refusal": None, "tool_calls": [], "annotations": [1], "n": 2})
    assert json.loads(kept) == {"role": "assistant", "content": "a"}
    assert json.loads(as_resent({"content": None, "refusal": "no"})) == {
        "role": "assistant",
        "content": None,
        "refusal": "no",
    }
    # an assistant's message has to say something, or be "": no upstream takes null alone
    for empty in ({}, {"content": None, "tool_calls": []}):
        assert json.loads(as_resent(empty)) == {"role": "assistant", "content": ""}
        assert not fault([b'{"role":"user","content":"hi"}', as_resent(empty)])


@given(
    st.sampled_from(["user", "assistant", "system", "tool", "rôle", "\ud800"]),
    st.one_of(
        st.text(),
        st.sampled_from(
            [" ", "\ud800 a", "<think>why</think> so ", "  <think>why</think> so", "<think>open", "\n<think>"]
        ),
    ),
)
def test_a_role_and_a_text_are_read_as_they_are_beside_other_fields(role, content):
    plain, beside = (
        read_message(json.dumps(fields).encode())
        for fields in ({"role": role, "content": content}, {"role": role, "content": content, "x_unknown": 1})
    )
    assert replace(plain, raw=b"") == replace(beside, raw=b"")
