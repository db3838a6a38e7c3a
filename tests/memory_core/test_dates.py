"""Days of stamps, and the days that questions mean."""

import time
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_core.dates import Days, asked_days, stamp_day
from memory_core.index import MemoryIndex

THURSDAY = date(2023, 5, 25)


def days(question: str, newest: date = THURSDAY) -> tuple[str, str] | None:
    found = asked_days(question, newest.toordinal())
    return (date.fromordinal(found.first).isoformat(), date.fromordinal(found.last).isoformat()) if found else None


@pytest.mark.parametrize(
    "text",
    [
        "[1:56 pm on 8 May, 2023] Caroline: Hey!",
        "[2023/05/08 (Mon) 10:04] hello",
        "2023-05-08 13:56 hello",
        "2023-05-08T13:56:11Z hello",
        "[May 8, 2023, 1:56 PM] hello",
        "[08.05.2023 10:04] hello",
        "[Mon, 08 May 2023 10:04:11 +0200] hello",
        "[8. Mai 2023] hello",
    ],
)
def test_a_stamp_gives_its_day(text: str) -> None:
    assert date.fromordinal(stamp_day(text)) == date(2023, 5, 8)


@pytest.mark.parametrize("text", ["", "hello on 8 May 2023", "[12:00] hi", "[2023-13-45] hi", "[note 7 of May] hi"])
def test_no_stamp_or_no_complete_one_gives_none(text: str) -> None:
    assert stamp_day(text) == 0


@pytest.mark.parametrize(
    ("question", "first", "last"),
    [
        ("What did I buy on 8 May 2023?", "2023-05-08", "2023-05-08"),
        ("What did we do on March 3rd?", "2023-03-03", "2023-03-03"),
        ("What did we do on June 3rd?", "2022-06-03", "2022-06-03"),
        ("Which books were read in May?", "2023-05-01", "2023-05-31"),
        ("Which books were read in June?", "2022-06-01", "2022-06-30"),
        ("Who came in July 2021?", "2021-07-01", "2021-07-31"),
        ("Who came in December 2021?", "2021-12-01", "2021-12-31"),
        ("Who came in 2022?", "2022-01-01", "2022-12-31"),
        ("What did I eat yesterday?", "2023-05-24", "2023-05-24"),
        ("Who called last week?", "2023-05-15", "2023-05-21"),
        ("Who called last weekend?", "2023-05-20", "2023-05-21"),
        ("Who called last Thursday?", "2023-05-18", "2023-05-18"),
        ("Who called last month?", "2023-04-01", "2023-04-30"),
        ("Who called last summer?", "2022-06-01", "2022-08-31"),
        ("Who called in the summer of 2021?", "2021-06-01", "2021-08-31"),
        ("Who called last winter?", "2022-12-01", "2023-02-28"),
        ("Who called 10 days ago?", "2023-05-15", "2023-05-15"),
        ("Who called two months ago?", "2023-03-11", "2023-04-10"),
        ("Who called in the past two weeks?", "2023-05-08", "2023-05-25"),
        ("Who called this month?", "2023-05-01", "2023-05-25"),
        ("Who called between 3 May 2023 and 9 May 2023?", "2023-05-03", "2023-05-09"),
        ("What was the news the week before 9 June 2023?", "2023-05-26", "2023-06-09"),
        ("Who called after 9 June 2023?", "2023-06-09", "2023-06-23"),
        ("What did I eat last week, as I said on 6 March 2023?", "2023-03-06", "2023-03-06"),
        ("Was habe ich letzte Woche gegessen?", "2023-05-15", "2023-05-21"),
        ("Wer rief vor zwei Wochen an?", "2023-05-08", "2023-05-14"),
        ("Qui est venu le mois dernier ?", "2023-04-01", "2023-04-30"),
        ("¿Qué comí ayer?", "2023-05-24", "2023-05-24"),
        ("[2023/03/21 (Tue) 21:43] What did I fix the past weekend?", "2023-03-18", "2023-03-19"),
    ],
)
def test_the_days_that_a_question_means(question: str, first: str, last: str) -> None:
    assert days(question) == (first, last)


@pytest.mark.parametrize(
    "question",
    [
        "When did she go camping in June?",
        "How many weeks ago was last May?",
        "Which year was the wedding, 2021 or in 2022?",
        "Wann war sie letzte Woche da?",
        "May I ask for a book?",
        "Which 12 books?",
        "What will we do next month?",
        "Who called 999 years after?",
        "",
    ],
)
def test_a_question_for_a_date_or_without_one_means_none(question: str) -> None:
    assert days(question) is None


def test_without_any_known_day_nothing_is_meant() -> None:
    assert asked_days("Who called last week?", 0) is None
    assert asked_days("[2023-05-25] Who called last week?", 0) == Days(738655, 738661)


def test_the_last_winter_is_over() -> None:
    assert days("Who called last winter?", date(2023, 1, 20)) == ("2021-12-01", "2022-02-28")


def test_a_distance_that_leaves_the_calendar_means_none_or_its_first_day() -> None:
    found = asked_days("Who called 999 years ago?", date(900, 1, 1).toordinal())
    assert found is None or found.first == 1


@given(st.dates(date(1971, 1, 1), date(2099, 12, 31)), st.integers(1, 400))
def test_days_ago_and_written_dates_are_the_inverse_of_the_calendar(now: date, back: int) -> None:
    then = now - timedelta(days=back)
    expected = Days(then.toordinal(), then.toordinal())
    assert asked_days(f"Who called {back} days ago?", now.toordinal()) == expected
    assert asked_days(f"Who called on {then.day} {then:%B} {then.year}?", now.toordinal()) == expected
    for written in (then.isoformat(), f"{then:%B} {then.day}, {then.year}", f"9:05 am on {then:%d %b %Y}"):
        assert stamp_day(f"[{written}] hi") == then.toordinal()


@given(st.dates(date(1971, 1, 1), date(2099, 12, 31)))
def test_what_is_last_lies_before_and_what_is_this_holds_today(now: date) -> None:
    today = now.toordinal()
    for unit in ("week", "month", "year"):
        last = asked_days(f"Who called last {unit}?", today)
        this = asked_days(f"Who called this {unit}?", today)
        assert last is not None
        assert this is not None
        assert last.first <= last.last == this.first - 1
        assert this.last == today


def test_a_turn_without_a_stamp_inherits_the_day_of_the_one_before_also_after_a_fork() -> None:
    index, row = MemoryIndex(2), np.ones((1, 2), np.int8)
    first, second = (date(2023, 5, day).toordinal() for day in (8, 9))
    for text in ("no stamp", "[2023-05-08] hi", "and this", "[2023-05-09] hi", "more"):
        index.append(row, (text,))
    assert index.days(5).tolist() == [0, first, first, second, second]
    index.truncate(3)
    index.append(np.ones((2, 2), np.int8), ("one", "[2023-05-09] two"))
    assert index.days(5).tolist() == [0, first, first, first, first], "a stamp stands in front of a turn"
    for _ in range(100):
        index.append(row, ("more",))
    assert set(index.days(105).tolist()[1:]) == {first}


def test_hostile_text_takes_linear_time() -> None:
    for text in ("last " * 40_000, "1" * 200_000, "between 3 May " * 20_000, "[1" + " " * 200_000, "in " * 60_000):
        start = time.perf_counter()
        asked_days(text, THURSDAY.toordinal())
        stamp_day(text)
        assert time.perf_counter() - start < 1
