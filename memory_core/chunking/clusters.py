"""Where a text may be cut at all: between visible characters, as Unicode's grapheme clusters (UAX #29) have them.

The standard library knows no clusters, so the rules that matter are written here; what they miss (prepended marks of
a few scripts) costs a quote one odd character, and never a lost one.
"""

import re
import unicodedata

_ZERO_WIDTH_JOINER = "\u200d"
_PLAIN_BELOW = "\u0300"
_VIRAMA = 9
_EMOJI_TAIL = re.compile("[\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]")
"""Skin tones, and the tags that make a subdivision's flag."""

_FLAG_LETTERS = ("\U0001f1e6", "\U0001f1ff")
_CLAUSE_END = re.compile(r"[,;:–—][)\]\"'”’»]*+\s++|[，、；：،؛]\s*+")
_SPACE = re.compile(r"\s++")


def joined(text: str, place: int, start: int = 0) -> bool:
    """Whether text[place - 1] and text[place] are parts of one visible character, in a text read from `start`."""
    if not start < place < len(text):
        return False
    before, after = text[place - 1], text[place]
    if before < _PLAIN_BELOW and after < _PLAIN_BELOW:
        return before == "\r" and after == "\n"
    if _ZERO_WIDTH_JOINER in (before, after) or unicodedata.category(after)[0] == "M" or _EMOJI_TAIL.match(after):
        return True
    if unicodedata.combining(before) == _VIRAMA and after.isalpha():
        return True
    if "\ud800" <= before <= "\udbff" and "\udc00" <= after <= "\udfff":
        return True
    return _same_syllable(before, after) or _same_flag(text, place, start)


def cut_inside(text: str, start: int, low: int, high: int, ideal: int) -> int:
    """The place in low..high nearest to `ideal` that ends a clause; else a word; else a visible character."""
    for pattern in (_CLAUSE_END, _SPACE):
        ends = (match.end() for match in pattern.finditer(text, low - 1, high))
        places = [end for end in ends if end >= low and not joined(text, end, start)]
        if places:
            return min(places, key=lambda place: (abs(place - ideal), place))
    for distance in range(high - low + 1):
        for place in (ideal - distance, ideal + distance):
            if low <= place <= high and not joined(text, place, start):
                return place
    return ideal


def _same_syllable(before: str, after: str) -> bool:
    """Hangul written in letters (as NFD has it): a vowel or a final follows, or two initials."""
    if "\u1160" <= after <= "\u11ff":
        return "\u1100" <= before <= "\u11ff" or "\uac00" <= before <= "\ud7a3"
    return "\u1100" <= after <= "\u115f" and "\u1100" <= before <= "\u115f"


def _same_flag(text: str, place: int, start: int) -> bool:
    """Flags are pairs of regional letters: between the two of a pair, an odd number of them stands before."""
    first, last = _FLAG_LETTERS
    if not (first <= text[place] <= last and first <= text[place - 1] <= last):
        return False
    count = 0
    while place - count > start and first <= text[place - count - 1] <= last:
        count += 1
    return count % 2 == 1
