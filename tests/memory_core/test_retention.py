import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_core.retention import density, importance, score
from memory_core.state import Kept


def test_density_is_mass_over_the_root_of_the_terms() -> None:
    assert density(12.0, 9) == pytest.approx(4.0)
    assert density(12.0, 0) == 12.0
    for nothing in (0.0, -1.0, math.nan, math.inf):
        assert density(nothing, 9) == 0.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("i like tea a lot", 1.0),
        ("do you like tea?", 0.5),
        ("i like tea a lot. do you like it ?", 1 - 0.5 * 17 / 34),
        ("we met in Lisbon", 1.25),
        ("We met in town", 1.0),  # a capital that begins a sentence names nobody
        ("so. Then I'm off", 1.0),  # nor does the pronoun
        ("the code is 7431 now", 1.2),
        ("你好吗？", 0.5),
        ("", 1.0),
        (" \n ", 1.0),
    ],
)
def test_importance_at_points_worked_out_by_hand(text: str, expected: float) -> None:
    assert importance([text]) == pytest.approx(expected)


def test_a_long_text_counts_as_its_chunks_do() -> None:
    assert importance(["i like tea. ", "do you ?"]) == pytest.approx(1 - 0.5 * 8 / 20)


@pytest.mark.parametrize(
    ("given_one", "factor"),
    [("2", 2.0), ("0", 0.0), ("9", 5.0), ("-3", 0.0), ("much", 1.0), ("nan", 1.0), ("inf", 1.0), ("", 1.0)],
)
def test_meta_outranks_silences_or_is_no_number(given_one: str, factor: float) -> None:
    assert importance(["tea"], {"importance": given_one}) == factor


def test_what_triggers_add_is_a_factor_within_bounds() -> None:
    assert importance(["tea"], None, 0.5) == 1.5
    assert importance(["tea"], {"importance": "2"}, 0.5) == 3.0
    assert importance(["tea"], None, -1.0) == importance(["tea"], None, math.nan) == 1.0
    assert importance(["tea"], None, 100.0) == 6.0


@given(st.lists(st.text(), max_size=4), st.dictionaries(st.just("importance"), st.text()), st.floats())
def test_importance_is_a_number_of_sane_size_whatever_comes(
    texts: list[str], meta: dict[str, str], salience: float
) -> None:
    assert 0.0 <= importance(texts, meta, salience) <= 2 * 6 * 5


def test_score_at_points_worked_out_by_hand() -> None:
    assert score(Kept(10, 1.0, 2.0), 10) == pytest.approx(2.4)
    assert score(Kept(10, 1.0, 2.0), 210) == pytest.approx(2.2)
    assert score(Kept(10, 1.0, 2.0, accesses=1, touched=210), 210) == pytest.approx(2 * (1.2 + 0.05 * math.log(2)))


@given(st.floats(0, 100), st.integers(0, 50), st.integers(0, 10_000))
def test_a_score_is_at_least_its_weight_and_only_falls_with_age(weight: float, accesses: int, age: int) -> None:
    kept = Kept(1, 1.0, round(weight, 9), accesses)
    assert kept.weight <= score(kept, 2 + age) <= score(kept, 1 + age)


@pytest.mark.parametrize("piece", ["?", "a", "a?", ". ", "A9 ", "\n", " "])
def test_hostile_texts_take_linear_time(piece: str) -> None:
    started = time.perf_counter()
    importance([piece * (200_000 // len(piece))])
    assert time.perf_counter() - started < 1.0
