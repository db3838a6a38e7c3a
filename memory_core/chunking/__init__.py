"""Long texts in pieces that fit the embedder, cut where a reader would cut; nothing is lost or doubled.

`marks.py` finds the places where a text may be cut and how well, from its structure: `lines.py` (Markdown),
`nested.py` (JSON), `prose.py` (sentences of any script); `clusters.py` keeps visible characters whole.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from operator import itemgetter

from memory_core.chunking.clusters import cut_inside
from memory_core.chunking.marks import Level, Mark, marks

CHUNK_CHARS_MAX = 500
"""Some 120 tokens: of a budget of a few hundred a memory is a part and not the whole."""

_SMALLEST_SHARE = 4
"""No piece is smaller than a quarter of the largest allowed: a sliver says nothing to an embedder."""

_COSTS = {Level.SECTION: -3, Level.PARAGRAPH: 0, Level.LINE: 4, Level.SENTENCE: 10, Level.HELD: 10, Level.INNER: 0}
"""In twentieths of the largest piece: how far from the balanced place a paragraph may end and still be taken rather
than a line or a sentence that ends right there."""


def chunks(text: str, chars_max: int = CHUNK_CHARS_MAX) -> tuple[str, ...]:
    """Balanced pieces of at most `chars_max` characters with `"".join(pieces) == text`; one for an empty text.

    Raises ValueError for `chars_max` below 1.
    """
    if chars_max < 1:
        raise ValueError(f"a chunk holds at least one character, not {chars_max}")
    if len(text) <= chars_max:
        return (text,)
    return _split(text, _places(text, chars_max))


def sentences(text: str) -> tuple[str, ...]:
    """The smallest units that a reader would quote: sentences, headings, list items, rows, lines of code, members.

    The space after a unit belongs to it: `"".join(sentences(text)) == text`; one unit for an empty text.
    """
    return _split(text, (place for place, level in marks(text) if level <= Level.HELD))


def piece_ends(pieces: Sequence[str]) -> tuple[int, ...]:
    """Where each piece ends in the text that they join to: what a log record keeps of them."""
    return tuple(accumulate(map(len, pieces)))


def _split(text: str, places: Iterator[int]) -> tuple[str, ...]:
    return tuple(text[start:end] for start, end in pairwise((0, *places, len(text))))


def _places(text: str, chars_max: int) -> Iterator[int]:
    found = marks(text)
    start = 0
    while len(text) - start > chars_max:
        start = _cut(text, found, start, chars_max)
        yield start


def _cut(text: str, found: list[Mark], start: int, chars_max: int) -> int:
    """The end of the piece that begins at `start`: near a fair share of what is left, and where it reads best."""
    left = len(text) - start
    smallest = chars_max // _SMALLEST_SHARE
    low, high = start + max(1, smallest), min(start + chars_max, len(text) - smallest)
    ideal = start + -(-left // -(-left // chars_max))
    place_of = itemgetter(0)
    near = found[bisect_left(found, low, key=place_of) : bisect_right(found, high, key=place_of)]
    whole = [mark for mark in near if mark[1] < Level.HELD]

    def cost(mark: Mark) -> tuple[int, int]:
        return 20 * abs(mark[0] - ideal) + _COSTS[mark[1]] * chars_max, mark[0]

    return min(whole or near, key=cost)[0] if near else cut_inside(text, start, low, high, ideal)
