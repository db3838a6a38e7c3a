"""Every place where a text may well be cut, and how well."""

import re
from collections.abc import Iterator
from enum import IntEnum

from memory_core.chunking.clusters import joined
from memory_core.chunking.lines import Kind, Line, read_lines
from memory_core.chunking.nested import members
from memory_core.chunking.prose import sentence_ends

_CELL_END = re.compile(r"\|\s*+")
_ESCAPED_LINE_END = re.compile(r"(?:\\n)++")
_BLOCK_CLOSERS = ("}", ")", "]", "else", "elif", "except", "finally", "catch", "end")
"""What stands at the margin of code without opening a definition."""


class Level(IntEnum):
    """How good a place is, best first. At the first four a unit ends that a reader would quote alone."""

    SECTION = 0
    PARAGRAPH = 1
    LINE = 2
    SENTENCE = 3
    HELD = 4
    """After a heading, a table's head, a fence or "as follows:", which belong to what comes next."""
    INNER = 5
    """Inside an item, a row or a deep member."""


Mark = tuple[int, Level]

_RANKS = (Level.PARAGRAPH, Level.SENTENCE)
"""Of JSON's members; deeper ones are inner."""


def marks(text: str) -> list[Mark]:
    """(place, level) in rising order of places, 0 < place < len(text); none inside a visible character."""
    found = _json_marks(text, 0, len(text)) or list(_line_marks(text, read_lines(text)))
    return [mark for mark in found if not joined(text, mark[0])]


def _line_marks(text: str, lines: list[Line]) -> Iterator[Mark]:
    place = 0
    while place < len(lines):
        yield from _inner_marks(text, lines[place])
        if place + 1 < len(lines):
            yield lines[place].end, _level_between(lines[place], lines[place + 1])
        place += 1
        if lines[place - 1].kind is Kind.FENCE_OPEN:
            until = next((n for n in range(place, len(lines)) if lines[n].kind is not Kind.CODE), len(lines))
            inner = _json_marks(text, lines[place].start, lines[until - 1].end) if until > place else []
            yield from inner
            place = until - 1 if inner else place


def _inner_marks(text: str, line: Line) -> Iterator[Mark]:
    if line.kind in (Kind.TEXT, Kind.ITEM):
        level = Level.SENTENCE if line.kind is Kind.TEXT else Level.INNER
        yield from ((place, level) for place in sentence_ends(text, line.start, line.end))
    elif line.kind is Kind.ROW:
        ends = (match.end() for match in _CELL_END.finditer(text, line.start + 1, line.end))
        yield from ((place, Level.INNER) for place in ends if place < line.end)


def _json_marks(text: str, start: int, end: int) -> list[Mark]:
    commas, strings = members(text, start, end)
    found = {place: _RANKS[rank] if rank < len(_RANKS) else Level.INNER for place, rank in commas}
    for first, last in strings:
        for place in sentence_ends(text, first, last):
            found.setdefault(place, Level.INNER)
        for match in _ESCAPED_LINE_END.finditer(text, first, last):
            found.setdefault(match.end(), Level.INNER)
    return sorted(found.items())


def _level_between(line: Line, following: Line) -> Level:
    if _holds(line, following):
        return Level.HELD
    if following.kind is Kind.HEADING or line.kind is Kind.RULE:
        return Level.SECTION
    if line.kind is following.kind is Kind.CODE:
        return _level_in_code(line, following)
    if line.gap or line.kind is Kind.FENCE_CLOSE:
        return Level.LINE if following.indent else Level.PARAGRAPH
    nested = following.kind is Kind.ITEM and following.indent > 0
    return Level.SENTENCE if nested else Level.LINE


def _holds(line: Line, following: Line) -> bool:
    if line.kind in (Kind.HEADING, Kind.TABLE_HEAD, Kind.FENCE_OPEN) or following.kind is Kind.FENCE_CLOSE:
        return True
    announced = (Kind.ITEM, Kind.TABLE_HEAD, Kind.ROW, Kind.FENCE_OPEN)
    return line.kind is Kind.TEXT and following.kind in announced and line.body.endswith((":", "："))


def _level_in_code(line: Line, following: Line) -> Level:
    """Definitions at the margin stand like paragraphs, with the comment or decorator above them."""
    opens = following.indent == 0 and not following.body.startswith(_BLOCK_CLOSERS)
    if opens and (line.gap or line.indent):
        return Level.PARAGRAPH
    return Level.LINE if line.gap else Level.SENTENCE
