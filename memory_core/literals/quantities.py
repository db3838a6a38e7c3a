"""Amounts in a text: money, quantities, percentages, ages, durations and bare numbers, with unit and Decimal."""

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from unicodedata import category

from memory_core.literals.lexer import Tokens
from memory_core.literals.lexicon import (
    ADJECTIVES,
    CURRENCIES,
    CURRENCY_CODES,
    DURATION_UNITS,
    FRACTIONS,
    SCALES,
    UNITS,
)
from memory_core.literals.literal import Reading
from memory_core.literals.numerals import parse_digits, parse_words, plain
from memory_core.literals.segments import Readings

SPELLED = r"(?:[st]|aH|[Fq]H)(?:[_j]?[stH]){0,12}"
_PART = r"(?:ja[Fqo]|j[st]_?F)"
NUMBER = rf"(?:(?:[ni]?e|[niYf])H{{0,2}}|{SPELLED}(?:J[st]{{1,6}})?){_PART}?"
"""Digits with scale words, or words: "5", "1.2 million", "two hundred and five", "nine point four"."""

_FRACTION = rf"{SPELLED}_?F|a[F](?!g)|s_?o(?![0UMg])"
_TIME_SPAN = rf"(?:{NUMBER}|a)_?[UhSq](?:ja?[Fq])?|lU|{NUMBER}(?=7[nif])7|Fa[Uh]|aF[Uh]"
_GRAMMAR = (
    ("money", "[12349]", rf"3?1{{1,2}};?_?{NUMBER}(?:[7H](?![0-9A-Za-z]))?|"
     rf"{NUMBER}_?7?3?[12](?:j?{SPELLED}4|j?[ni]4)?|{NUMBER}_?9(?:j{NUMBER}4)?|{NUMBER}4"),
    ("percentage", "[5r]", rf"{NUMBER}(?:5|r4)"),
    ("quantity", "[679xC]", rf"{NUMBER}(?:_?8?[679](?:[/r][6h7U])?|_?xx?;?C?|_?C)"),
    ("age", "[yG]", rf"{NUMBER}_?(?:U_?)?(?:y|gG)|G{NUMBER}"),
    ("duration", "[UhSq7]", rf"(?:{_TIME_SPAN})(?:j?(?:{_TIME_SPAN})){{0,3}}"),
    ("number", "", rf"{_FRACTION}|{NUMBER}"),
)  # fmt: skip
_RULES = tuple((kind, re.compile(needs).search, re.compile(pattern).finditer) for kind, needs, pattern in _GRAMMAR)

_HAS_NUMBER = re.compile(r"[niYfest]|a[FUhH]|[Fq]H|lU")
_MONEY_CUE = re.compile(r"cost|pa(?:y|id)|pric|spen[dt]|worth|rent|fee|salary|budget|owe|charg|cheap|sterling", re.I)
_POUND_CUE_CHARS = 40
_MINUS_BEFORE = frozenset("\n ([{,;:=")
_POINT_GROUPS = frozenset({"EUR", "DKK", "BRL", "TRY", "IDR", "VND"})
"""Currencies whose writers group thousands with a point: "1.247 €" is 1247 there, "$1.247" is not."""


def quantities(tokens: Tokens, first: int, last: int, read: Readings) -> Iterator[Reading]:
    """The amounts among tokens `first` up to `last`, but none inside of what is read already.

    What is found is entered in `read`.
    """
    if not _HAS_NUMBER.search(tokens.letters, first, last):
        return
    for kind, needed, readings in _RULES:
        if not needed(tokens.letters, first, last):
            continue
        for match in readings(tokens.letters, first, last):
            begin, end = match.span()
            if read.holds(begin, end):
                continue
            found = _reading(kind, tokens, begin, end)
            if found is not None:
                read.enter(begin, end)
                yield found


def _reading(kind: str, tokens: Tokens, first: int, last: int) -> Reading | None:
    if kind in _CHECKS and not _CHECKS[kind](tokens, first, last):
        return None
    start, end = tokens.starts[first], tokens.ends[last - 1]
    text = tokens.text
    try:
        amount, unit = _amount(kind, tokens, first, last)
    except ValueError:
        return None
    if start and text[start - 1] in "-−" and (start == 1 or text[start - 2] in _MINUS_BEFORE):
        start, amount = start - 1, -amount
    elif first and tokens.words[first - 1] in ("minus", "negative"):
        start, amount = tokens.starts[first - 1], -amount
    elif tokens.letters[first : first + 2] == "1_" and tokens.words[first] in CURRENCIES:
        amount = -amount
    if kind == "number" and (tokens.letters[first:last] == "e" or (text[start] == "0" and text[start:end].isdecimal())):
        return Reading(kind, start, end, text[start:end], amount, unit)
    joint = "" if unit == "%" else " "
    return Reading(kind, start, end, f"{plain(amount)}{joint}{unit}".strip(), amount, unit)


def _is_number(tokens: Tokens, first: int, last: int) -> bool:
    """ "One" alone is a pronoun, "a third" an ordinal, "1." at the start of a line a list's mark."""
    letters = tokens.letters[first:last]
    if letters == "s" and tokens.words[first] in ("one", "null"):
        return bool(first) and tokens.words[first - 1] in ("minus", "negative")
    if letters[0] == "a" and letters != "aF":
        return letters[1] == "H"
    end = tokens.ends[last - 1]
    starts_line = first == 0 or tokens.letters[first - 1] == "\n"
    if starts_line and letters in ("n", "i") and tokens.text[end : end + 2] in (". ", ") "):
        return False
    return _stands_alone(tokens, first, last)


def _is_money(tokens: Tokens, first: int, last: int) -> bool:
    letters = tokens.letters[first:last]
    return "9" not in letters or "4" in letters or _is_sterling(tokens, first, last)


def _is_quantity(tokens: Tokens, first: int, last: int) -> bool:
    """Pounds are weight where nothing speaks of money; "24703 L-202" is no volume."""
    letters = tokens.letters[first:last]
    if "9" in letters:
        return not _is_sterling(tokens, first, last)
    end = tokens.ends[last - 1]
    return letters[-1] not in "67" or len(tokens.words[last - 1]) > 1 or tokens.text[end : end + 1] != "-"


def _is_duration(tokens: Tokens, first: int, last: int) -> bool:
    """ "A day" and "a weekend" are no measures, "twenty second" is an ordinal."""
    letters = tokens.letters[first:last]
    if letters[0] in "al" and last - first == 2:
        return letters[1] in "Uh" and (letters[0] == "l" or tokens.words[last - 1] not in ("weekend", "day"))
    return not (letters.endswith("S") and letters[0] in "st" and last - first > 2)


_CHECKS: dict[str, Callable[[Tokens, int, int], bool]] = {
    "number": _is_number,
    "money": _is_money,
    "quantity": _is_quantity,
    "duration": _is_duration,
}
"""What the classes cannot tell."""


def _stands_alone(tokens: Tokens, first: int, last: int) -> bool:
    """Digits glued to letters, dashes or slashes are part of a word, and an identifier's business."""
    start, end = tokens.starts[first], tokens.ends[last - 1]
    before, after = tokens.text[start - 1 : start], tokens.text[end : end + 1]
    return not (before.isascii() and (before.isalnum() or before in ("_", "/"))) and not (
        after.isascii() and (after.isalnum() or after in ("_", "/"))
    )


def _is_sterling(tokens: Tokens, first: int, last: int) -> bool:
    start, end = tokens.starts[first], tokens.ends[last - 1]
    around = tokens.text[max(0, start - _POUND_CUE_CHARS) : end + _POUND_CUE_CHARS // 2]
    return _MONEY_CUE.search(around) is not None


def _amount(kind: str, tokens: Tokens, first: int, last: int) -> tuple[Decimal, str]:
    """The amount and its unit; raises ValueError where a piece is none."""
    unit = _unit(kind, tokens, first, last)
    if kind == "money" and "4" in tokens.letters[first:last]:
        return _with_cents(tokens, first, last, unit)
    if kind == "duration":
        return _duration(tokens, first, last)
    amount = _number(tokens, first, last, point_groups=unit in _POINT_GROUPS and tokens.letters[first] != "1")
    if kind == "money" and "7" in tokens.letters[first:last]:
        amount *= 10**6
    return amount, unit


def _number(tokens: Tokens, first: int, last: int, *, point_groups: bool = False) -> Decimal:
    """Digits times their scale words plus a part ("5 and a half", "10 1/2"), or the value of the words."""
    digits = None
    words = []
    for place in range(first, last):
        letter, word = tokens.letters[place], tokens.words[place]
        if letter in "niYf":
            digits = parse_digits(word, point_groups=point_groups) if digits is None else digits
        elif letter == "e":
            upper, _, lower = word.partition("/")
            digits = (digits or Decimal(0)) + _ratio(int(upper), int(lower))
        elif letter in "stHFqoJja":
            words.append(word)
    if digits is None:
        return parse_words(words)
    part = [word for word in words if word not in SCALES]
    for word in words:
        digits *= SCALES.get(word, 1)
    return digits + (parse_words(part) if any(word in FRACTIONS for word in part) else 0)


def _ratio(upper: int, lower: int) -> Decimal:
    if lower == 0:
        raise ValueError("a fraction of zero parts")
    return round(Decimal(upper) / lower, 6)


def _with_cents(tokens: Tokens, first: int, last: int, unit: str) -> tuple[Decimal, str]:
    """ "thirteen dollars and forty-five cents", "99 cents": the part after the currency is hundredths."""
    for place in range(first, last):
        if tokens.letters[place] in "129":
            return _number(tokens, first, place) + _number(tokens, place + 1, last) / 100, unit
    pence = tokens.words[last - 1] == "pence"
    return _number(tokens, first, last) / 100, "GBP" if pence else "USD"


def _duration(tokens: Tokens, first: int, last: int) -> tuple[Decimal, str]:
    """One unit: its own amount. Several ("2 h 30 min"): the sum in minutes, or in the first unit where none fits."""
    parts = []
    begin = first
    for place in range(first, last):
        if tokens.letters[place] in "UhS7" or (tokens.letters[place] == "q" and place == begin + 1):
            amount = Decimal(1) if set(tokens.letters[begin:place]) <= set("alj_") else _number(tokens, begin, place)
            word = tokens.words[place]
            unit = "minute" if word == "m" else "quarter" if word == "quarter" else DURATION_UNITS.get(word, "second")
            parts.append((amount, unit))
            begin = place + 1
    if not parts:
        raise ValueError('"one-quarter" is no time')
    trailing = tokens.letters[begin:last]
    if trailing:
        parts[-1] = (parts[-1][0] + Decimal(1) / FRACTIONS[tokens.words[last - 1]], parts[-1][1])
    if len(parts) == 1:
        return parts[0]
    if any(unit not in _MINUTES for _, unit in parts):
        raise ValueError("months and years have no fixed length")
    return sum((amount * _MINUTES[unit] for amount, unit in parts), Decimal(0)), "minute"


_TIME_SYMBOLS = {"hour": "h", "minute": "min", "second": "s"}
_MINUTES = {
    "week": Decimal(10_080),
    "day": Decimal(1_440),
    "hour": Decimal(60),
    "minute": Decimal(1),
    "second": Decimal(1) / 60,
}


def _unit(kind: str, tokens: Tokens, first: int, last: int) -> str:
    if kind == "percentage":
        return "%"
    words = tokens.words[first:last]
    if kind == "money":
        return _currency(words)
    if kind == "age":
        return next((DURATION_UNITS[word] for word in words if word in DURATION_UNITS), "year")
    return _per("".join(filter(None, map(_measure, words, tokens.letters[first:last]))))


def _currency(words: list[str]) -> str:
    adjective = next((ADJECTIVES[word] for word in words if word in ADJECTIVES), "")
    code = next((word.upper() for word in words if word in CURRENCY_CODES), "")
    dollar = {"a$": "AUD", "c$": "CAD", "r$": "BRL", "s$": "SGD"}
    named = next((dollar.get(word) or CURRENCIES[word] for word in words if word in CURRENCIES or word in dollar), "")
    symbol = next((word for word in words if len(word) == 1 and category(word) == "Sc"), "GBP")
    return code or adjective or named or symbol


def _per(unit: str) -> str:
    """Hours after a slash are h: "km/hour" is km/h."""
    measure, slash, time = unit.partition("/")
    return f"{measure}/{_TIME_SYMBOLS.get(time, time)}" if slash else unit


def _measure(word: str, letter: str) -> str:
    """A unit's symbol: "kilometers" is km, "per hour" /h, "square" ², put in front as it is said."""
    if letter == "6":
        return UNITS.get(word, "")
    if letter in "Uh":
        return DURATION_UNITS[word]
    symbols = {"7": "m", "9": "lb", "8": {"cubic": "cu ", "metric": ""}.get(word, "sq "), "r": "/", "/": "/"}
    if letter == "C":
        return {"f": "F", "℉": "F", "k": "K"}.get(word[0], "C")
    return symbols.get(letter, "°" if letter == "x" else "")
