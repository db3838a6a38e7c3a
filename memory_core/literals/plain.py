"""A cache as tuples of primitives and back, for whoever stores snapshots. What is read back is checked: it may be
anyone's.
"""

import math
from decimal import Decimal, InvalidOperation
from typing import Any

from memory_core.literals.cache import TEXT_CHARS_MAX, LiteralCache
from memory_core.literals.entry import Entry
from memory_core.literals.literal import KINDS

_FORMAT = 1
_STRINGS_MAX = {"unit": 40, "key": 200, "context": 200, "role": 64, "was": TEXT_CHARS_MAX, "text": TEXT_CHARS_MAX}
_VALUE_CHARS_MAX = 4 * TEXT_CHARS_MAX
"""Folding case can lengthen a text (ß to ss, ŉ to two, ΐ to three letters)."""


def to_plain(cache: LiteralCache) -> tuple[Any, ...]:
    """(format, capacity, seen by kind, entries): integers, strings, floats and tuples of them only."""
    rows = tuple(
        (
            KINDS.index(entry.kind), entry.text, entry.value, "" if entry.amount is None else str(entry.amount),
            entry.unit, entry.key, entry.context, entry.turn, entry.role, entry.last, entry.mentions, entry.was,
            entry.was_turn, entry.superseded, entry.weight,
        )
        for entry in cache.entries
    )  # fmt: skip
    return _FORMAT, cache.capacity, cache.seen, rows


def from_plain(plain: Any) -> LiteralCache:
    """Inverse of `to_plain`, lists in place of tuples allowed; raises ValueError for anything else."""
    if not isinstance(plain, list | tuple) or len(plain) != 4 or plain[0] != _FORMAT:
        raise ValueError(f"not a literal cache of format {_FORMAT}")
    _, capacity, seen, rows = plain
    if not _is_count(capacity) or not isinstance(seen, list | tuple) or not isinstance(rows, list | tuple):
        raise ValueError("a literal cache's fields have other types")
    if len(seen) != len(KINDS) or not all(map(_is_count, seen)):
        raise ValueError("a literal cache counts other kinds")
    if len(rows) > capacity:
        raise ValueError(f"{len(rows)} literals are more than the capacity of {capacity}")
    return LiteralCache(capacity, tuple(map(_entry, rows)), tuple(seen))


def _entry(row: Any) -> Entry:
    if not isinstance(row, list | tuple) or len(row) != 15:
        raise ValueError("a literal has another number of fields")
    kind, text, value, amount, unit, key, context, turn, role, last, mentions, was, was_turn, superseded, weight = row
    if not _is_count(kind) or kind >= len(KINDS):
        raise ValueError("a literal of an unknown kind")
    strings = {"text": text, "unit": unit, "key": key, "context": context, "role": role, "was": was}
    for name, string in strings.items():
        if not isinstance(string, str) or len(string) > _STRINGS_MAX[name]:
            raise ValueError(f"a literal's {name} is no string of at most {_STRINGS_MAX[name]} characters")
    if not text or not isinstance(value, str) or len(value) > _VALUE_CHARS_MAX:
        raise ValueError("a literal without text or value")
    if not all(map(_is_count, (turn, last, mentions, was_turn, superseded))):
        raise ValueError("a literal's turns are no turns")
    if not 1 <= turn <= last or mentions < 1 or was_turn >= turn or 0 < superseded <= turn:
        raise ValueError("a literal's turns are out of order")
    if not isinstance(weight, float) or not math.isfinite(weight):
        raise ValueError("a literal's weight is not finite")
    return Entry(
        KINDS[kind], text, value, _amount(amount), unit, key, context, turn, role, last, mentions, was, was_turn,
        superseded, weight,
    )  # fmt: skip


def _amount(text: Any) -> Decimal | None:
    if text == "":
        return None
    if not isinstance(text, str) or len(text) > TEXT_CHARS_MAX:
        raise ValueError("a literal's amount is no number")
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise ValueError("a literal's amount is no number") from None
    if not amount.is_finite():
        raise ValueError("a literal's amount is not finite")
    return amount


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
