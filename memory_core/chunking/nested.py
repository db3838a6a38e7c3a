"""Where JSON may be cut: between members, the shallower the better. A scan, no parser: tool results arrive cut off."""

import re

_OPENING = re.compile(r'\s*+[\[{]\s*+(?:["\[\]{}]|-?\d|true\b|false\b|null\b)')
_TOKEN = re.compile(r'(?P<string>"(?:[^"\\]++|\\(?:.|\Z))*+(?:"|\Z))|(?P<bracket>[\[\]{}])|,\s*+', re.DOTALL)
"""An unclosed string runs to the end, so that no quote is scanned twice."""

LONG_STRING_CHARS = 200
"""From this on a string is worth a cut inside, where its sentences end."""


def members(text: str, start: int, end: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """(place, rank) after each member's comma, and the spans of long strings; nothing if text[start:end] is no JSON.

    Rank 0 is the shallowest depth that has a comma at all, 1 the next one that has, and so on.
    """
    if not _OPENING.match(text, start, end):
        return [], []
    commas: list[tuple[int, int]] = []
    strings: list[tuple[int, int]] = []
    depth = 0
    for match in _TOKEN.finditer(text, start, end):
        if match.lastgroup == "bracket":
            depth += 1 if match[0] in "[{" else -1
            if depth <= 0:
                if text[match.end() : end].strip():
                    return [], []
                break
        elif match.lastgroup == "string":
            if match.end() - match.start() >= LONG_STRING_CHARS:
                strings.append(match.span())
        else:
            commas.append((match.end(), depth))
    ranks = {depth: rank for rank, depth in enumerate(sorted({depth for _, depth in commas}))}
    return [(place, ranks[depth]) for place, depth in commas if place < end], strings
