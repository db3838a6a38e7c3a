"""Written numbers to Decimal: digits of any script with English, German, French or Swiss marks, and English words."""

import re
import unicodedata
from collections.abc import Sequence
from decimal import Decimal

from memory_core.literals.lexicon import FRACTIONS, NUMBER_WORDS, SCALES, TENS

_SPACES = re.compile(r"['’\u00a0\u202f\u2009 ]")
_THOUSANDS_POINT = re.compile(r"[1-9]\d{0,2}(?:\.\d{3})+")
_THOUSANDS_COMMA = re.compile(r"\d{1,3}(?:,\d{2,3})*,\d{3}")

_AND = frozenset({"and", "und", "&"})


def parse_digits(written: str, *, point_groups: bool = False) -> Decimal:
    """The value of digits with marks; the last mark is the decimal one where two kinds stand.

    One comma before exactly three digits groups thousands ("1,247" is 1247), one point before three is a decimal
    point ("1.247") unless `point_groups`, as before the € of the continent ("1.247 €" is 1247).
    Raises ValueError for anything else.
    """
    if len(written) == 1 and not written.isdecimal():
        return Decimal(str(unicodedata.numeric(written)))
    plain = _SPACES.sub("", written).replace("٫", ".")
    comma, point = plain.rfind(","), plain.rfind(".")
    if comma >= 0 and point >= 0:
        group, mark = (",", ".") if point > comma else (".", ",")
        plain = plain.replace(group, "").replace(mark, ".")
    elif comma >= 0:
        plain = plain.replace(",", "" if _THOUSANDS_COMMA.fullmatch(plain) and plain[0] != "0" else ".")
    elif plain.count(".") > 1 or (point_groups and _THOUSANDS_POINT.fullmatch(plain)):
        plain = plain.replace(".", "")
    try:
        return Decimal(plain)
    except ArithmeticError:
        raise ValueError(f"not a number: {written[:40]!r}") from None


def parse_words(words: Sequence[str]) -> Decimal:
    """The value of number words in order: [two, hundred, and, five] is 205, [two, and, a, half] is 2.5.

    Raises ValueError where no number word stands.
    """
    if len(words) > 1 and words[-1] in FRACTIONS:
        return _with_part(words[:-1], FRACTIONS[words[-1]])
    if "point" in words:
        point = words.index("point")
        digits = "".join(plain(_whole([word])) for word in words[point + 1 :])
        return _whole(words[:point]) + Decimal(f"0.{digits or 0}")
    return _whole(words)


def _with_part(head: Sequence[str], parts: int) -> Decimal:
    """[two] thirds is 2/3; [five, and, a] quarter is 5 and 1/4: one word after the last "and" counts the parts."""
    join = max((place for place, word in enumerate(head) if word in _AND), default=-1)
    split = join == len(head) - 2
    counted = head[join + 1 :] if split else head
    numerator = Decimal(1) if list(counted) in ([], ["a"], ["an"]) else _whole(counted)
    return (_whole(head[:join]) if split and join > 0 else Decimal(0)) + round(numerator / parts, 6)


def _whole(words: Sequence[str]) -> Decimal:
    total, current, seen = Decimal(0), Decimal(0), False
    for word in words:
        if word in SCALES:
            current = (current if seen else Decimal(1)) * SCALES[word]
            if SCALES[word] > 100:
                total, current = total + current, Decimal(0)
        elif word in NUMBER_WORDS or word in TENS:
            current += NUMBER_WORDS.get(word, TENS.get(word, 0))
        elif word in FRACTIONS:
            current += Decimal(1) / FRACTIONS[word]
        else:
            continue
        seen = True
    if not seen:
        raise ValueError(f"no number among {list(words)[:5]}")
    return total + current


def plain(amount: Decimal) -> str:
    """A Decimal without exponent and trailing zeros, so that equal amounts read the same."""
    text = format(amount, "f")
    return (text.rstrip("0").rstrip(".") or "0") if "." in text else text
