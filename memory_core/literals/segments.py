"""Where a text is worth reading: stretches of known token classes for the grammars, odd words for the patterns.

Nine words of ten in a chat are plain and part of no literal but a quotation; whoever skips them reads fast.
"""

import re
from collections.abc import Iterator

from memory_core.literals.lexer import Tokens

_KNOWN = re.compile(r"[^0!\n]+")
_ANCHOR = re.compile(r"[niYfestMmWwVRUqQPKATDeXZohS]")

_ODD = re.compile(
    r"(?:[(\"'“‘*]*+[^\W\d_]?[^\W\d_A-Z]*+(?:['’-][^\W\d_A-Z]++)*+[.,;:!?)\"'”’*]*+(?:\s++|$))*+(\S*)",
)
"""Any number of plain words (small letters after the first, marks around them), then one that is not plain, or the
end: it must match wherever it begins, or a long plain text would be read again from each of its letters."""

_GAP_CHARS_MAX = 2


class Readings:
    """Which reading each token belongs to, so that no part of a reading is read again. Not for two texts."""

    __slots__ = ("_count", "_owners")

    def __init__(self, tokens: int) -> None:
        self._owners = [0] * tokens
        self._count = 0

    def holds(self, first: int, last: int) -> bool:
        """Whether tokens `first` up to `last` lie inside one reading."""
        owner = self._owners[first]
        return owner > 0 and owner == self._owners[last - 1]

    def enter(self, first: int, last: int) -> None:
        """Tokens `first` up to `last` are a reading."""
        self._count += 1
        self._owners[first:last] = [self._count] * (last - first)


def known_stretches(tokens: Tokens) -> Iterator[tuple[int, int]]:
    """First and last token (exclusive) of each stretch of words that dates and amounts are made of."""
    for match in _KNOWN.finditer(tokens.letters):
        if _ANCHOR.search(tokens.letters, *match.span()):
            yield match.span()


def odd_stretches(text: str) -> list[tuple[int, int]]:
    """Start and end of each run of words that have digits, marks or capitals inside, neighbours joined."""
    found: list[tuple[int, int]] = []
    for match in _ODD.finditer(text):
        start, end = match.span(1)
        if start == end:
            continue
        if found and start - found[-1][1] <= _GAP_CHARS_MAX:
            start = found.pop()[0]
        found.append((start, end))
    return found
