"""Entries to tuples of strings and integers and back, for whoever stores them. What comes back is checked: it may be
anyone's."""

from collections.abc import Callable
from typing import TypeVar

from memory_core.entries.kinds import Decision, Entity, Entries, ErrorPattern, Invariant, TestResult

Row = tuple[str | int, ...]
Plain = tuple[tuple[Row, ...], ...]

_INT_MAX = 2**53
"""Beyond it JSON's numbers stop being exact."""

_T = TypeVar("_T")


def to_plain(entries: Entries) -> Plain:
    """Rows of the five kinds, in the order of Entries' and each kind's fields; inverse of `from_plain`."""
    return (
        tuple((d.turn, d.quote, d.superseded_by) for d in entries.decisions),
        tuple((e.signature, e.quote, e.count, e.first, e.last, e.fix, e.fixed) for e in entries.errors),
        tuple((i.quote, i.first, i.last) for i in entries.invariants),
        tuple((t.checkpoint, t.turn, t.passed, t.failed, t.skipped, t.quote) for t in entries.tests),
        tuple((n.name, n.count, n.first, n.last, n.quote) for n in entries.entities),
    )


def from_plain(plain: object) -> Entries:
    """Entries from what `to_plain` gave, tuples or (after JSON) lists; ValueError for anything else."""
    kinds = _sequence(plain, 5)
    entries = Entries(
        _entries(kinds[0], Decision, (int, str, int)),
        _entries(kinds[1], ErrorPattern, (str, str, int, int, int, str, int)),
        _entries(kinds[2], Invariant, (str, int, int)),
        _entries(kinds[3], TestResult, (str, int, int, int, int, str)),
        _entries(kinds[4], Entity, (str, int, int, int, str)),
    )
    entries.check()
    return entries


def _entries(rows: object, kind: Callable[..., _T], fields: tuple[type, ...]) -> tuple[_T, ...]:
    return tuple(kind(*_fields(row, fields)) for row in _sequence(rows))


def _fields(row: object, fields: tuple[type, ...]) -> tuple[object, ...]:
    values = _sequence(row, len(fields))
    for value, field in zip(values, fields, strict=True):
        if type(value) is not field:  # not isinstance: True is no turn number
            raise ValueError(f"a field of an entry is a {type(value).__name__}, not a {field.__name__}")
        if isinstance(value, int) and not 0 <= value <= _INT_MAX:
            raise ValueError("a number of an entry is out of range")
    return values


def _sequence(value: object, length: int | None = None) -> tuple[object, ...]:
    if not isinstance(value, tuple | list) or (length is not None and len(value) != length):
        raise ValueError("entries are not in the shape that to_plain gives")
    return tuple(value)
