"""What clients ask by header: read, or refused with the header's name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.credentials import PROOFS
from proxy.errors import BadRequestError
from proxy.options import CONTEXT_TOKENS_MAX, CONVERSATION_CHARS_MAX, Options, read_options


def options(**headers):
    return read_options([(name.replace("_", "-").encode(), value) for name, value in headers.items()])


def test_nothing_asked():
    assert read_options([(b"host", b"x")]) == Options("", None, None, "")


def test_all_asked():
    assert options(
        x_isocost_conversation=b" room 7 ",
        x_isocost_mode=b"compact",
        x_isocost_context_tokens=b"0",
        authorization=b"Bearer a",
    ) == Options("room 7", "compact", 0, "Bearer a")


@pytest.mark.parametrize("mode", ["auto", "passthrough", "compact"])
def test_modes(mode):
    assert options(x_isocost_mode=mode.encode()).mode == mode


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("x_isocost_mode", b""),
        ("x_isocost_mode", b"Compact"),
        ("x_isocost_mode", b"fast"),
        ("x_isocost_context_tokens", b""),
        ("x_isocost_context_tokens", b"-1"),
        ("x_isocost_context_tokens", b"1.5"),
        ("x_isocost_context_tokens", b"1_000"),
        ("x_isocost_context_tokens", b"\xb2"),
        ("x_isocost_context_tokens", str(CONTEXT_TOKENS_MAX + 1).encode()),
        ("x_isocost_context_tokens", b"9" * 5000),
        ("x_isocost_conversation", b"x" * (CONVERSATION_CHARS_MAX + 1)),
    ],
)
def test_a_value_out_of_range_is_refused_by_the_header_s_name(header, value):
    with pytest.raises(BadRequestError) as refused:
        options(**{header: value})
    assert refused.value.param == header.replace("_", "-")
    assert header.replace("_", "-") in refused.value.message


def test_the_ends_of_the_ranges_are_allowed():
    assert options(x_isocost_context_tokens=str(CONTEXT_TOKENS_MAX).encode()).context_tokens == CONTEXT_TOKENS_MAX
    assert options(x_isocost_conversation=b"x" * CONVERSATION_CHARS_MAX).conversation == "x" * CONVERSATION_CHARS_MAX


@pytest.mark.parametrize("header", [name.decode().replace("-", "_") for name in sorted(PROOFS)])
def test_the_credential_is_any_of_the_usual_headers(header):
    assert options(**{header: b"secret"}).credential == "secret"


def test_an_empty_authorization_does_not_hide_the_key_beside_it():
    assert options(authorization=b"", api_key=b"mine").credential == "mine"


def test_clients_behind_one_gateway_s_key_are_told_apart_by_their_own():
    ann, bob = (options(authorization=b"Bearer gateway", x_api_key=key) for key in (b"ann", b"bob"))
    assert len({ann.credential, bob.credential, "Bearer gateway", "ann", "bob"}) == 5
    named = [(b"x-api-key", b"ann"), (b"authorization", b"Bearer gateway")]
    assert read_options(named).credential == read_options(named[::-1]).credential == ann.credential


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_any_bytes_are_options_or_a_bad_request(conversation, tokens):
    try:
        found = options(x_isocost_conversation=conversation, x_isocost_context_tokens=tokens)
    except BadRequestError:
        return
    assert 0 <= found.context_tokens <= CONTEXT_TOKENS_MAX
