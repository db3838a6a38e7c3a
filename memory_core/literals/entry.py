"""One literal as a conversation keeps it, and how salient it is.

In octaves, so that a point more is twice as salient:

    weight    kind + 1 if the user said it + 1.5 if it has a key + log2(mentions) / 2 + log2(last turn) / 4
              - 4 if superseded - 1 if it is one character
    salience  weight + rarity of the kind, log2(literals seen / literals of the kind seen) / 2, in 0..3

Recency is a power of the turn's number, not of an age: nothing fades as turns go by, and a weight changes only when
its literal is said again. Rarity is that of the kind in the conversation so far: the numbers of a log file weigh
less the more there are of them, and an IBAN more.
"""

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from memory_core.literals.literal import KINDS

KIND_OCTAVES = {
    "iban": 4.0, "vat": 4.0, "email": 4.0, "phone": 4.0, "uuid": 3.5, "money": 3.5, "datetime": 3.5, "ip": 3.5,
    "url": 3.0, "path": 3.0, "version": 3.0, "date": 3.0, "age": 3.0, "time": 2.5, "quantity": 2.5,
    "percentage": 2.5, "recurrence": 2.5, "period": 2.0, "duration": 2.0, "identifier": 2.0, "quoted": 2.0,
    "mention": 2.0, "statement": 1.5, "hashtag": 1.5, "number": 0.5,
}  # fmt: skip
"""How much an exact value of the kind is missed when it is gone: what cannot be guessed or asked for again first."""

PLACES = {kind: place for place, kind in enumerate(KINDS)}

_USER_OCTAVES, KEY_OCTAVES, _SUPERSEDED_OCTAVES, _SHORT_OCTAVES = 1.0, 1.5, 4.0, 1.0
_RARITY_OCTAVES_MAX = 3.0
_SPEAKING_OCTAVES, _KEYED_OCTAVES = 3.5, 2.5
_FORMED = frozenset({"email", "url", "path"})
_DECIMALS = 4

_COMPARABLE = (
    frozenset({"date", "datetime", "period", "recurrence"}),
    frozenset({"time", "datetime", "period"}),
    frozenset({"number", "identifier", "version", "hashtag", "uuid"}),
    frozenset({"statement", "quoted"}),
    frozenset({"age", "duration"}),
)
"""Kinds that can answer the same question: a day corrects a day, but an hour completes it."""


class Entry(NamedTuple):
    """A literal with where it was last stated: turn (from 1) and role. A row, made by the hundred: so a tuple.

    `last` is the turn of the last mention, `mentions` their number. `was` is the text of the value that it replaced
    and `was_turn` that one's turn, "" and 0 if none; `superseded` is the turn that replaced this one, 0 if current;
    `weight` is the part of the salience that is its own, in octaves.
    """

    kind: str
    text: str
    value: str
    amount: Decimal | None
    unit: str
    key: str
    context: str
    turn: int
    role: str
    last: int
    mentions: int = 1
    was: str = ""
    was_turn: int = 0
    superseded: int = 0
    weight: float = 0.0

    @property
    def is_exact(self) -> bool:
        """Worth a line in every prompt: the user's own, current, of a kind that no one can guess or tell again.

        Said of something (a key), or of the kinds that speak for themselves; "last Friday" is a date and no value.
        """
        octaves = KIND_OCTAVES[self.kind]
        telling = octaves >= _SPEAKING_OCTAVES or (bool(self.key) and octaves >= _KEYED_OCTAVES)
        has_form = self.kind in _FORMED or any(map(str.isdigit, self.text))
        return self.role == "user" and not self.superseded and telling and has_form


def comparable(left: str, right: str) -> bool:
    """Whether two kinds can answer the same question, so that one value corrects the other."""
    return left == right or any(left in group and right in group for group in _COMPARABLE)


def own_weight(entry: Entry) -> float:
    """The part of the salience that the entry's words, role and turns make, in octaves."""
    octaves = KIND_OCTAVES[entry.kind] + 0.5 * math.log2(entry.mentions) + 0.25 * math.log2(entry.last)
    octaves += _USER_OCTAVES * (entry.role == "user") + KEY_OCTAVES * bool(entry.key)
    octaves -= _SUPERSEDED_OCTAVES * (entry.superseded > 0) + _SHORT_OCTAVES * (len(entry.value) == 1)
    return round(octaves, _DECIMALS)


def saliences(entries: Sequence[Entry], seen: Sequence[int]) -> list[float]:
    """The salience of each entry. Its parts are rounded, so that no other libm can reorder them; sums are IEEE's."""
    total = max(1, sum(seen))
    rarity = {
        kind: round(min(_RARITY_OCTAVES_MAX, 0.5 * math.log2(total / max(1, seen[place]))), _DECIMALS)
        for kind, place in PLACES.items()
    }
    return [entry.weight + rarity[entry.kind] for entry in entries]
