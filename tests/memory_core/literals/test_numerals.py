"""Written numbers to Decimal and back."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_core.literals.numerals import parse_digits, parse_words, plain

AMOUNTS = st.decimals(min_value=0, max_value=10**12, places=2)


@given(AMOUNTS)
def test_english_german_swiss_and_french_marks_are_the_same(amount: Decimal) -> None:
    english = f"{amount:,}"
    swapped = english.translate(str.maketrans(",.", ".,"))
    assert parse_digits(english) == amount
    assert parse_digits(swapped) == amount
    assert parse_digits(english.replace(",", "'")) == amount
    assert parse_digits(swapped.replace(".", "\u202f")) == amount


@given(AMOUNTS)
def test_plain_is_the_shortest_form_of_the_same_amount(amount: Decimal) -> None:
    assert Decimal(plain(amount)) == amount
    assert plain(amount) == plain(amount * Decimal("1.000"))


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1,247", "1247"),
        ("1.247", "1.247"),
        ("1,3", "1.3"),
        ("0,125", "0.125"),
        ("1,00,000", "100000"),
        ("1.247.380", "1247380"),
        ("½", "0.5"),
        ("٣٫٥", "3.5"),
        ("１２", "12"),
        ("007", "7"),
    ],
)
def test_marks_alone(written: str, value: str) -> None:
    assert parse_digits(written) == Decimal(value)


def test_points_group_where_the_currency_says_so() -> None:
    assert parse_digits("1.247", point_groups=True) == 1247
    assert parse_digits("1.24", point_groups=True) == Decimal("1.24")
    assert parse_digits("0.247", point_groups=True) == Decimal("0.247")


@pytest.mark.parametrize("written", ["", "a", "1-2", "--", ".,"])
def test_no_number(written: str) -> None:
    with pytest.raises((ValueError, TypeError)):
        parse_digits(written)


ONES = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen".split()
ONES += "seventeen eighteen nineteen".split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()


def spell(number: int) -> list[str]:
    """The English words of 0..999,999, "and" after hundreds: the inverse of `parse_words`."""
    if number < 20:
        return [ONES[number]]
    if number < 100:
        return [TENS[number // 10 - 2], *([ONES[number % 10]] if number % 10 else [])]
    unit, name = (100, "hundred") if number < 1000 else (1000, "thousand")
    rest = number % unit
    return [*spell(number // unit), name, *(["and"] if rest and unit == 100 else []), *(spell(rest) if rest else [])]


@given(st.integers(0, 999_999))
def test_words_are_the_inverse_of_spelling(number: int) -> None:
    assert parse_words(spell(number)) == number


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("two thirds", "0.666667"),
        ("five and a quarter", "5.25"),
        ("twenty and three fifths", "20.6"),
        ("a half", "0.5"),
        ("nine point nought four", "9.04"),
        ("one hundred and five", "105"),
        ("half million", "500000"),
        ("two dozen", "24"),
    ],
)
def test_parts_and_points(words: str, value: str) -> None:
    assert parse_words(words.split()) == Decimal(value)


def test_no_number_word() -> None:
    with pytest.raises(ValueError, match="no number"):
        parse_words(["many", "a"])
