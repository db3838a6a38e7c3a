"""A row a turn, and back."""

import json
from dataclasses import dataclass

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.ledger import Row, decode_row, encode_row, reported_tokens

ROW = Row(at=1.5, turn=3, model="m", mode="compact", full_tokens=1000, sent_tokens=250, overhead_ms=4.2)
COUNTS = st.integers(0, 2**60)


@given(
    st.builds(
        Row,
        at=st.floats(allow_nan=False, allow_infinity=False),
        turn=COUNTS,
        model=st.text(),
        mode=st.text(),
        full_tokens=COUNTS,
        sent_tokens=COUNTS,
        overhead_ms=st.floats(0, 1e9),
        epoch=COUNTS,
        phase=st.text(),
        status=COUNTS,
        reported_tokens=COUNTS,
        error=st.text(),
        recalled=st.lists(st.tuples(COUNTS, COUNTS), max_size=5).map(tuple),
    )
)
def test_a_row_comes_back(row):
    assert decode_row(encode_row(row)) == row


@dataclass(frozen=True)
class Case:
    full: int
    sent: int
    saved: float


@pytest.mark.parametrize("case", [Case(1000, 250, 0.75), Case(0, 0, 0.0), Case(100, 100, 0.0), Case(100, 110, -0.1)])
def test_saved_is_the_share_that_was_not_sent(case):
    row = Row(at=0, turn=1, model="", mode="", full_tokens=case.full, sent_tokens=case.sent, overhead_ms=0)
    assert row.saved == pytest.approx(case.saved)


def test_defaults_take_no_room_and_newer_fields_do_no_harm():
    fields = json.loads(encode_row(ROW))
    assert "error" not in fields
    assert decode_row(json.dumps({**fields, "from_the_future": [1]}).encode()) == ROW


@pytest.mark.parametrize("payload", [b"", b"null", b"{}", b'{"at":"x"}', encode_row(ROW)[:-3], b"\xff"])
def test_bytes_that_are_no_row_are_an_error(payload):
    with pytest.raises(ValueError):
        decode_row(payload)


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"prompt_tokens": 17}, 17),
        ({}, 0),
        ({"prompt_tokens": None}, 0),
        ({"prompt_tokens": "17"}, 0),
        ({"prompt_tokens": -1}, 0),
        ({"prompt_tokens": 10**30}, 0),
    ],
)
def test_what_the_upstream_reports(usage, tokens):
    assert reported_tokens(usage) == tokens
    assert msgspec.json.encode(reported_tokens(usage))
