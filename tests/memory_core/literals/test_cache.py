"""Literals folded turn by turn: what is kept, what comes first, what corrects what."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_core.literals import Entry, LiteralCache, add, best, line
from memory_core.literals.cache import READ_CHARS_MAX

Turns = list[tuple[str, str]]


def fold(turns: Turns, capacity: int = 256) -> LiteralCache:
    cache = LiteralCache(capacity)
    for number, (role, text) in enumerate(turns, start=1):
        cache = add(cache, number, role, text)
    return cache


def entry(cache: LiteralCache, text: str) -> Entry:
    (found,) = (kept for kept in cache.entries if kept.text == text)
    return found


def test_a_later_statement_supersedes_and_both_are_told() -> None:
    cache = fold(
        [
            ("user", "The budget is 1,100 USD for now."),
            ("assistant", "Noted."),
            ("user", "I asked my wife. The budget is 1,247.38 USD."),
        ]
    )
    newer, older = best(cache, 10)
    assert line(newer) == "[3 user] budget: 1,247.38 USD (was 1,100 USD in turn 1)"
    assert line(older) == "[1 user] budget: 1,100 USD (superseded in turn 3)"
    assert best(cache, 1) == (newer,)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("My flight number is LH1234.", "The new flight number is LH456."),
        ("We fly with flight LH1234.", "It is now flight LH456."),
        ("deadline: 2026-03-01", "Please move the deadline to March 5, 2026."),
        ("The meeting is at 9:30.", "The meeting was moved from 9:30 to 10:15."),
        ("Das Budget beträgt 1.000,00 €.", "Das Budget beträgt 1.247,38 €."),
        ("我的预算是5000元", "我的预算是6000元"),
        ("The budget is 1,100 USD.", "Actually, make it 1,300 USD."),
        ("The budget is 1,100 USD.", "1,300 USD instead, please."),
        ("My name is Ada.", "My name is Ida."),
        ('The password is "blue".', 'The password is "green".'),
    ],
)
def test_ways_to_correct(before: str, after: str) -> None:
    cache = fold([("user", before), ("assistant", "I see."), ("user", after)])
    current = [kept for kept in cache.entries if not kept.superseded and kept.key]
    assert [kept.superseded for kept in cache.entries if kept.turn == 1] == [3]
    assert [(kept.turn, kept.was_turn) for kept in current] == [(3, 1)]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("The budget is 1,100 USD.", "The deposit is 300 USD."),  # another subject
        ("The meeting is on March 5.", "The meeting is at 9:30."),  # an hour completes a day
        ("My weight is 80 kg.", "His weight is 90 kg."),  # another person
        ("The budget is 1,100 USD.", "My rent is 300 USD, and I have 20 USD on me."),
        ("The price is 5 USD.", "price: 7 USD\nprice: 9 USD"),  # a list corrects nothing
        ("The budget is 1,100 USD.", "The budget is $1,100.00."),  # the same in other words
        ("The budget is 1,100 USD.", "There is no fee, I actually paid 20 USD."),
        ("The budget is 1,100 USD.", "Take a train instead of a cab for 20 USD."),
    ],
)
def test_what_is_no_correction(before: str, after: str) -> None:
    cache = fold([("user", before), ("user", after)])
    assert not any(kept.superseded or kept.was for kept in cache.entries)


def test_the_records_of_a_tool_correct_nothing() -> None:
    cache = fold([("user", "price: 5 USD"), ("tool", '{"price": "7 USD"}')])
    assert not any(kept.superseded for kept in cache.entries)


def test_only_the_user_brings_a_superseded_value_back() -> None:
    turns = [("user", "The budget is 1,100 USD."), ("user", "The budget is 1,300 USD.")]
    echoed = fold([*turns, ("assistant", "At first the budget was 1,100 USD.")])
    assert line(best(echoed, 1)[0]) == "[2 user] budget: 1,300 USD (was 1,100 USD in turn 1)"
    back = fold([*turns, ("user", "The budget is 1,100 USD again.")])
    assert line(best(back, 1)[0]) == "[3 user] budget: 1,100 USD (was 1,300 USD in turn 2)"
    assert entry(back, "1,300 USD").superseded == 3


def test_a_repeated_value_is_one_entry_of_the_user_who_said_it() -> None:
    cache = fold(
        [("assistant", "Is it for LH1234?"), ("user", "Yes, my flight number is LH1234."), ("assistant", "LH1234!")]
    )
    (kept,) = cache.entries
    assert (kept.turn, kept.role, kept.last, kept.mentions, kept.key) == (2, "user", 3, 3, "flight number")


def test_numbers_go_before_what_cannot_be_guessed() -> None:
    said = "Please pay to DE89 3704 0044 0532 0130 00, my phone is +49 30 1234567."
    flood: Turns = [("assistant", f"Item {n} of {n + 7}: {n * 13} pieces, {n * 17} left.") for n in range(10, 400)]
    cache = fold([("user", said), *flood], capacity=32)
    assert len(cache.entries) == 32
    assert {kept.kind for kept in best(cache, 2)} == {"iban", "phone"}


def test_users_words_keys_and_late_mentions_weigh_more() -> None:
    def weight(*turns: tuple[str, str]) -> float:
        return max(kept.weight for kept in fold(list(turns)).entries)

    plain = weight(("assistant", "ok"), ("assistant", "maybe 80 kg of it"))
    assert weight(("assistant", "ok"), ("user", "maybe 80 kg of it")) > plain
    assert weight(("assistant", "ok"), ("assistant", "the weight is 80 kg")) > plain
    assert weight(("assistant", "maybe 80 kg of it"), ("assistant", "maybe 80 kg of it")) > plain
    assert weight(*[("assistant", "ok")] * 50, ("assistant", "maybe 80 kg of it")) > plain


def test_a_value_without_key_is_shown_in_its_words() -> None:
    cache = fold([("user", "the train leaves at 18:35 from platform 4")])
    assert line(entry(cache, "18:35")) == "[1 user] the train leaves at 18:35 from platform 4"


def test_a_quotation_of_one_value_and_the_words_in_a_quotation_are_not_kept_twice() -> None:
    cache = fold([("user", 'open "https://example.org/x" and say "LH1234 has 3 seats"')])
    assert [kept.text for kept in cache.entries] == ["https://example.org/x", '"LH1234 has 3 seats"']


def test_a_turn_without_literals_changes_nothing() -> None:
    cache = fold([("user", "The budget is 1,100 USD.")])
    assert add(cache, 2, "assistant", "That sounds good to me.") is cache


def test_of_a_long_turn_both_ends_are_read_and_no_value_is_halved() -> None:
    middle = "1234567890 " * (READ_CHARS_MAX // 11)
    cache = fold([("user", f"a@example.org {middle}5555555555 {middle} z@example.org")])
    texts = {kept.text for kept in cache.entries}
    assert {"a@example.org", "z@example.org"} <= texts
    assert texts <= {"a@example.org", "z@example.org", "1234567890"}


PIECES = st.sampled_from(
    [
        "The budget is 5 USD. ",
        "The budget is 7 USD. ",
        "Actually, make it 9 USD. ",
        "a@b.org ",
        "flight LH1234 ",
        "flight LH99 ",
        "my cat is called Ira. ",
        "12 ",
        "5 ",
        "at 9:30 ",
        '"quoted words" ',
        "plain words ",
    ]
)
TURNS = st.lists(
    st.tuples(st.sampled_from(["user", "assistant", "tool"]), st.lists(PIECES, max_size=4).map("".join)), max_size=12
)


@given(TURNS, st.integers(1, 6), st.integers(0, 12))
def test_a_fold_is_bounded_pure_and_the_same_however_it_is_cut(turns: Turns, capacity: int, cut: int) -> None:
    whole = fold(turns, capacity)
    begun = fold(turns[:cut], capacity)
    copy = LiteralCache(begun.capacity, begun.entries, begun.seen)
    resumed = begun
    for number, (role, text) in enumerate(turns[cut:], start=len(turns[:cut]) + 1):
        resumed = add(resumed, number, role, text)
    assert begun == copy
    assert resumed == whole == fold(turns, capacity)
    assert len(whole.entries) <= capacity
    for kept in whole.entries:
        assert 1 <= kept.turn <= kept.last <= len(turns)
        assert kept.text in turns[kept.turn - 1][1]
        assert kept.role == turns[kept.turn - 1][0]
        assert kept.was_turn < kept.turn
        assert kept.superseded == 0 or kept.superseded > kept.turn
        assert "\n" not in line(kept)


@given(TURNS)
def test_a_subject_has_one_current_value_unless_one_turn_gave_several(turns: Turns) -> None:
    said: Turns = [
        (role, text) for role, text in turns if role != "tool" and text.count("budget") + text.count("make") < 2
    ]
    cache = fold(said)
    budgets = [kept for kept in cache.entries if kept.key == "budget"]
    assert len([kept for kept in budgets if not kept.superseded]) == bool(budgets)


@given(TURNS, st.integers(0, 9))
def test_the_best_are_the_most_salient_with_corrected_ones_last(turns: Turns, limit: int) -> None:
    cache = fold(turns)
    ranked = best(cache, limit)
    assert len(ranked) == min(limit, len(cache.entries))
    assert all(bool(left.superseded) <= bool(right.superseded) for left, right in pairwise(ranked))
    for left, right in pairwise(ranked):
        if (left.kind, bool(left.superseded)) == (right.kind, bool(right.superseded)):
            assert left.weight >= right.weight
    assert best(cache, 99)[:limit] == ranked
