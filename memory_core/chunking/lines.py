"""The lines of a text and what each is in Markdown's sense: heading, list item, table row, code, prose.

Blank lines belong to the line before them; an item takes its indented continuation, a table's head its delimiter row,
and prose that was wrapped at a margin becomes one line again.
"""

import re
from dataclasses import dataclass
from enum import Enum, auto
from itertools import pairwise

_FENCE = re.compile(r"`{3,}(?=[^`]*$)|~{3,}")
_HEADING = re.compile(r"#{1,6}(?:\s|$)|\*\*[^*]+\*\*:?$|__[^_]+__:?$")
_ITEM = re.compile(r"(?:[-*+•‣◦▪–—]|\(?\d{1,4}[.)]|[a-z]\))\s|\d{1,4}、")
_MARGIN_CHARS = range(40, 121)


class Kind(Enum):
    """What a line is."""

    TEXT = auto()
    HEADING = auto()
    RULE = auto()
    ITEM = auto()
    TABLE_HEAD = auto()
    ROW = auto()
    FENCE_OPEN = auto()
    CODE = auto()
    FENCE_CLOSE = auto()


@dataclass(slots=True)
class Line:
    """text[start:end]; `body` is it without space round it, `gap` tells of blank lines at its end."""

    start: int
    end: int
    kind: Kind
    indent: int
    body: str
    gap: bool = False


def read_lines(text: str) -> list[Line]:
    """The lines of a text; their spans join without a hole."""
    lines: list[Line] = []
    place, fence = 0, ""
    for raw in text.splitlines(keepends=True):
        start, place = place, place + len(raw)
        body = raw.strip()
        if not body:
            if lines:
                lines[-1].end, lines[-1].gap = place, True
            continue
        line = Line(start if lines else 0, place, Kind.TEXT, len(raw) - len(raw.lstrip()), body)
        fence = _within_fence(line, fence) if fence else _outside_fence(line, lines)
        if line.body:
            lines.append(line)
    return _unwrapped(lines)


def _within_fence(line: Line, fence: str) -> str:
    if line.body.startswith(fence) and not line.body.strip(fence[0]):
        line.kind = Kind.FENCE_CLOSE
        return ""
    line.kind = Kind.CODE
    return fence


def _outside_fence(line: Line, before: list[Line]) -> str:
    """Set the line's kind, or join it to the one before (its body is empty then); the fence that it opens, or ""."""
    fence = _FENCE.match(line.body)
    if fence:
        line.kind = Kind.FENCE_OPEN
        return fence[0]
    above = before[-1] if before and not before[-1].gap else None
    line.kind = _kind(line, above)
    if above is None:
        return ""
    if above.kind is Kind.TEXT and line.kind is Kind.RULE and line.body[0] in "-=":
        above.kind, above.end, line.body = Kind.HEADING, line.end, ""
    elif "|" in above.body and above.kind in (Kind.TEXT, Kind.ROW) and _is_delimiter(line.body):
        above.kind, above.end, line.body = Kind.TABLE_HEAD, line.end, ""
    elif above.kind is Kind.ITEM and line.kind is Kind.TEXT and line.indent:
        above.end, line.body = line.end, ""
    return ""


def _kind(line: Line, above: Line | None) -> Kind:
    body = line.body
    if _HEADING.match(body):
        return Kind.HEADING
    if len(body) >= 3 and body[0] in "-=*_" and not body.strip(body[0] + " \t"):
        return Kind.RULE
    in_table = above is not None and above.kind in (Kind.TABLE_HEAD, Kind.ROW) and "|" in body
    if in_table or body[0] == "|":
        return Kind.ROW
    return Kind.ITEM if _ITEM.match(body) else Kind.TEXT


def _is_delimiter(body: str) -> bool:
    return "|" in body and "-" in body and not body.strip("|:- \t")


def _unwrapped(lines: list[Line]) -> list[Line]:
    """The lines, with each wrapped paragraph joined to one."""
    found: list[Line] = []
    place = 0
    while place < len(lines):
        until = place + 1
        while until < len(lines) and _goes_on(lines[until - 1], lines[until]):
            until += 1
        if _is_wrapped(lines[place:until]):
            last = lines[until - 1]
            found.append(Line(lines[place].start, last.end, Kind.TEXT, lines[place].indent, last.body, last.gap))
        else:
            found.extend(lines[place:until])
        place = until
    return found


def _goes_on(line: Line, following: Line) -> bool:
    return line.kind is following.kind is Kind.TEXT and not line.gap and line.indent == following.indent


def _is_wrapped(lines: list[Line]) -> bool:
    """No line had room for the next one's first word, and most go on in small letters: a margin broke them."""
    width = max(len(line.body) for line in lines)
    if len(lines) < 2 or width not in _MARGIN_CHARS:
        return False
    crowded = all(len(a.body) + 1 + len(b.body.split(None, 1)[0]) > width for a, b in pairwise(lines))
    small = sum(line.body[0].islower() for line in lines[1:])
    return crowded and 2 * small > len(lines) - 1
