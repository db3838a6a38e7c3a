"""Days: the one in a message's stamp, and the interval of days that a question means ("in May", "two weeks ago").

Days are proleptic Gregorian ordinals (`date.toordinal`), 0 where none is known. There is no clock: what is relative
counts from the question's own stamp, else from the newest day that the memory knows. A question is rewritten in a few
canonical words ("vor zwei Wochen" as "ago 2 week"), over which short patterns are tried in turn: English, and the
commonest words of German, French and Spanish. A question for a date ("When did …") means no interval.
"""

import re
from collections.abc import Callable, Iterator
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from memory_core.cues import stamp
from memory_core.lexical import words
from memory_core.literals.extraction import extract
from memory_core.literals.iso import iso_date
from memory_core.literals.lexer import lex
from memory_core.literals.lexicon import DURATION_UNITS, MONTHS, NUMBER_WORDS

QUESTION_CHARS = 2_000
"""A question says when it means within so many characters; a pasted text may name a hundred dates."""

REACH_DAYS = 14
""" "Before 3 June" and "after 3 June" mean about so many days, not all of the past."""

_UNIT_DAYS = {"day": 1, "week": 7, "month": 30, "year": 365}


class Days(NamedTuple):
    """From the first day up to and with the last."""

    first: int
    last: int


_FOR_A_DATE = re.compile(
    r"\b(?:(?:when|wann|quand|cuándo)\W+(?:did|do|does|was|were|is|are|will|has|have|had|can|hat|haben|habe|war|ist|"
    r"est|a|ai|as|fue)|(?:what|which) (?:date|day|month|year|time)|how long|"
    r"how (?:many|much) (?:day|week|month|year|time)s?)\b",
    re.IGNORECASE,
)

_SYNONYMS = {
    word: canonical
    for canonical, said in {
        "last": "past previous letzte letzten letzter letztes letztem vorige voriges vorigen dernier dernière pasado "
        "pasada",
        "this": "diese diesen dieser dieses diesem ce cette este esta",
        "ago": "vor hace",
        "yesterday": "gestern hier ayer",
        "today": "tonight heute hoy",
        "in": "during since im en durante early late mid of",
        "before": "until by bis avant antes",
        "after": "nach après después",
        "between": "from zwischen entre",
        "and": "to und bis y et",
        "1": "a an ein eine einem einer un une una",
        "2": "couple zwei deux dos",
        "3": "few trois tres",
        "day": "jour jours día días",
        "week": "semaine semaines semana semanas",
        "month": "mois mes meses",
        "year": "an ans année año años",
        "S1": "spring frühling frühjahr printemps primavera",
        "S2": "summer sommer été verano",
        "S3": "autumn fall herbst automne otoño",
        "S4": "winter hiver invierno",
        **{
            f"W{day}": name
            for day, name in enumerate("monday tuesday wednesday thursday friday saturday sunday".split())
        },
    }.items()
    for word in said.split()
}
_CANONICAL = (
    {word: f"M{month}" for word, month in MONTHS.items()}
    | {word: unit for word, unit in DURATION_UNITS.items() if len(word) > 2}
    | {word: str(number) for word, number in NUMBER_WORDS.items()}
    | _SYNONYMS
)
_SKIPPED = frozenset({"the", "last's", "den", "dem", "der", "le", "la", "el"})


@lru_cache(maxsize=1_024)
def _day(said: str) -> int:
    tokens = lex(said)
    found = iso_date(tokens, 0, len(tokens.words))
    if not found and "X" in tokens.letters:
        found = tokens.words[tokens.letters.index("X")][:10]
    return _ordinal(found)


def _ordinal(iso: str) -> int:
    try:
        return date.fromisoformat(iso).toordinal()
    except ValueError:
        return 0


def stamp_day(text: str) -> int:
    """The day of the stamp in front of a text; 0 if it has none, or one that gives no complete date."""
    said = stamp(text)
    return _day(said) if said else 0


def asked_days(question: str, newest: int) -> Days | None:
    """The days that a question means, counted from its stamp or from the day `newest`; None if it means none.

    `newest` 0 says that the memory knows no day.
    """
    now = stamp_day(question) or newest
    asked = question[len(stamp(question)) :][:QUESTION_CHARS]
    if not now or _FOR_A_DATE.search(asked):
        return None
    canonical = f" {' '.join(_canonical(asked, now))} "
    for pattern, meaning in _MEANINGS:
        found = pattern.search(canonical)
        if found:
            try:
                return meaning(found, date.fromordinal(now))
            except (ValueError, OverflowError):  # the year 0, or ten thousand weeks ago
                return None
    return None


def _canonical(asked: str, now: int) -> Iterator[str]:
    """The words, those of a time in canonical form, complete dates as "@" and their day."""
    end = 0
    for literal in extract(asked):
        if literal.kind in ("date", "datetime") and literal.start >= end:
            day = _ordinal(literal.value[:10]) or _latest(literal.value, now)
            if day:
                yield from _plain(asked[end : literal.start])
                yield f"@{day}"
                end = literal.end
        elif literal.kind == "period" and " " in literal.text and literal.start >= end:
            yield from _plain(asked[end : literal.start])
            first, rest = literal.text.split(maxsplit=1)
            yield from _plain(first)
            yield from _canonical(rest, now)  # "before 9 June 2023" has a date in it
            end = literal.end
    yield from _plain(asked[end:])


def _plain(text: str) -> Iterator[str]:
    for word in words(text):
        if word not in _SKIPPED:
            yield _CANONICAL.get(word, word)


def _latest(value: str, now: int) -> int:
    """The newest day ≤ `now` of a date without a year ("--05-08"); 0 for anything else."""
    if not value.startswith("--"):
        return 0
    year = date.fromordinal(now).year
    found = (_ordinal(f"{year - back:04d}{value[1:]}") for back in range(5))
    return next((day for day in found if 0 < day <= now), 0)


def _month(year: int, month: int, months: int = 1) -> Days:
    following = year * 12 + month - 1 + months
    end = date(following // 12, following % 12 + 1, 1).toordinal() - 1
    return Days(date(year, month, 1).toordinal(), end)


def _latest_month(month: int, now: date, months: int = 1) -> Days:
    days = _month(now.year, month, months)
    return days if days.first <= now.toordinal() else _month(now.year - 1, month, months)


def _season(season: int, year: int) -> Days:
    return _month(year, 3 * season, 3)


def _last_season(season: int, now: date) -> Days:
    seasons = (_season(season, now.year - back) for back in range(3))
    return next(days for days in seasons if days.last < now.toordinal())


def _ago(count: int, unit: str, now: date) -> Days:
    """Said loosely: half a unit to either side, but for days."""
    day = now.toordinal() - count * _UNIT_DAYS[unit]
    slack = _UNIT_DAYS[unit] // 2
    return Days(max(1, day - slack), day + slack)


def _previous(unit: str, now: date) -> Days:
    """The calendar's last week, month, year; yesterday; the last weekend."""
    today = now.toordinal()
    monday = today - now.weekday()
    if unit == "month":
        return _month(now.year - (now.month == 1), (now.month - 2) % 12 + 1)
    if unit == "year":
        return _month(now.year - 1, 1, 12)
    return {
        "day": Days(today - 1, today - 1),
        "weekend": Days(monday - 2, monday - 1),
        "week": Days(monday - 7, monday - 1),
    }[unit]


def _current(unit: str, now: date) -> Days:
    today = now.toordinal()
    first = {"week": today - now.weekday(), "month": today - now.day + 1, "weekend": today - now.weekday() + 5}
    return Days(first.get(unit, date(now.year, 1, 1).toordinal()), today)


def _weekday(day: int, now: date) -> Days:
    found = now.toordinal() - ((now.weekday() - day - 1) % 7 + 1)
    return Days(found, found)


_Meaning = Callable[[re.Match[str], date], Days]
_UNIT = "(day|week|month|year)"
_PATTERNS: tuple[tuple[str, _Meaning], ...] = (
    (r"between @(\d+) and @(\d+)", lambda m, _: Days(*sorted((int(m[1]), int(m[2]))))),
    (r"before @(\d+)", lambda m, _: Days(int(m[1]) - REACH_DAYS, int(m[1]))),
    (r"after @(\d+)", lambda m, _: Days(int(m[1]), int(m[1]) + REACH_DAYS)),
    (r"@(\d+)", lambda m, _: Days(int(m[1]), int(m[1]))),
    (r"M(\d+) (?:in )?((?:19|20)\d\d)", lambda m, _: _month(int(m[2]), int(m[1]))),
    (r"S(\d) (?:in )?((?:19|20)\d\d)", lambda m, _: _season(int(m[1]), int(m[2]))),
    (r"in (?:year )?((?:19|20)\d\d)", lambda m, _: _month(int(m[1]), 1, 12)),
    (r"(?:in|last|this) M(\d+)", lambda m, now: _latest_month(int(m[1]), now)),
    (r"(?:in|last|this) S(\d)", lambda m, now: _last_season(int(m[1]), now)),
    (rf"(\d{{1,3}})(?: in)? {_UNIT} ago", lambda m, now: _ago(int(m[1]), m[2], now)),
    (rf"ago (\d{{1,3}}) {_UNIT}", lambda m, now: _ago(int(m[1]), m[2], now)),
    (rf"last (\d{{1,3}})(?: in)? {_UNIT}", lambda m, now: Days(_ago(int(m[1]), m[2], now).first, now.toordinal())),
    (r"last (day|weekend|week|month|year)", lambda m, now: _previous(m[1], now)),
    (r"(weekend|week|month|year) last", lambda m, now: _previous(m[1], now)),
    (r"this (weekend|week|month|year)", lambda m, now: _current(m[1], now)),
    (r"(?:last|on|this) W(\d)", lambda m, now: _weekday(int(m[1]), now)),
    (r"(?:yesterday|last night)", lambda _, now: _previous("day", now)),
    (r"(?:today|this morning)", lambda _, now: Days(now.toordinal(), now.toordinal())),
)
_MEANINGS = tuple((re.compile(f" {pattern} "), meaning) for pattern, meaning in _PATTERNS)
"""In the order of trust: what is complete before what is relative ("last week, as you said on 6 November 2023")."""
