"""The measurement counts as it says, and what it measures stays as good as it was."""

import json

import pytest

from benchmarks import literals

SPANS = [
    {"Text": "5 usd", "Start": 0, "End": 4, "TypeName": "currency"},
    {"Text": "7 usd", "Start": None, "End": None, "TypeName": "currency"},
]


def test_gold_spans_are_half_open_and_found_again_without_offsets() -> None:
    case: dict[str, object] = {
        "model": "CurrencyModel",
        "input": "5 USD, then 7 USD or 7 USD",
        "results": [*SPANS, SPANS[1]],
    }
    assert literals.gold_spans(case)["money"] == [(0, 5), (12, 17), (21, 26)]


def test_exact_and_touched_are_counted_once_each() -> None:
    count = literals.Count()
    count.add([(0, 5), (10, 20)], [(0, 5), (10, 12), (13, 15), (30, 31)])
    assert (count.gold, count.found, count.exact, count.touched) == (2, 4, 1, 2)
    assert count.row("money") == "| money | 2 | 4 | 0.250 | 0.500 | 0.333 | 0.500 | 1.000 | 0.667 |"


def test_only_the_kinds_of_a_cases_recogniser_count() -> None:
    case: dict[str, object] = {"model": "CurrencyModel", "input": "5 USD on 2026-03-01", "results": SPANS[:1]}
    counts = literals.measure([case])
    assert set(counts) == {"money"}
    assert (counts["money"].gold, counts["money"].found, counts["money"].exact) == (1, 1, 1)
    assert literals.render(counts).count("\n") == 3


@pytest.mark.skipif(not literals.DATA.exists(), reason="the data of Recognizers-Text is not beside this checkout")
def test_recall_and_precision_have_not_fallen() -> None:
    """A little under what was measured, so that a change of one rule does not fail but a lost one does."""
    counts = literals.measure(json.loads(literals.DATA.read_text(encoding="utf-8")))
    exact = {kind: count.exact / max(count.gold, count.found, 1) for kind, count in counts.items()}
    floors = {"phone": 0.93, "url": 0.8, "money": 0.8, "quantity": 0.7, "percentage": 0.7, "date": 0.7, "period": 0.65}
    floors |= dict.fromkeys(("email", "ip", "uuid", "mention", "hashtag", "quoted", "age"), 1.0)
    assert {kind: exact[kind] for kind, floor in floors.items() if exact[kind] < floor} == {}
