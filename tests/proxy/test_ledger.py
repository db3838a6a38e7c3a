"""A row a turn, and back; what it cost, and the totals that it adds to."""

import json
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.prices import Price
from memory_core.stores import KINDS
from proxy.accounts import Bill
from proxy.ledger import Reported, Row, billed, decode_row, encode_row, reported, tallies
from proxy.prefix_cache import Usage

ROW = Row(at=1.5, turn=3, model="m", mode="compact", full_tokens=1000, sent_tokens=250, overhead_ms=4.2)
COUNTS = st.integers(0, 2**60)
PRICES = st.floats(allow_nan=False, allow_infinity=False)
NAMES = st.sampled_from(["prompt_tokens", "prompt_tokens_details", "cached_tokens", "cache_write_tokens", "x"])


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
        cached_tokens=COUNTS,
        written_tokens=COUNTS,
        fresh_tokens=COUNTS,
        paid=PRICES,
        rival=PRICES,
        input=PRICES,
        unit=st.text(),
        why=st.text(),
        cut=COUNTS,
        reported_cached_tokens=COUNTS,
        reported_written_tokens=COUNTS,
        share=st.text(),
        planned_tokens=COUNTS,
        planned=PRICES,
    )
)
def test_a_row_comes_back(row):
    assert decode_row(encode_row(row)) == row


@pytest.mark.parametrize(("paid", "rival"), [(250.0, 1000.0), (0.0, 0.0), (1100.0, 1000.0)])
def test_net_is_what_was_saved_against_cached_full_history(paid, rival):
    row = msgspec.structs.replace(ROW, paid=paid, rival=rival)
    assert row.net == rival - paid


def test_defaults_take_no_room_and_newer_fields_do_no_harm():
    fields = json.loads(encode_row(ROW))
    assert "error" not in fields
    assert decode_row(json.dumps({**fields, "from_the_future": [1]}).encode()) == ROW


@pytest.mark.parametrize("payload", [b"", b"null", b"{}", b'{"at":"x"}', encode_row(ROW)[:-3], b"\xff"])
def test_bytes_that_are_no_row_are_an_error(payload):
    with pytest.raises(ValueError):
        decode_row(payload)


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 17}, Reported(17)),
        ({}, Reported()),
        ({"prompt_tokens": None}, Reported()),
        ({"prompt_tokens": "17"}, Reported()),
        ({"prompt_tokens": True}, Reported()),
        ({"prompt_tokens": -1}, Reported()),
        ({"prompt_tokens": 10**30}, Reported()),
        ({"prompt_tokens": 17, "prompt_tokens_details": {"cached_tokens": 8}}, Reported(17, 8)),
        ({"prompt_tokens": 17, "prompt_tokens_details": None}, Reported(17)),
        ({"prompt_tokens": 17, "prompt_tokens_details": [8]}, Reported(17)),
        ({"prompt_tokens": 17, "prompt_tokens_details": {"cached_tokens": -8}}, Reported(17)),
        ({"prompt_tokens": 17, "prompt_tokens_details": {"cache_write_tokens": 9}}, Reported(17, 0, 9)),
        ({"prompt_tokens": 17, "prompt_cache_hit_tokens": 8}, Reported(17, 8)),
        (
            {"prompt_tokens": 17, "cache_read_input_tokens": 8, "cache_creation_input_tokens": 9},
            Reported(17, 8, 9),
        ),
    ],
)
def test_what_the_upstream_reports(usage, expected):
    assert reported(usage) == expected
    assert msgspec.json.encode(reported(usage))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(NAMES, JSON))
def test_whatever_an_upstream_reports_is_counts(usage):
    found = reported(usage)
    assert all(isinstance(count, int) and count >= 0 for count in (found.tokens, found.cached, found.written))
    assert msgspec.json.encode(found)


# --- what it cost


PRICE = Price("p", "*", 2.0, "USD", 0.1, 1.25, 1024, 1, 300.0)
BILL = Bill(Usage(900, 80, 20, 210.0), Usage(9000, 100, 0, 1025.004), Usage(1, 2, 3, 4.0))


def test_a_bill_is_entered_in_its_row():
    row = billed(ROW, BILL, PRICE)
    assert (row.cached_tokens, row.written_tokens, row.fresh_tokens) == (900, 80, 20)
    assert (row.paid, row.rival, row.planned) == (210.0, 1025.0, 4.0)
    assert (row.input, row.unit) == (2.0, "USD")
    assert (row.turn, row.full_tokens, row.sent_tokens) == (ROW.turn, ROW.full_tokens, ROW.sent_tokens)
    assert decode_row(encode_row(row)) == row


def test_a_row_adds_to_the_totals_of_its_conversation_model_tenant_and_day():
    row = msgspec.structs.replace(billed(ROW, BILL, PRICE), at=86_400.0 * 366 - 1)
    found = {tally.kind: (tally.name, tally.amounts) for tally in tallies(row, "c", "t")}
    assert set(found) <= set(KINDS)
    assert {kind: name for kind, (name, _) in found.items()} == {
        "conversation": "c",
        "model": "m",
        "tenant": "t",
        "day": "1971-01-01",
        "share": "live",
    }
    for _, amounts in found.values():
        assert amounts["requests"] == 1
        assert (amounts["full_tokens"], amounts["sent_tokens"], amounts["cached_tokens"]) == (1000, 250, 900)
        assert (amounts["paid"], amounts["rival"], amounts["saved"]) == (210, 1025, 815)
        assert amounts["saved_usd"] == pytest.approx(815 * 2.0 / 1e6)
        assert amounts["paid_usd"] == pytest.approx(210 * 2.0 / 1e6)


def test_a_conversation_that_is_left_alone_is_added_up_apart():
    shadow = msgspec.structs.replace(billed(ROW, BILL, PRICE), share="shadow", planned_tokens=100)
    (share,) = [tally for tally in tallies(shadow, "c", "t") if tally.kind == "share"]
    assert (share.name, share.amounts["planned_tokens"], share.amounts["planned"]) == ("shadow", 100, 4)


def test_no_total_is_kept_without_a_name_nor_in_dollars_where_the_row_has_none():
    row = billed(msgspec.structs.replace(ROW, model=""), BILL, replace(PRICE, unit="input"))
    found = tallies(row, "c", "")
    assert {tally.kind for tally in found} == {"conversation", "day", "share"}
    assert not [name for tally in found for name in tally.amounts if name.endswith("_usd")]
