"""The tiers through the fold, against the oracle that keeps them in plain Python; then their rules one by one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory_core import reference
from memory_core.fold import Fold
from memory_core.index import quantise, unit_rows
from memory_core.retention import importance, score
from memory_core.state import Capacities, Kept
from memory_core.tiers import FOLLOWERS_MAX, Tiers, accessed, entered
from tests.support.memories import unit

D = 8
SMALL = Capacities(2, 3, 5)
SAID = ["the cat sleeps", "the  CAT sleeps", "a dog", "is 7431 the code?", "the code is 7431", "Ann owes Bob", ""]


@st.composite
def heard(draw: st.DrawFn) -> reference.Heard:
    """A turn in one of four directions or between two, so that turns are near each other, alike, or neither."""
    texts = draw(st.lists(st.sampled_from(SAID), min_size=1, max_size=2))
    rows = np.zeros((len(texts), D), np.float32)
    for row in rows:
        row[draw(st.integers(0, 3))] += 1.0
        row[draw(st.integers(0, 7))] += draw(st.sampled_from([0.0, 0.1, 0.5, 0.9]))
    vectors = unit_rows(quantise(rows)).tolist()
    return reference.Heard(texts, vectors, draw(st.booleans()), draw(st.sampled_from([0.5, 1.0, 1.0, 2.0])))


def folded(turns: list[reference.Heard], capacities: Capacities) -> Fold:
    fold = Fold(D, capacities)
    for number, turn in enumerate(turns):
        rows = quantise(np.array(turn.vectors, np.float32))
        given_importance = {"importance": str(turn.importance / importance(turn.texts))}  # test_retention has the rest
        fold.append(number.to_bytes(4, "big"), rows, turn.texts, is_input=turn.is_input, meta=given_importance)
    return fold


@settings(deadline=None, max_examples=80)
@given(st.lists(heard(), max_size=30), st.tuples(*[st.integers(0, 4)] * 3), st.booleans())
def test_the_tiers_keep_what_the_oracle_keeps(
    turns: list[reference.Heard], sizes: tuple[int, int, int], fifo: bool
) -> None:
    state = folded(turns, Capacities(*sizes, "fifo" if fifo else "retention")).state_at(len(turns))
    state.check()
    expected = reference.kept(turns, sizes, fifo=fifo)
    places = {kept.turn: place for place, tier in enumerate((state.short, state.medium, state.long)) for kept in tier}
    found = [(k.turn, places[k.turn], k.accesses, k.touched, k.leader) for k in state.kept]
    assert found == [(s.turn, s.place, s.accesses, s.touched, s.leader) for s in expected]
    assert [k.weight for k in state.kept] == pytest.approx([slot.weight for slot in expected], abs=1e-6)


def tier(*weights: float, first: int = 1, leader: int = 0) -> tuple[Kept, ...]:
    return tuple(Kept(first + place, 1.0, weight, leader=leader) for place, weight in enumerate(weights))


def turns_of(kept: tuple[Kept, ...]) -> list[int]:
    return [each.turn for each in kept]


def test_first_in_first_out_keeps_the_last_turns_whatever_they_weigh() -> None:
    tiers = Tiers((), (), ())
    for turn in range(1, 31):
        tiers = entered(tiers, (Kept(turn, 1.0, 1.0 / turn),), Capacities(2, 3, 5, "fifo"), turn)
        tiers = accessed(tiers, 3, turn, "fifo")
    assert [turns_of(each) for each in tiers] == [[29, 30], [26, 27, 28], [21, 22, 23, 24, 25]]


def test_of_two_equals_the_older_goes() -> None:
    full = Tiers((), (), tier(1.0, 1.0, 1.0))
    # touched at the same turn, so that recency does not tell them apart
    level = tuple(Kept(k.turn, 1.0, 1.0, accesses=1, touched=4) for k in full.long)
    assert turns_of(entered(Tiers((), (), level), (), Capacities(0, 0, 2), 9).long) == [2, 3]


def test_recency_alone_keeps_the_newer_of_equal_weights() -> None:
    assert turns_of(entered(Tiers((), (), tier(1.0, 1.0, 1.0)), (), Capacities(0, 0, 2), 9).long) == [2, 3]
    assert turns_of(entered(Tiers((), (), tier(1.5, 1.0, 1.5)), (), Capacities(0, 0, 2), 9).long) == [1, 3]


@given(
    st.lists(st.tuples(st.sampled_from([0.95, 1.0, 1.1, 1.15]), st.sampled_from([0, 90, 400])), min_size=1, max_size=4)
)
def test_the_one_that_goes_has_the_lowest_score(kept: list[tuple[float, int]]) -> None:
    long = tuple(
        Kept(turn, 1.0, weight, accesses=min(touched, 3), touched=touched and 20 + touched)
        for turn, (weight, touched) in enumerate(kept, start=1)
    )
    left = entered(Tiers((), (), long), (), Capacities(0, 0, len(long) - 1), 450).long
    least = min(long, key=lambda each: (score(each, 450), each.turn))
    assert left == tuple(each for each in long if each is not least)


def test_an_access_lifts_a_turn_of_the_long_term_back_to_medium() -> None:
    tiers = accessed(Tiers(tier(1.0, first=9), tier(1.0, first=5), tier(1.0, 1.0)), 2, 10, "retention")
    assert [turns_of(each) for each in tiers] == [[9], [2, 5], [1]]
    assert tiers.medium[0] == Kept(2, 1.0, 1.0, accesses=1, touched=10)
    settled = entered(tiers, (), Capacities(1, 1, 2), 10)
    assert [turns_of(each) for each in settled] == [[9], [2], [1, 5]], "it holds its place there: the other falls"


def test_an_access_of_what_no_tier_keeps_changes_nothing() -> None:
    tiers = Tiers(tier(1.0, first=9), (), ())
    assert accessed(tiers, 4, 10, "retention") is tiers


def test_a_crowd_that_follows_one_leader_goes_first_however_much_it_weighs() -> None:
    followers = tier(*[9.0] * (FOLLOWERS_MAX + 1), first=2, leader=1)
    others = tier(*[0.1] * 4, first=20)
    long = entered(Tiers((), (), (Kept(1, 1.0, 9.0), *followers, *others)), (), Capacities(0, 0, 13), 99).long
    assert len(long) == 13
    assert turns_of(long) == [1, *range(3, 3 + FOLLOWERS_MAX), 20, 21, 22, 23], "its oldest follower went"


def test_a_model_that_repeats_itself_does_not_push_out_what_was_said() -> None:
    fold, rows = Fold(64), unit(0, 302, 64)
    fold.update(rows[0], "My sister Anna moved to Lisbon in May.")
    for _ in range(400):
        fold.update(rows[1], "I am sorry, but as a language model I cannot help you with that.", {"role": "assistant"})
    assert 1 in turns_of(fold.state_at(fold.turns).kept)
    for number, row in enumerate(rows[2:]):
        fold.update(row, f"Remark{number} about thing{number} and matter{number}.")
    state = fold.state_at(fold.turns)
    assert sum(2 <= turn <= 401 for turn in turns_of(state.kept)) <= 1 + FOLLOWERS_MAX


def test_clusters_name_every_turn_of_the_long_term_once() -> None:
    fold = Fold(D, Capacities(1, 1, 30))
    rows = np.eye(D, dtype=np.float32)
    for number in range(12):
        fold.update(rows[number % 3] + 0.05 * rows[3 + number % 5], f"remark number {number} on subject {number % 3}")
    state = fold.state_at(12)
    assert sorted(turn for cluster in state.clusters for turn in cluster) == turns_of(state.long)
    assert len(state.clusters) == 3
    assert all(len({(turn - 1) % 3 for turn in cluster}) == 1 for cluster in state.clusters)
