"""The literals worth keeping of a conversation: bounded, ranked by salience, corrected by what is said later.

A fold of the log like the state: `add` is pure, a fork or an edit is a replay. An ordinary chat holds thousands of
numbers, so what is kept is decided by salience (entry.py).
"""

import heapq
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from memory_core.literals.entry import KEY_OCTAVES, KIND_OCTAVES, PLACES, Entry, comparable, own_weight, saliences
from memory_core.literals.extraction import extract
from memory_core.literals.literal import KINDS, WHOLES, Literal
from memory_core.literals.subjects import topic

CAPACITY = 256
TEXT_CHARS_MAX = 500
"""Longer values (data URLs, mostly) are left to the log: a cache of them would be a second log."""

READ_CHARS_MAX = 32_000
"""Of a longer turn the first and the last half of this are read: a pasted log must not hold up its conversation."""

_PLAIN_KINDS = frozenset({"number", "identifier"})
"""Atoms that say nothing that the quotation or the statement around them does not say better."""

_SPEAKERS = frozenset({"user", "assistant"})
"""Who corrects and is corrected. A tool's result is records, whose fields repeat without a word about one another."""

_CORRECTION = re.compile(
    r"(?:(?:\A|[.!?\n])\s*(?:actually|correction|scratch that|sorry|no,|wait,|oops|nein,|eigentlich)|"
    r"\b(?:make (?:it|that)|i meant|rather|instead(?! of)|sondern|stattdessen)\b)[^.!?\n]*\Z",
    re.IGNORECASE,
)
_INSTEAD = re.compile(r"[^.!?\n]{0,12}\b(?:instead|stattdessen)\b", re.IGNORECASE)
_CORRECTION_CHARS = 60
_CORRECTION_TURNS = 6
"""How far back a correction without a subject ("no, make it 1,300 USD") reaches for a value of its kind."""


class _Said(NamedTuple):
    """A literal of this turn, its key, and whether the text around it says that it corrects something unnamed."""

    literal: Literal
    key: str
    corrects: bool


@dataclass(frozen=True, slots=True)
class LiteralCache:
    """At most `capacity` entries in order of their first mention, and how many literals of each of KINDS went by."""

    capacity: int = CAPACITY
    entries: tuple[Entry, ...] = ()
    seen: tuple[int, ...] = (0,) * len(KINDS)


def add(cache: LiteralCache, turn: int, role: str, text: str) -> LiteralCache:
    """The cache after one more turn (numbered from 1, in order). Pure: the same turns give the same cache."""
    found = [literal for part in _parts(text) for literal in _without_repeats(extract(part), part)]
    return _Fold(cache, turn, role).add(found) if found else cache


def best(cache: LiteralCache, limit: int) -> tuple[Entry, ...]:
    """The `limit` most salient entries, superseded ones after all current ones; ties by first mention."""
    entries, scores = cache.entries, saliences(cache.entries, cache.seen)
    order = range(len(entries))
    ranked = heapq.nsmallest(limit, order, key=lambda place: (entries[place].superseded > 0, -scores[place], place))
    return tuple(entries[place] for place in ranked)


def line(entry: Entry) -> str:
    """An entry for the memory block, in one line: "[12 user] budget: 1,247.38 USD (was 1,100 USD in turn 4)"."""
    said = f"{entry.key}: {entry.text}" if entry.key else entry.context.replace("…", entry.text, 1)
    if entry.superseded:
        said += f" (superseded in turn {entry.superseded})"
    elif entry.was:
        said += f" (was {entry.was} in turn {entry.was_turn})"
    return f"[{entry.turn} {entry.role}] {said}"


def _parts(text: str) -> tuple[str, ...]:
    """The text, or both its ends, cut at white space so that no value is halved."""
    if len(text) <= READ_CHARS_MAX:
        return (text,)
    half = READ_CHARS_MAX // 2
    return text[:half].rpartition(" ")[0], text[-half:].partition(" ")[2]


def _without_repeats(literals: Sequence[Literal], text: str) -> list[_Said]:
    """Without quotations that are nothing but one atom, numbers and names inside of wholes, and what is too long."""
    atoms = {(literal.start, literal.end) for literal in literals if literal.kind not in WHOLES}
    left, covered = [], 0
    for literal in literals:
        if literal.kind in WHOLES:
            if (literal.start + 1, literal.end - 1) in atoms:
                continue
            covered = max(covered, literal.end)
        elif literal.kind in _PLAIN_KINDS and literal.start < covered:
            continue
        if len(literal.text) <= TEXT_CHARS_MAX:
            left.append(_Said(literal, literal.key, not literal.key and _corrects(text, literal)))
    return left


def _corrects(text: str, literal: Literal) -> bool:
    before = text[max(0, literal.start - _CORRECTION_CHARS) : literal.start]
    return _CORRECTION.search(before) is not None or _INSTEAD.match(text, literal.end) is not None


def _prospect(said: _Said) -> float:
    return KIND_OCTAVES[said.literal.kind] + KEY_OCTAVES * bool(said.key)


class _Fold:
    """One call of `add`: the entries, changed in place until they are a cache again."""

    def __init__(self, cache: LiteralCache, turn: int, role: str) -> None:
        self.capacity, self.turn, self.role = cache.capacity, turn, role
        self.entries = list(cache.entries)
        self.values = {entry.value for entry in cache.entries}
        self.seen = list(cache.seen)

    def add(self, found: list[_Said]) -> LiteralCache:
        """Enter the literals of the turn, of a flood the weightiest; then forget the least salient."""
        for said in found:
            self.seen[PLACES[said.literal.kind]] += 1
        if len(found) > self.capacity:
            heaviest = heapq.nsmallest(self.capacity, range(len(found)), key=lambda at: (-_prospect(found[at]), at))
            found = [found[at] for at in sorted(heaviest)]
        named = [(said.literal, self._corrected_key(said.literal) if said.corrects else said.key) for said in found]
        listed = _listed(named)
        for literal, key in named:
            about = topic(key)
            states = bool(about) and about not in listed and self.role in _SPEAKERS
            place = self._known(literal, about)
            place = self._enter(literal, key) if place < 0 else self._repeat(place, literal, key, states=states)
            if states and not self.entries[place].superseded:
                self._supersede(place, about)
        return LiteralCache(self.capacity, self._kept(), tuple(self.seen))

    def _kept(self) -> tuple[Entry, ...]:
        excess = len(self.entries) - self.capacity
        if excess <= 0:
            return tuple(self.entries)
        scores = saliences(self.entries, self.seen)
        dropped = set(sorted(range(len(scores)), key=scores.__getitem__)[:excess])
        return tuple(entry for place, entry in enumerate(self.entries) if place not in dropped)

    def _known(self, literal: Literal, about: str) -> int:
        """The entry of the same value said of the same thing, or of nothing; the latest where nothing is named."""
        if literal.value not in self.values:
            return -1
        for place in range(len(self.entries) - 1, -1, -1):
            entry = self.entries[place]
            same = entry.value == literal.value and entry.kind == literal.kind
            if same and (not about or not entry.key or topic(entry.key) == about):
                return place
        return -1

    def _enter(self, literal: Literal, key: str) -> int:
        kind, text, value, context = literal.kind, literal.text, literal.value, literal.context
        turn = self.turn
        entry = Entry(kind, text, value, literal.amount, literal.unit, key, context, turn, self.role, turn)
        self.entries.append(entry)
        self.values.add(value)
        self._weigh(len(self.entries) - 1)
        return len(self.entries) - 1

    def _repeat(self, place: int, literal: Literal, key: str, *, states: bool) -> int:
        """Said again: a mention more. Named first, said by the user first, or again in force: this turn states it.

        Only the user brings a superseded value back; an assistant that says it looks back.
        """
        entry = self.entries[place]._replace(last=self.turn, mentions=self.entries[place].mentions + 1)
        by_user = self.role == "user"
        revived = bool(entry.superseded) and states and by_user
        if revived:
            entry = entry._replace(superseded=0, was="", was_turn=0)
        if revived or (key and not entry.key) or (by_user and entry.role != "user"):
            entry = entry._replace(turn=self.turn, role=self.role, text=literal.text, context=literal.context)
            entry = entry._replace(key=entry.key or key)
        self.entries[place] = entry
        self._weigh(place)
        return place

    def _supersede(self, place: int, about: str) -> None:
        """Mark the one current value of an earlier turn that this one replaces; of several none: they are a list."""
        entry = self.entries[place]
        rivals = [
            other
            for other, rival in enumerate(self.entries)
            if rival.key
            and topic(rival.key) == about
            and not rival.superseded
            and rival.role in _SPEAKERS
            and rival.value != entry.value
            and comparable(rival.kind, entry.kind)
        ]
        if len(rivals) != 1 or self.entries[rivals[0]].turn >= self.turn:
            return
        older = self.entries[rivals[0]]
        self.entries[rivals[0]] = older._replace(superseded=self.turn)
        self.entries[place] = entry._replace(turn=self.turn, role=self.role, was=older.text, was_turn=older.turn)
        self._weigh(rivals[0])
        self._weigh(place)

    def _corrected_key(self, literal: Literal) -> str:
        """The key of what "no, make it X" corrects: the latest of X's kind and unit in the last few turns."""
        for entry in reversed(self.entries):
            near = 0 < self.turn - entry.last <= _CORRECTION_TURNS
            if near and entry.key and not entry.superseded and (entry.kind, entry.unit) == (literal.kind, literal.unit):
                return entry.key
        return ""

    def _weigh(self, place: int) -> None:
        entry = self.entries[place]
        self.entries[place] = entry._replace(weight=own_weight(entry))


def _listed(named: Iterable[tuple[Literal, str]]) -> frozenset[str]:
    """Topics with several comparable values in one turn: a list of prices, say, which corrects nothing."""
    values: dict[str, tuple[str, str]] = {}
    several = set()
    for literal, key in named:
        if key:
            kind, value = values.setdefault(topic(key), (literal.kind, literal.value))
            if value != literal.value and comparable(kind, literal.kind):
                several.add(topic(key))
    return frozenset(several)
