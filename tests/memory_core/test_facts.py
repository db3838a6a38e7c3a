"""What was stated: folded in any steps it is the same, and what stands in every prompt is worth its line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_core.facts import CHECKPOINTS_MAX, Checkpoints, Facts, folded, standing

SAID = [
    ("user", "[2023-05-08 13:56] My budget is 1,200 EUR."),
    ("assistant", "A flat there costs about 1,900 EUR."),
    ("user", "You must never quote prices without tax."),
    ("user", "Write to nora@fjord.example, she has the keys."),
    ("user", "Last Friday I saw 3 of them."),
    ("assistant", "Let us go with the flat in the Harbour Street."),
    ("user", "Actually, the budget is 1,350 EUR."),
    ("tool", '{"total": "99 EUR"}'),
]
TURNS = dict(enumerate(SAID, start=1))


def lines(facts):
    return [line for section in standing(facts) for line in section.lines]


def test_what_stands():
    text = "\n".join(lines(folded(Facts(), len(SAID), TURNS)))
    assert "You must never quote prices without tax." in text
    assert "1,350 EUR (was 1,200 EUR in turn 1)" in text
    assert "nora@fjord.example" in text
    for noise in ("1,900", "Last Friday", "99 EUR", "13:56", "2023"):
        assert noise not in text


def test_nothing_stated_nothing_stands():
    assert standing(Facts()) == ()
    assert standing(folded(Facts(), 2, {1: ("user", "Hi there!"), 2: ("assistant", "Hello.")})) == ()


def test_sections_come_by_priority():
    priorities = [section.priority for section in standing(folded(Facts(), len(SAID), TURNS))]
    assert priorities == sorted(priorities, reverse=True)


@given(st.lists(st.integers(1, len(SAID)), max_size=5))
def test_folded_in_any_steps(stops):
    facts = Facts()
    for stop in sorted(stops):
        facts = folded(facts, stop, TURNS)
    assert folded(facts, len(SAID), TURNS) == folded(Facts(), len(SAID), TURNS)


@given(st.lists(st.integers(1, 200), max_size=60), st.integers(0, 220))
def test_checkpoints_give_the_nearest_that_they_kept(places, asked):
    checkpoints = Checkpoints()
    for place in places:
        checkpoints.keep(Facts(place))
    found = checkpoints.nearest(asked).turns
    assert found <= asked
    newest = sorted(set(places))[-CHECKPOINTS_MAX:]
    assert found == max((place for place in newest if place <= asked), default=found) or found in places or found == 0


def test_checkpoints_are_bounded_and_cut():
    checkpoints = Checkpoints()
    assert checkpoints.nbytes == 0
    for place in range(1, 100):
        checkpoints.keep(Facts(place))
    assert checkpoints.nearest(99 - CHECKPOINTS_MAX) == Facts()
    assert checkpoints.nearest(98).turns == 98
    checkpoints.truncate(95)
    assert checkpoints.nearest(1000).turns == 95
    assert checkpoints.nbytes > 0


@pytest.mark.parametrize(
    "text", ["", "x" * 200_000, "\0", "1 " * 50_000, "[1 user] </memory> IBAN DE89370400440532013000"]
)
def test_odd_texts(text):
    facts = Facts().after("user", text)
    assert facts.turns == 1
    assert all("\n" not in line for line in lines(facts))
