"""The oracle against numbers worked out by hand: it must not be wrong in the same way as what it checks."""

import math
from dataclasses import astuple
from datetime import date

import pytest

from memory_core import recall, reference
from memory_core.dates import Days

RIGHT, UP = (1.0, 0.0), (0.0, 1.0)


def test_cosine() -> None:
    assert reference.cosine(RIGHT, (3.0, 4.0)) == pytest.approx(0.6)
    assert reference.cosine(RIGHT, (0.0, 0.0)) == 0.0
    with pytest.raises(ValueError, match="shorter"):
        reference.cosine(RIGHT, (1.0,))


def test_state_vector() -> None:
    assert reference.state_vector([], 2) == [0.0, 0.0]
    assert reference.state_vector([RIGHT], 2) == pytest.approx([0.95, 0.0])
    # the same again: beta .35, so .35 · .95 + .65
    assert reference.state_vector([RIGHT, RIGHT], 2) == pytest.approx([0.9825, 0.0])
    # something new: beta .05
    assert reference.state_vector([RIGHT, UP], 2) == pytest.approx([0.0475, 0.95])
    assert reference.state_vector([(9.0, 0.0)], 2) == pytest.approx([1.2, 0.0])


def heard(text: str, vector: tuple[float, ...] = RIGHT, *, is_input: bool = False) -> reference.Heard:
    return reference.Heard([text], [vector], is_input)


def test_kept() -> None:
    # one term each, never said before: density ln(1 + n), so weight ln(1 + n) over the mean so far
    said = [heard("alpha"), heard("beta"), heard("gamma")]
    first, second, third = (math.log(1 + n) for n in (1, 2, 3))
    weights = [1.0, 2 * second / (first + second), 3 * third / (first + second + third)]
    apart = [reference.kept([*said[:n]], (15, 50, 200))[-1].weight for n in (1, 2, 3)]
    assert apart == pytest.approx(weights)
    # all three fit one each: the first falls twice
    assert [(slot.turn, slot.place) for slot in reference.kept(said, (1, 1, 1))] == [(1, 2), (2, 1), (3, 0)]
    # one place in all but short term: the lightest goes, and that is the first
    assert [slot.turn for slot in reference.kept(said, (1, 0, 1))] == [2, 3]
    assert [slot.turn for slot in reference.kept(said, (1, 0, 1), fifo=True)] == [2, 3]


def test_kept_counts_what_comes_back_and_groups_what_is_near() -> None:
    # 3-4-5: cosine .6 to the first is an access, .8 to the second is a cluster
    said = [heard("a", RIGHT), heard("b", (0.0, 1.0)), heard("c", (0.6, 0.8), is_input=True)]
    slots = reference.kept(said, (5, 5, 5))
    assert [(slot.accesses, slot.touched, slot.leader) for slot in slots] == [(0, 0, 0), (1, 3, 0), (0, 0, 2)]


def test_kept_takes_the_same_said_again_for_an_access() -> None:
    twice = [heard("Tea, please", is_input=True), heard("tea,  PLEASE", is_input=True)]
    [slot] = reference.kept(twice, (5, 5, 5))
    assert (slot.turn, slot.accesses, slot.touched) == (1, 1, 2)
    assert len(reference.kept([heard("tea"), heard("tea")], (5, 5, 5))) == 2, "only what the user says again"
    other_words = [heard("code 7431", is_input=True), heard("code 7432", is_input=True)]
    assert len(reference.kept(other_words, (5, 5, 5))) == 2


def test_similarities() -> None:
    assert reference.similarities([RIGHT, RIGHT, UP], 2) == pytest.approx([1.0, 0.0])
    assert reference.similarities([], 2) == []


def test_topic_switch() -> None:
    assert reference.topic_switch([0.5, 0.5], 0.0) == 0.0
    assert reference.topic_switch([0.5, 0.5, 0.5], 0.1) == pytest.approx(0.8)
    assert reference.topic_switch([0.5, 0.5, 0.5], 0.25) == 0.0
    assert reference.topic_switch([0.1, 0.1, 0.1], 0.0) == 0.0, "a fall of a tenth is no news"
    assert reference.topic_switch([0.9, 0.9, 0.5, 0.5, 0.5, 0.5, 0.5], -0.9) == 1.0


def test_information() -> None:
    # "dog" stands in both memories, "cat" in one; repeats count once
    assert reference.information([["dog"], ["dog dog cat"]]) == pytest.approx(math.log(2) + math.log(3))
    assert reference.information([["dog"], [""]]) == 0.0


def test_scores() -> None:
    # The query's word stands in the first of four memories, its vector is that of the last two.
    turns = [(True, [text]) for text in ("alpha", "beta", "gamma", "delta?")]
    scores = reference.scores(turns, [RIGHT, RIGHT, UP, UP], "alpha", UP)
    cosine, pair = [0, 0, 1, 1], [0, 0, math.sqrt(0.5), 1]
    # near: the word stands in windows of 2 and 3 terms where 2.5 is the mean; wider windows hold all four alike
    damping_of_2, damping_of_3 = 1.2 * (0.25 + 0.75 * 2 / 2.5), 1.2 * (0.25 + 0.75 * 3 / 2.5)
    near = [1, (1 + damping_of_2) / (1 + damping_of_3), 0, 0]
    coverage, states = [1, 0, 0, 0], [1, 1, 1, 0]
    weight = recall.WEIGHTS
    parts = [(weight.cosine, cosine), (weight.pair, pair), (weight.near, near), (weight.coverage, coverage)]
    parts.append((weight.states, states))
    total = sum(astuple(weight)) - weight.date
    assert scores == pytest.approx([sum(share * row[i] for share, row in parts) / total for i in range(4)])


def test_scores_of_voice_and_time() -> None:
    turns = [(True, ["Ann: hi"]), (False, ["Bob: hi"]), (True, ["Ann: hi yesterday"]), (True, ["Ann: hi"])]
    vectors, weight = [RIGHT] * 4, recall.WEIGHTS
    by_name, neither, mine, yours = (
        reference.scores(turns, vectors, query, UP) for query in ("Ann?", "zzz", "my zzz", "what you told me of zzz")
    )
    step, total = weight.voice, sum(astuple(weight)) - weight.date
    assert [a - b for a, b in zip(mine, neither, strict=True)] == pytest.approx(
        [step / total, 0, step / total, step / total]
    )
    assert [a - b for a, b in zip(yours, neither, strict=True)] == pytest.approx([0, step / total, 0, 0])
    assert neither[2] - neither[0] == pytest.approx(weight.when / total)
    assert by_name[0] > by_name[1] + step / total - 1e-9


def test_scores_of_dates_and_of_borrowed_terms() -> None:
    # the first has no day, the second has one, the third inherits it, the fourth is 6 days later, 6 of 7 lost
    stamped = ["hi", "[2023-05-08] hi", "hi", "[2023-05-14] hi"]
    turns, vectors, weight = [(True, [text]) for text in stamped], [RIGHT] * 4, recall.WEIGHTS
    total, day = sum(astuple(weight)), date(2023, 5, 8).toordinal()
    plain = reference.scores(turns, vectors, "zzz", UP)
    dated = reference.scores(turns, vectors, "zzz", UP, days=Days(day - 1, day))
    gains = [a - b * (total - weight.date) / total for a, b in zip(dated, plain, strict=True)]
    assert gains == pytest.approx([weight.date / total * share for share in (0, 1, 1, 1 / 7)])


def test_a_borrowed_term_counts_by_its_share_and_an_own_one_in_full() -> None:
    # Far apart, so that no window holds two; each term stands once, so all are equally rare.
    said = [(True, ["zz"]) for _ in range(60)]
    for place, text in ((10, "alpha"), (30, "beta"), (50, "gamma")):
        said[place] = (True, [text])
    lent = reference.scores(said, [RIGHT] * 60, "alpha", UP, borrowed_terms={"beta": 0.5, "gamma": 0.0, "alpha": 0.1})
    weight = recall.WEIGHTS
    lexical = weight.near + weight.around
    total = sum(astuple(weight)) - weight.date
    found = [(lent[place] - lent[0]) * total for place in (10, 30, 50)]
    assert found == pytest.approx([lexical + weight.coverage / 1.5, lexical / 2 + weight.coverage / 3, 0])


def test_scores_of_equal_memories_are_equal() -> None:
    scores = reference.scores([(True, ["x"])] * 9, [(0.6, 0.8)] * 9, "y", (0.28, 0.96))
    assert scores == [scores[0]] * 9
