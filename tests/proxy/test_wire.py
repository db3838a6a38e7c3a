"""What we read of a request, and that we change nothing that is not ours to change."""

import json
import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.prices import LONGEST_NAME
from proxy import responses
from proxy.errors import BadRequestError
from proxy.message import new_message, read_message, with_text_after
from proxy.wire import parse, with_messages
from tests.support.messages import said

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
MESSAGES = st.lists(st.fixed_dictionaries({"role": st.text(max_size=9)}, optional={"content": JSON_VALUES}), min_size=1)


def test_of_a_model_s_name_no_more_is_kept_than_is_looked_at():
    body = json.dumps({"model": "m" * 4_000_000, "messages": [{"role": "user", "content": "hi"}]}).encode()
    request = parse(body)
    assert request.model == "m" * LONGEST_NAME
    assert request.body == body
    assert responses.parse(body.replace(b"messages", b"input")).model == "m" * LONGEST_NAME


def test_fields_are_split_and_not_understood():
    request = parse(
        b'{"model": "m", "stream" : true , "messages":[{"role":"user","content":"hi"}], "new":{"a": [1.10]}}'
    )
    assert (request.model, request.stream) == ("m", True)
    assert request.fields["new"] == b'{"a": [1.10]}'
    assert [(m.role, m.text, m.raw) for m in request.messages] == [("user", "hi", b'{"role":"user","content":"hi"}')]


@given(
    fields=st.dictionaries(st.text(), JSON_VALUES), messages=MESSAGES, spaced=st.booleans(), ascii_only=st.booleans()
)
def test_with_the_same_messages_every_other_field_keeps_its_bytes(fields, messages, spaced, ascii_only):
    body = json.dumps(
        {**fields, "messages": messages},
        ensure_ascii=ascii_only,
        separators=(" , ", " : ") if spaced else (",", ":"),
    ).encode("utf-8", "surrogatepass")
    request = parse(body)
    again = parse(with_messages(request, [message.raw for message in request.messages]))
    assert list(again.fields) == list(request.fields)
    assert {n: v for n, v in again.fields.items() if n != "messages"} == {
        n: v for n, v in request.fields.items() if n != "messages"
    }
    assert again.messages == request.messages
    assert json.loads(with_messages(request, [m.raw for m in request.messages])) == json.loads(body)


@pytest.mark.parametrize(
    "value",
    [b"1.10", b"1E400", b"-0", b"123456789012345678901234567890", b'"\\u00e9\\/"', b"[ 1 ,2]", b"9" * 5000, b"NaN"],
)
@pytest.mark.parametrize("before", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("other", [b"0", b'"\\ud800"'])
def test_values_keep_their_digits_even_beside_what_is_no_json(value, before, other):
    body = before + b'{"u": %s ,"messages":[{"role":"user","content":"a"}],"other":%s}' % (value, other)
    assert with_messages(parse(body), [b"{}"]) == b'{"u":%s,"messages":[{}],"other":%s}' % (value, other)


def test_of_duplicate_keys_the_last_stands_as_in_every_parser():
    request = parse(b'{"model":"a","messages":[1],"messages":[{"role":"user"}],"model":"b"}')
    assert request.model == "b"
    assert json.loads(with_messages(request, [b"{}"])) == {"model": "b", "messages": [{}]}


def test_a_lone_surrogate_is_carried_on_and_read_as_unknown():
    request = parse(b'{"\\ud801":"\\udfff","messages":[{"role":"user","content":"a\\ud800b"}],"model":"\\ud800"}')
    assert request.messages[0].text == "a\N{REPLACEMENT CHARACTER}b"
    assert request.messages[0].raw == b'{"role":"user","content":"a\\ud800b"}'
    assert request.model == ""
    sent = with_messages(request, [with_text_after(request.messages[0].raw, "more")])
    assert json.loads(sent)["messages"][0]["content"] == "a\ud800b\n\nmore"
    assert b'"\\ud801":"\\udfff"' in sent


def test_surrogate_pairs_nul_and_a_role_that_no_utf8_can_carry():
    request = parse(b'{"messages":[{"role":"\\ud800","content":"\\ud83d\\ude00 \\u0000"}]}')
    assert request.messages[0].text == "\N{GRINNING FACE} \0"
    assert request.messages[0].role == "\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"", None),
        (b"\0", None),
        (b"null", None),
        (b"[]", None),
        (b'"text"', None),
        (b"{", None),
        (b"\xff\xfe{\0}\0", None),
        (b'{"messages":[{"role":"user"}]} trailing', None),
        (b'{"messages":[{"role":"user","content":"a\0b"}]}', None),
        (b'{"\xff":1,"messages":[{"role":"user"}]}', None),
        (b'{"messages":[{"role":"user"}],"x":"\\ud800","y":}', None),
        (b"{}", "messages"),
        (b'{"messages":null}', "messages"),
        (b'{"messages":"hi"}', "messages"),
        (b'{"messages":{"role":"user"}}', "messages"),
        (b'{"messages":[]}', "messages"),
        (b'{"messages":[],"x":"\\ud800"}', "messages"),
        (b'{"messages":[{"role":"user"},7]}', "messages[1]"),
        (b'{"messages":[null]}', "messages[0]"),
        (b'{"messages":[NaN]}', "messages[0]"),
        (b'{"messages":[{"role":"user","content":"\xff"}]}', "messages[0]"),
        (b'{"messages":[{"role":"user","\xff":"a"}]}', "messages[0]"),
        (b'{"messages":[{"content":"a"}]}', "messages[0].role"),
        (b'{"messages":[{"role":null}]}', "messages[0].role"),
        (b'{"messages":[{"role":["user"]}]}', "messages[0].role"),
    ],
)
def test_what_no_upstream_could_read_is_refused_with_its_place(body, param):
    with pytest.raises(BadRequestError) as refused:
        parse(body)
    assert refused.value.param == param
    assert refused.value.message


@pytest.mark.parametrize("depth", [100, 400, 900, 1100, 100_000])
@pytest.mark.parametrize("place", ['"x":%s,"messages":[{"role":"user"}]', '"messages":[{"role":"user","content":%s}]'])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"type":"text","text":', "}"), ('[{"a":', "}]")])
def test_deep_nesting_is_read_or_refused_but_never_a_crash(depth, place, opening, closing):
    body = "{" + place % (opening * depth + "1" + closing * depth) + "}"
    try:
        assert len(parse(body.encode()).messages) == 1
    except BadRequestError as refused:
        assert depth > 100 and "nested too deeply" in refused.message


@given(st.binary(max_size=200) | st.text().map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_a_request_or_a_bad_one(body):
    for candidate in (body, b'{"messages":[' + body + b"]}", b'{"messages":[{"role":"user","content":' + body + b"}]}"):
        try:
            parse(candidate)
        except BadRequestError as refused:
            assert refused.body()


def test_ten_thousand_messages_and_twenty_megabytes_are_quick():
    messages = [{"role": "user", "content": f"message {place} with some words in it"} for place in range(10_000)]
    for more in ({}, {"x": "\ud800"}, {"x": "y" * 20_000_000}):
        body = json.dumps({"messages": messages, **more}).encode()
        began = time.perf_counter()
        request = parse(body)
        with_messages(request, [message.raw for message in request.messages])
        assert time.perf_counter() - began < 1
        assert len(request.messages) == 10_000


# --- reading and writing messages


@pytest.mark.parametrize(
    ("fields", "text", "attachments"),
    [
        ({"content": "hi"}, "hi", 0),
        ({"content": None}, "", 0),
        ({}, "", 0),
        ({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, "a\nb", 0),
        ({"content": [{"type": "refusal", "refusal": "no"}]}, "no", 0),
        ({"content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {}}]}, "a\n[image_url]", 1),
        ({"content": [{"type": "input_audio"}, {"type": "file"}]}, "[input_audio]\n[file]", 2),
        ({"content": ["a", 7, None, {}]}, "a\n[part]", 1),
        ({"content": 7}, "", 0),
        ({"tool_calls": [{"function": {"name": "f", "arguments": "{}"}}, 7, {"function": 7}]}, "f({})", 0),
        ({"tool_calls": 7}, "", 0),
    ],
)
def test_text_is_what_can_be_read_and_the_rest_is_named_and_counted(fields, text, attachments):
    message = read_message(json.dumps({"role": "user", **fields}).encode())
    assert (message.text, message.attachments) == (text, attachments)


@pytest.mark.parametrize("role", ["system", "developer"])
def test_system_and_developer_are_system(role):
    assert said(role, "x").is_system
    assert not said("user", "x").is_system
    assert not said("System", "x").is_system


def test_text_after_text_parts_and_nothing():
    assert json.loads(with_text_after(b'{"role":"user","content":"a","x":[1]}', "b")) == {
        "role": "user",
        "content": "a\n\nb",
        "x": [1],
    }
    part = {"type": "image_url", "image_url": {"url": "u"}}
    raw = msgspec.json.encode({"role": "user", "content": [part]})
    assert json.loads(with_text_after(raw, "b"))["content"] == [part, {"type": "text", "text": "b"}]
    for empty in (b'{"role":"user"}', b'{"role":"user","content":null}', b'{"role":"user","content":""}'):
        assert json.loads(with_text_after(empty, "b"))["content"] == "b"


@given(st.text(), st.text())
def test_a_message_of_our_own_is_read_as_it_was_written(role, content):
    message = read_message(new_message(role, content))
    assert (message.role, message.text) == (role, content)
