"""A text to its literals: every reading is collected, and of readings that overlap the longest stands.

Two layers: quoted strings and statements are wholes, everything else is an atom, and spans never overlap within a
layer. So "port: 8443" is the number 8443 with the key "port" and no statement besides, because an atom says more
than its characters; "address: 12 Mill Lane" is a statement, and the number 12 inside it an atom of its own.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable

from memory_core.literals.codes import codes
from memory_core.literals.lexer import Tokens, lex
from memory_core.literals.literal import KINDS, WHOLES, Literal, Reading
from memory_core.literals.phones import phones
from memory_core.literals.quantities import quantities
from memory_core.literals.segments import Readings, known_stretches, odd_stretches
from memory_core.literals.statements import quotations, statements
from memory_core.literals.subjects import subject
from memory_core.literals.temporal import moments
from memory_core.literals.web import addresses

_CONTEXT_CHARS = 30
_PHONE_DIGITS_MIN = 6
_DIGIT = re.compile(r"\d")
_PRECEDENCE = {
    kind: place
    for place, kind in enumerate(
        ("uuid", "iban", "vat", "url", "email", "ip", "phone", "version", *KINDS)[::-1],
    )
}
"""Of equally long readings: what a check digit or a fixed form proves goes first, then the order of KINDS."""


def extract(text: str) -> tuple[Literal, ...]:
    """The literals of a text in order of their start, a whole before the atoms inside it. Pure; linear in the text.

    Each `text` is `text[start:end]`. Within wholes (quoted, statement) and within atoms (all other kinds) no two
    spans overlap; the longest reading of the same characters wins.
    """
    if not text:
        return ()
    tokens = lex(text)
    atoms = [_with_key(tokens, atom) for atom in _longest(_atoms(text, tokens))]
    said = _longest(statements(text))
    quoted = (_with_key(tokens, quotation) for quotation in quotations(text))
    wholes = _longest([*quoted, *_settled(said, atoms)])
    found = sorted([*atoms, *wholes], key=lambda reading: (reading.start, -reading.end, reading.kind not in WHOLES))
    return tuple(_literal(text, reading) for reading in found)


def _literal(text: str, found: Reading) -> Literal:
    kind, start, end, value, amount, unit, key = found
    return Literal(kind, text[start:end], start, end, value, amount, unit, key, _context(text, start, end))


def _with_key(tokens: Tokens, atom: Reading) -> Reading:
    key = subject(tokens, bisect_left(tokens.starts, atom.start))
    return atom._replace(key=key) if key else atom


def _atoms(text: str, tokens: Tokens) -> list[Reading]:
    found: list[Reading] = []
    read = Readings(len(tokens.starts))
    for first, last in known_stretches(tokens):
        found.extend(moments(tokens, first, last, read))
        found.extend(quantities(tokens, first, last, read))
    for start, end in odd_stretches(text):
        found.extend(codes(text, start, end))
        found.extend(addresses(text, start, end))
    if len(_DIGIT.findall(text)) >= _PHONE_DIGITS_MIN:
        found.extend(phones(text))
    return found


def _longest(readings: Iterable[Reading]) -> list[Reading]:
    """A set of readings that do not overlap, the longest first, in order of their start. n log n."""
    ranked = sorted(readings, key=lambda found: (found.start - found.end, -_PRECEDENCE[found.kind], found.start))
    chosen: list[Reading] = []
    starts: list[int] = []
    for reading in ranked:
        place = bisect_right(starts, reading.start)
        if (place == 0 or chosen[place - 1].end <= reading.start) and (
            place == len(starts) or starts[place] >= reading.end
        ):
            starts.insert(place, reading.start)
            chosen.insert(place, reading)
    return chosen


def _settled(said: Iterable[Reading], atoms: list[Reading]) -> list[Reading]:
    """The statements that no atom says already; `atoms` take the keys of the others, in place.

    An atom that is the whole value is it, and so is one with a key of its own at its head ("deadline: 2026-03-01,
    sharp") unless it is a bare number: "address: 12 Mill Lane" is no statement of 12.
    """
    starts = [atom.start for atom in atoms]
    left = []
    for statement in said:
        place = bisect_left(starts, statement.start)
        head = atoms[place] if place < len(atoms) and starts[place] < statement.end else None
        if head is None or head.start - statement.start > 1:
            left.append(statement)
        elif head.end >= statement.end - 1 or (head.key and head.kind != "number"):
            atoms[place] = head._replace(key=statement.key)
        else:
            atoms[place] = head._replace(key="")
            left.append(statement)
    return left


def _context(text: str, start: int, end: int) -> str:
    """Whole words on both sides, within the line, "…" for the value; an unspaced script is cut where it must be."""
    before = text[max(0, start - _CONTEXT_CHARS - 1) : start].rpartition("\n")[2]
    after = text[end : end + _CONTEXT_CHARS + 1].partition("\n")[0]
    if len(before) > _CONTEXT_CHARS:
        before = before.partition(" ")[2] if " " in before[:-1] else before[1:]
    if len(after) > _CONTEXT_CHARS:
        after = after.rpartition(" ")[0] if " " in after[1:] else after[:-1]
    around = f"{before.replace('…', '')}…{after.replace('…', '')}"
    return " ".join(around.split())
