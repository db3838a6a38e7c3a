"""Who names a conversation, and what is no name."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.identity import ANONYMOUS, ID_CHARS_MAX, Identity, identity_of

KEYED = Identity("prompt_cache_key k")


def identified(header="", **fields):
    return identity_of(header, {name: json.dumps(value).encode() for name, value in fields.items()})


@pytest.mark.parametrize(
    ("header", "fields", "expected"),
    [
        ("", {}, ANONYMOUS),
        ("h", {}, Identity("h", names=True, resends=False)),
        ("", {"metadata": {"conversation_id": "m"}}, Identity("m", names=True)),
        ("", {"prompt_cache_key": "k"}, KEYED),
        (
            "h",
            {"metadata": {"conversation_id": "m"}, "prompt_cache_key": "k"},
            Identity("h", names=True, resends=False),
        ),
        ("", {"metadata": {"conversation_id": "m"}, "prompt_cache_key": "k"}, Identity("m", names=True)),
        ("", {"metadata": {"conversation_id": ""}, "prompt_cache_key": "k"}, KEYED),
        ("", {"metadata": {"user": "u"}, "prompt_cache_key": "k"}, KEYED),
        ("", {"metadata": {"conversation_id": "m", "user": [1, {"x": None}]}}, Identity("m", names=True)),
        ("", {"user": "u", "conversation_id": "m"}, ANONYMOUS),
    ],
)
def test_the_strongest_that_is_said_counts(header, fields, expected):
    assert identified(header, **fields) == expected


def test_only_our_own_header_lets_a_client_send_what_is_new_alone():
    assert [identified("h").resends, identified(metadata={"conversation_id": "m"}).resends] == [False, True]
    assert not identified(prompt_cache_key="k").names  # many clients set one for all that share a system prompt


@pytest.mark.parametrize("value", ["", None, 7, ["k"], {"conversation_id": 7}, {"conversation_id": None}, {}, True])
def test_what_is_no_string_is_no_identity(value):
    assert identified(metadata=value) == ANONYMOUS
    assert identified(prompt_cache_key=value) == ANONYMOUS


def test_an_endless_id_in_the_body_is_no_id():
    for length, is_one in ((ID_CHARS_MAX, True), (ID_CHARS_MAX + 1, False)):
        name = "ß" * length
        assert (identified(metadata={"conversation_id": name}) != ANONYMOUS) == is_one
        assert (identified(prompt_cache_key=name) != ANONYMOUS) == is_one


@given(st.text(max_size=30))
def test_a_key_and_a_name_are_never_one_scope_by_chance(name):
    named, keyed = identified(metadata={"conversation_id": name}), identified(prompt_cache_key=name)
    assert named.scope == name
    assert (named.scope != keyed.scope) == bool(name)


@given(
    st.binary(max_size=40) | st.sampled_from([b'{"conversation_id":"\\ud800"}', b'"\\ud800"', b"[" * 5000, b'"\xff"'])
)
def test_bytes_that_are_no_json_are_no_identity(raw):
    for name in ("metadata", "prompt_cache_key"):
        found = identity_of("", {name: raw})
        assert isinstance(found, Identity)
        assert len(found.scope) <= ID_CHARS_MAX + len("prompt_cache_key ")
