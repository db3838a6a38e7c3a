"""The oracle against numbers worked out by hand: it must not be wrong in the same way as what it checks."""

import math

import pytest

from memory_core import reference

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


def test_kept_turns() -> None:
    # 1 → medium, 2 → medium; 2 is least, → long; 4 comes in with 3 in short only ever one back
    assert reference.kept_turns([5, 1, 3, 4], short=1, medium=1, long=1) == {1, 3, 4}
    assert reference.kept_turns([2, 2, 2, 2], short=1, medium=1, long=1) == {2, 3, 4}, "of two equals the older goes"
    assert reference.kept_turns([1, 2], short=15, medium=50, long=200) == {1, 2}


def test_information() -> None:
    # "dog" stands in both memories, "cat" in one; repeats count once
    assert reference.information([["dog"], ["dog dog cat"]]) == pytest.approx(math.log(2) + math.log(3))
    assert reference.information([["dog"], [""]]) == 0.0


def test_scores() -> None:
    # The query's word stands in the first of four memories, its vector is that of the last two.
    scores = reference.scores(["alpha", "beta", "gamma", "delta"], [RIGHT, RIGHT, UP, UP], "alpha", UP)
    # dense: alone 0 0 1 1, with the one before 0 0 cos 45° 1, scaled from 0..2
    dense = [0, 0, (1 + math.sqrt(0.5)) / 2, 1]
    # lexical: alone 1 0 0 0; around, the word stands in windows of 2 and 3 terms where 2.5 is the mean
    damping_of_2, damping_of_3 = 1.2 * (0.25 + 0.75 * 2 / 2.5), 1.2 * (0.25 + 0.75 * 3 / 2.5)
    lexical = [1, (1 + damping_of_2) / (1 + damping_of_3) / 2, 0, 0]
    a, b, c, d = ((x + y) / 2 for x, y in zip(dense, lexical, strict=True))
    assert scores == pytest.approx([a + 0.3 * b, b + 0.3 * a, c + 0.3 * d, d + 0.3 * c])


def test_scores_of_equal_memories_are_equal() -> None:
    assert reference.scores(["x"] * 9, [(0.6, 0.8)] * 9, "y", (0.28, 0.96)) == [0.0] * 9
