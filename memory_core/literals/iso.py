"""Dates and times of token runs in ISO 8601, where the words say them completely; "" where they do not."""

import re

from memory_core.literals.lexer import Tokens
from memory_core.literals.lexicon import MONTHS, NUMBER_WORDS, ORDINALS, TENS

_PARTS = re.compile(r"\d+")
_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def iso_date(tokens: Tokens, first: int, last: int) -> str:
    """ "2026-03-01", or "--03-01" without a year; "" if the tokens give no day and month that exist.

    All-digit dates: year first is ISO; with points the day comes first (01.03.2026); with slashes or dashes the
    month does (03/01/2026), unless only the other order exists (22/04/2026).
    """
    day = month = year = 0
    for place in range(first, last):
        letter, word = tokens.letters[place], tokens.words[place]
        if letter == "D":
            year, month, day = _digits(word)
        elif letter in "Mm" and not month:
            month = MONTHS[word]
        elif letter == "Y":
            year = int(word)
        elif letter in "noS" and not day:
            day = _day(tokens, place, word)
    if not 1 <= month <= 12 or not 1 <= day <= _DAYS[month - 1]:
        return ""
    if month == 2 and day == 29 and year and not _is_leap(year):
        return ""
    return f"{year:04d}-{month:02d}-{day:02d}" if year else f"--{month:02d}-{day:02d}"


def iso_time(tokens: Tokens, first: int, last: int) -> str:
    """ "18:30" on the clock of 24 hours, seconds where they are said; "" if the tokens give no such hour."""
    letters = tokens.letters[first:last]
    for place in range(first, last):
        letter, word = tokens.letters[place], tokens.words[place]
        follows = tokens.words[place + 1] if place + 1 < last and tokens.letters[place + 1] == "A" else ""
        if letter == "T" or (letter in "nf" and (follows or letters in ("n", "f", "nO"))):
            parts = [*_PARTS.findall(word), "00"]
            seconds = word[word.rindex(":") :] if word.count(":") == 2 else ""
            return _clock(int(parts[0]), parts[1], seconds, follows)
        if letter == "K":
            return (
                "12:00" if word.startswith(("noon", "mid")) and "night" not in word and "nacht" not in word else "00:00"
            )
    return ""


def _clock(hour: int, minutes: str, seconds: str, meridiem: str) -> str:
    if meridiem and not 1 <= hour <= 12:
        meridiem = "" if hour < 24 else "?"
    if meridiem[:1] == "p":
        hour = hour % 12 + 12
    elif meridiem[:1] == "a":
        hour %= 12
    valid = hour < 24 and len(minutes) == 2 and int(minutes) < 60
    return f"{hour:02d}:{minutes}{seconds}" if valid else ""


def _digits(word: str) -> tuple[int, int, int]:
    """Year, month, day of a date in digits; zeros if no order of them is a date."""
    parts = _PARTS.findall(word)
    numbers = [int(part) for part in parts]
    if len(parts[0]) == 4:
        return numbers[0], numbers[1], numbers[2]
    year = numbers[2] if len(parts[2]) == 4 else 2000 + numbers[2] - (100 if numbers[2] >= 70 else 0)
    day, month = (numbers[0], numbers[1]) if "." in word or numbers[0] > 12 else (numbers[1], numbers[0])
    return (year, month, day) if 1 <= month <= 12 else (0, 0, 0)


def _day(tokens: Tokens, place: int, word: str) -> int:
    found = _PARTS.match(word)
    if found:
        return int(found.group())
    before = tokens.words[place - 2 : place] if place >= 2 else tokens.words[:place]
    tens = next((TENS[word] for word in before if word in TENS), 0)
    return tens + ORDINALS.get(word, NUMBER_WORDS.get(word, 0))


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
