"""Phone numbers: by their shape where it is unmistakable, by a word such as "call" or "tel." where it is not."""

import re
from collections.abc import Iterator

from memory_core.literals.literal import Reading

_SHAPE = re.compile(
    r"(?:\(?\+[ ]?\(?\d|\(\d|\d)[\d ()./-]{4,30}\d"
    r"(?:[ ]?(?:x|ext\.?|extension|Durchwahl)[ ]?\d{1,6})?(?![A-Za-z0-9_]|[-/=*]\w|[.,]\d)",
    re.IGNORECASE,
)
"""One class of characters, bounded: what a number may not look like is told by `_is_phone`, not by backtracking."""

_INSIDE = re.compile(r"(?:[A-Za-z0-9_./*=+]|(?:^|[\w\s])-|\d[ ])\Z")
"""What may not stand right before a number: it would be the end of a longer word, number or sum."""

_CUE = re.compile(
    r"phone|\bcall\b|\btel\b|mobile|\bcell\b|\bfax\b|whatsapp|\bdial|\btext me|\breach|contact|telefon|handy|rufnummer|"
    r"anruf|电话|電話|手机",
    re.IGNORECASE,
)
_CUE_CHARS = 40
_STRONG = re.compile(
    r"\(?\+|00\d|\(\d{2,5}\)[ -]?\d|\d{3}[-. ]\d{3}[-. ]\d{4}(?:\D|$)|1[- ]\d{3}[- ]\d{3}[- ]\d{4}|0\d{1,4}[ /-]\d{3}"
)
_GAP = re.compile(r"[-./ ]{4}|[-./]{2}|[ ]{3}")
_OTHERWISE = re.compile(r"\d{1,4}([-./])\d{1,2}\1\d{1,4}|\d{1,3}\.\d+")
"""Dates and decimal numbers have a phone number's characters too."""

_DIGITS_MIN, _DIGITS_MAX = 7, 15
"""E.164 allows fifteen digits; fewer than seven without a cue are an amount, a year, a price."""


def phones(text: str) -> Iterator[Reading]:
    """Every phone number in the text; `value` is its digits, with + where it had one."""
    for match in _SHAPE.finditer(text):
        if _INSIDE.search(text, max(0, match.start() - 2), match.start()):
            continue
        found = match.group()
        digits = "".join(filter(str.isdigit, found))
        if _is_phone(found, len(digits), text[max(0, match.start() - _CUE_CHARS) : match.start()]):
            value = ("+" if "+" in found[:2] else "") + digits
            yield Reading("phone", match.start(), match.end(), value)


def _is_phone(found: str, digits: int, before: str) -> bool:
    if found.count("(") != found.count(")") or _GAP.search(found) or _OTHERWISE.fullmatch(found):
        return False
    cued = _CUE.search(before) is not None
    extension = 6 if found[-7:].casefold().find("x") >= 0 else 0
    if not _DIGITS_MIN - cued <= digits <= _DIGITS_MAX + extension:
        return False
    return cued or _STRONG.match(found) is not None
