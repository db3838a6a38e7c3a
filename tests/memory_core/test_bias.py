import time
from dataclasses import replace
from itertools import count as numbers
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory_core.bias import (
    ANCHOR_REACH,
    ANCHORS_MAX,
    NO_BIAS,
    Anchor,
    Bias,
    NegativeAttractor,
    Trigger,
    adjusted,
    anchor_score,
    auto_anchored,
    drifted,
    filtered,
    fired,
    salience,
)
from memory_core.index import Floats, MemoryIndex, quantise
from memory_core.lexical import terms
from tests.support.memories import VOCABULARY, Turn, indexed, texts, unit

D = 4  # few, so that random vectors are near each other often enough
A, B, C, E = np.eye(D, dtype=np.float32)

VECTORS = st.integers(0, 2**16).map(lambda seed: unit(seed, 1, D)[0])
SHARES = st.floats(0, 1)
ANCHORS = st.builds(Anchor, st.just("a"), VECTORS, SHARES)
LONG_ENOUGH = [word for word in VOCABULARY if word != "猫"]
TRIGGERS = st.builds(
    Trigger,
    st.just("t"),
    st.lists(st.sampled_from(LONG_ENOUGH), min_size=1, max_size=3).map(lambda words: (" ".join(words), words[0])),
    VECTORS | st.none(),
    SHARES,
    SHARES,
    st.sampled_from([0.0, 0.5, 1.0, 5.0]),
)
ATTRACTORS = st.builds(NegativeAttractor, st.just("n"), VECTORS, st.floats(0, 0.9), SHARES)


@st.composite
def biases(draw: st.DrawFn) -> Bias:
    def some(kind: st.SearchStrategy[object]) -> tuple[object, ...]:
        return tuple(replace(item, name=str(n)) for n, item in enumerate(draw(st.lists(kind, max_size=3))))

    return Bias(some(ANCHORS), some(TRIGGERS), some(ATTRACTORS))


@st.composite
def scored_logs(draw: st.DrawFn) -> tuple[list[Turn], MemoryIndex, np.ndarray]:
    size = draw(st.integers(1, 12))
    said = draw(st.lists(texts(), min_size=size, max_size=size))
    rows = quantise(unit(draw(st.integers(0, 2**16)), size, D))
    log = [Turn((text,), row[None]) for text, row in zip(said, rows, strict=True)]
    return log, indexed(log, D), np.array(draw(st.lists(SHARES, min_size=size, max_size=size)))


def cosine(left: Floats, right: Floats) -> float:
    return round(float(np.dot(left.astype(float), right.astype(float))), 6)


def expected(log: list[Turn], index: MemoryIndex, scores: np.ndarray, text: str, vector: Floats, bias: Bias) -> list:
    """`adjusted` once more, a memory at a time, as its module says."""
    rows = index.vectors(len(log))
    found = []
    heard = [trigger for trigger in bias.triggers if hears(trigger, text, vector)]
    for row, turn, score in zip(rows, log, scores, strict=True):
        boosts, pushes = [0.0], [0.0]
        for anchor in bias.anchors:
            mean = max(0.0, float(np.mean([cosine(other, anchor.vector) for other in rows])))
            nearer = max(0.0, cosine(row, anchor.vector) - mean) / (1 - mean) if mean < 0.999 else 0.0
            boosts.append(ANCHOR_REACH * anchor.boost * max(0.0, float(vector @ anchor.vector)) * nearer)
        for trigger in heard:
            by_word = any(set(terms(keyword)) <= set(terms(turn.texts[0])) for keyword in trigger.keywords)
            near = trigger.vector is not None and cosine(row, trigger.vector) >= trigger.threshold
            boosts.append(trigger.weight * trigger.boost * (by_word or near))
        for region in bias.negative_attractors:
            depth = max(0.0, cosine(row, region.vector) - region.threshold) / (1 - region.threshold)
            pushes.append(region.penalty * min(1.0, depth) ** 2)
        found.append((score + max(boosts)) * (1 - max(pushes)))
    return found


def hears(trigger: Trigger, text: str, vector: Floats) -> bool:
    said = terms(text)
    for keyword in trigger.keywords if trigger.weight else ():
        wanted = terms(keyword)
        if any(said[start : start + len(wanted)] == wanted for start in range(len(said))):
            return True
    near = trigger.vector is not None and round(float(vector @ trigger.vector), 6) >= trigger.threshold
    return trigger.weight > 0 and near


@settings(deadline=None, max_examples=60)
@given(scored_logs(), texts(), VECTORS, biases())
def test_adjusted_is_what_its_module_says(
    made: tuple[list[Turn], MemoryIndex, np.ndarray], text: str, vector: Floats, bias: Bias
) -> None:
    log, index, scores = made
    before = scores.copy()
    found = adjusted(scores, index, len(log), text, vector, bias)
    assert found == pytest.approx(expected(log, index, scores, text, vector, bias), abs=1e-5)
    assert np.array_equal(scores, before), "the scores given are left alone"
    assert np.array_equal(found, adjusted(scores, index, len(log), text, vector, bias)), "the same again"
    pushed = replace(bias, anchors=(), triggers=())
    assert (adjusted(scores, index, len(log), text, vector, pushed) <= scores).all(), "a push never raises"


@settings(deadline=None, max_examples=25)
@given(scored_logs(), texts(), VECTORS, biases())
def test_later_memories_are_not_felt_and_boosts_combine_by_max(
    made: tuple[list[Turn], MemoryIndex, np.ndarray], text: str, vector: Floats, bias: Bias
) -> None:
    log, index, scores = made
    half = (len(log) + 1) // 2
    alone = adjusted(scores[:half], indexed(log[:half], D), half, text, vector, bias)
    assert adjusted(scores[:half], index, half, text, vector, bias) == pytest.approx(alone, abs=1e-6)
    lifting = [Bias(anchors=(anchor,)) for anchor in bias.anchors] + [Bias(triggers=(t,)) for t in bias.triggers]
    each = [adjusted(scores, index, len(log), text, vector, one) for one in lifting]
    both = adjusted(scores, index, len(log), text, vector, replace(bias, negative_attractors=()))
    assert both == pytest.approx(np.max([scores, *each], axis=0), abs=1e-6)


@settings(deadline=None, max_examples=25)
@given(scored_logs(), texts(), VECTORS, ANCHORS)
def test_an_anchor_overturns_no_clear_order(
    made: tuple[list[Turn], MemoryIndex, np.ndarray], text: str, vector: Floats, anchor: Anchor
) -> None:
    log, index, scores = made
    moved = adjusted(scores, index, len(log), text, vector, Bias(anchors=(anchor,))) - scores
    assert (moved >= -1e-12).all() and (moved <= ANCHOR_REACH * anchor.boost + 1e-6).all()


def three(*vectors: Floats) -> MemoryIndex:
    said = ("red car", "the cars drove", "green tea")
    return indexed([Turn((text,), quantise(v[None])) for text, v in zip(said, vectors, strict=True)], D)


EQUAL = np.full(3, 0.5)


def test_an_anchor_breaks_ties_for_its_domain_and_only_for_questions_about_it() -> None:
    index, bias = three(A, B, C), Bias(anchors=(Anchor("b", B),))
    about, foreign = adjusted(EQUAL, index, 3, "?", B, bias), adjusted(EQUAL, index, 3, "?", C, bias)
    assert about.argmax() == 1 and about[1] == pytest.approx(0.5 + 0.6 * ANCHOR_REACH, abs=1e-3)
    assert about[[0, 2]].tolist() == [0.5, 0.5]
    assert foreign.tolist() == EQUAL.tolist(), "the question is about something else"
    assert adjusted(EQUAL, three(B, B, B), 3, "?", B, bias).tolist() == EQUAL.tolist(), "all are as near"


def test_a_trigger_lifts_what_it_matches_and_weight_decides() -> None:
    index = three(A, B, C)

    def lifted(text: str, vector: Floats, trigger: Trigger) -> list[float]:
        return adjusted(EQUAL, index, 3, text, vector, Bias(triggers=(trigger,))).tolist()

    assert lifted("which CARS?", E, Trigger("t", ("car",))) == [0.8, 0.8, 0.5]
    assert lifted("which scar?", E, Trigger("t", ("car",))) == [0.5, 0.5, 0.5]
    assert lifted("red tea", E, Trigger("t", ("red tea", "red elephant"))) == [0.5, 0.5, 0.5]
    assert lifted("a red car", E, Trigger("t", ("red car", "tea"))) == [0.8, 0.5, 0.8]
    near_c = (0.6 * A + 0.8 * C).astype(np.float32)
    assert lifted("near", near_c, Trigger("t", vector=C)) == [0.5, 0.5, 0.8]
    assert lifted("near", near_c, Trigger("t", vector=C, threshold=0.81)) == [0.5, 0.5, 0.5]
    assert lifted("car", E, Trigger("t", ("car",), C)) == [0.8, 0.8, 0.8], "a fired trigger matches in both ways"
    assert lifted("car", E, Trigger("t", ("car",), weight=0)) == [0.5, 0.5, 0.5]
    heavy = Bias(triggers=(Trigger("t", ("car",), weight=5),))
    outranked = adjusted(np.array([0.0, 0.0, 1.0]), index, 3, "car", E, heavy)
    assert outranked[:2].min() > outranked[2]


def test_a_negative_attractor_pushes_its_region_away_even_where_a_trigger_lifts() -> None:
    near_a = (0.6 * A + 0.8 * B).astype(np.float32)
    index, region = three(A, near_a, C), NegativeAttractor("wrong", A)
    pushed = adjusted(EQUAL, index, 3, "car", E, Bias(negative_attractors=(region,)))
    assert pushed == pytest.approx([0.25, 0.5 * (1 - 0.5 * (0.3 / 0.7) ** 2), 0.5], abs=2e-3)
    both = adjusted(EQUAL, index, 3, "car", E, Bias((), (Trigger("t", ("car",)),), (region,)))
    assert both[0] == pytest.approx(0.4) and both[0] < both[2]


def test_a_log_longer_than_a_block() -> None:
    log = [Turn(("car",), row[None]) for row in quantise(unit(1, 1_100, D))]
    index, scores, bias = indexed(log, D), np.ones(1_100), Bias(negative_attractors=(NegativeAttractor("n", A),))
    wanted = expected(log, index, scores, "", E, bias)
    assert adjusted(scores, index, 1_100, "", E, bias) == pytest.approx(wanted, abs=1e-5)


def test_no_bias_is_false_and_gives_the_scores_themselves() -> None:
    assert not NO_BIAS and not Bias() and Bias(anchors=(Anchor("a", A),))
    assert adjusted(EQUAL, three(A, B, C), 3, "car", A, NO_BIAS) is EQUAL
    assert adjusted(np.zeros(0), MemoryIndex(D), 0, "car", A, Bias((Anchor("a", A),))).shape == (0,)


@settings(deadline=None, max_examples=40)
@given(texts(), VECTORS, st.lists(TRIGGERS, max_size=4))
def test_what_fires_and_how_salient_that_is(text: str, vector: Floats, triggers: list[Trigger]) -> None:
    heard = fired(text, vector, triggers)
    assert [id(t) for t in heard] == [id(t) for t in triggers if hears(t, text, vector)]
    found = salience(text, vector, triggers)
    assert found == pytest.approx(max((t.weight / (1 + t.weight) for t in heard), default=0.0))


@pytest.mark.parametrize(
    ("keyword", "text", "fires"),
    [
        ("deploy", "We deployed it", True),
        ("port", "the airport", False),
        ("pull request", "two PULL requests are open", True),
        ("pull request", "request a pull", False),
        ("straße café", "STRASSE, cafe\u0301", True),
        ("кошка", "Кошка спит", True),
        ("東京", "東京タワーは", True),
        ("สวัสดี", "สวัสดีครับ", True),
    ],
)
def test_keywords_are_whole_words_in_any_script(keyword: str, text: str, fires: bool) -> None:
    assert bool(fired(text, E, (Trigger("t", (keyword,)),))) is fires


def test_a_hostile_input_is_heard_in_linear_time() -> None:
    triggers = tuple(Trigger(str(n), (" ".join(["a"] * n + ["b"]),)) for n in range(1, 9))
    start = time.perf_counter()
    assert fired("a " * 100_000, E, triggers) == ()
    assert time.perf_counter() - start < 2


def test_auto_anchors_are_capped_renewed_and_leave_a_users_own_alone() -> None:
    rows = np.eye(32, dtype=np.float32)
    own = (Anchor("mine", rows[0]), Anchor("mine too", rows[1]))
    made = own
    for turn in range(2, 14):
        made = auto_anchored(made, rows[turn], turn, 0.4)
        assert made[:2] == own and len(made) <= ANCHORS_MAX
    assert [anchor.turn for anchor in made] == [None, None, 8, 9, 10, 11, 12, 13]
    assert auto_anchored(made, rows[20], 14, 0.0) is made, "no switch"
    assert auto_anchored(made, rows[0], 14, 1.0) is made, "the user's own covers it"
    assert auto_anchored(made, np.zeros(32, np.float32), 14, 1.0) is made, "no direction"
    back = auto_anchored(made, rows[9], 14, 0.4)
    assert [anchor.turn for anchor in back] == [None, None, 8, 10, 11, 12, 13, 14]
    again = auto_anchored(back, rows[9], 14, 0.4)
    assert [(a.name, a.turn) for a in again] == [(a.name, a.turn) for a in back]
    assert [a.turn for a in auto_anchored(back, rows[21], 14, 0.4)] == [None, None, 8, 10, 11, 12, 13, 14]
    crowd = tuple(Anchor(str(n), row) for n, row in zip(range(9), rows, strict=False))
    assert auto_anchored(crowd, rows[20], 14, 1.0) == crowd


def test_the_anchor_score_is_a_mean_cosine_and_a_fall_is_reported_once() -> None:
    anchors = (Anchor("a", A), Anchor("b", B))
    assert anchor_score(1.2 * A, anchors) == pytest.approx(0.5)
    assert anchor_score(-A, anchors) == pytest.approx(-0.5)
    assert anchor_score(A, ()) is None and anchor_score(0 * A, anchors) is None
    scores = [None, 0.5, 0.2, 0.1, 0.3, 0.24, None]
    fallen = [drifted(before, after) for before, after in pairwise(scores)]
    assert fallen == [False, True, False, False, True, False]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 9)), st.none() | st.sets(st.integers(0, 9)), st.integers(0, 12))
def test_a_filter_works_before_the_cut(ranked: list[int], kept: set[int] | None, limit: int) -> None:
    passing = [item for item in ranked if kept is None or item in kept]
    assert list(filtered(ranked, None if kept is None else kept.__contains__, limit)) == passing[:limit]


def test_a_filter_looks_no_further_than_it_must() -> None:
    looked: list[int] = []
    assert list(filtered(numbers(), lambda n: looked.append(n) or n % 2 == 1, 2)) == [1, 3]
    assert looked == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Anchor(" ", A), "anchor: a name is missing"),
        (lambda: Anchor("a", A * np.float32("nan")), "finite"),
        (lambda: Anchor("a", A * np.float32(3e38)), "of length 1"),
        (lambda: Anchor("a", A[None]), "shape"),
        (lambda: Anchor("a", A, float("nan")), "anchor 'a': boost must be between 0 and 1, got nan"),
        (lambda: Trigger("t"), "keywords, a vector, or both"),
        (lambda: Trigger("t", "port"), "a tuple of keywords"),
        (lambda: Trigger("t", ("?!",)), "has no word"),
        (lambda: Trigger("t", ("猫",)), "too short for its script"),
        (lambda: Trigger("t", ("a",), weight=-1), "weight must be between 0 and 100"),
        (lambda: NegativeAttractor("n", A, threshold=1.0), "empty"),
        (lambda: Bias((Anchor("a", A), Anchor("a", B))), "stands there twice"),
        (lambda: Bias(triggers=(Trigger("t", ("a",)), Trigger("t", ("b",)))), "triggers: 't' stands there twice"),
        (lambda: Bias((Anchor("a", A),), (), (NegativeAttractor("n", unit(1, 1, 8)[0]),)), "one dimension"),
        (lambda: adjusted(EQUAL, three(A, B, C), 3, "", A, Bias((Anchor("a", unit(1, 1, 8)[0]),))), "dimension 8"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_sentence(make, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        make()
