"""The five kinds of entry and `Entries`, the bounded whole: the same size at turn 50 and at turn 10,000.

Turns count from 1. A quote is verbatim but for its white space, one line, a whole sentence or line up to
QUOTE_CHARS_MAX characters; a longer one ends in "…".
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

DECISIONS_MAX = 40
ERRORS_MAX = 30
INVARIANTS_MAX = 40
TESTS_MAX = 20
ENTITIES_MAX = 60
"""Capacities: a few times what a hand-off block can show."""

QUOTE_CHARS_MAX = 240
NAME_CHARS_MAX = 80
SIGNATURE_CHARS_MAX = 160

MENTION_WORTH_TURNS = 20
"""What is full gives up its stalest: one mention more counts like having been seen twenty turns later."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Something decided in `turn`; `superseded_by` is the turn of the decision that took its place, 0 if it stands."""

    turn: int
    quote: str
    superseded_by: int = 0


@dataclass(frozen=True, slots=True)
class ErrorPattern:
    """One error however often it came: `signature` without paths, numbers and ids; `count` turns in `first`..`last`.

    `quote` is its newest form. `fix` quotes the statement that resolved it, said in turn `fixed`; "" and 0 before.
    """

    signature: str
    quote: str
    count: int
    first: int
    last: int
    fix: str = ""
    fixed: int = 0

    @property
    def is_open(self) -> bool:
        """Not fixed, or back since."""
        return self.fixed < self.last


@dataclass(frozen=True, slots=True)
class Invariant:
    """A standing rule or fact that the user stated, in its newest wording; first said in `first`, last in `last`."""

    quote: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class TestResult:
    """The newest result for a checkpoint: a commit, tag or label named in the same turn, else "turn N"."""

    checkpoint: str
    turn: int
    passed: int
    failed: int
    skipped: int
    quote: str


@dataclass(frozen=True, slots=True)
class Entity:
    """A named thing, mentioned in `count` turns; `quote` is the sentence of the first, which often defines it."""

    name: str
    count: int
    first: int
    last: int
    quote: str

    @property
    def key(self) -> str:
        """What makes two spellings one entity."""
        return self.name.casefold()


@dataclass(frozen=True, slots=True)
class Entries:
    """Never changed in place; `add` returns a new one, or this one if a turn holds nothing. Each kind oldest first."""

    decisions: tuple[Decision, ...] = ()
    errors: tuple[ErrorPattern, ...] = ()
    invariants: tuple[Invariant, ...] = ()
    tests: tuple[TestResult, ...] = ()
    entities: tuple[Entity, ...] = ()

    def check(self) -> None:
        """Raise ValueError if an invariant does not hold."""
        counts = [(e.count, e.first, e.last) for e in self.errors]
        counts += [(e.count, e.first, e.last) for e in self.entities] + [(1, i.first, i.last) for i in self.invariants]
        turns = [d.turn for d in self.decisions] + [t.turn for t in self.tests] + [first for _, first, _ in counts]
        problems = [
            *((len(kept) > size, f"more than {size} {name}") for name, kept, size in self._capacities()),
            (any(turn < 1 for turn in turns), "a turn below 1"),
            (
                any(not 1 <= count <= last - first + 1 for count, first, last in counts),
                "a count its turns do not allow",
            ),
            (any(0 < d.superseded_by < d.turn for d in self.decisions), "a decision superseded before it was made"),
            (any(bool(e.fix) != (e.fixed >= e.first) for e in self.errors), "a fix without its turn"),
            (any(min(t.passed, t.failed, t.skipped) < 0 for t in self.tests), "a number of tests below 0"),
            (_repeats(entry.signature for entry in self.errors), "an error pattern is kept twice"),
            (_repeats(entry.checkpoint for entry in self.tests), "a checkpoint is kept twice"),
            (_repeats(entry.key for entry in self.entities), "an entity is kept twice"),
            (any(len(text) > size or "\n" in text for text, size in self._texts()), "a text is too long"),
        ]
        for broken, sentence in problems:
            if broken:
                raise ValueError(sentence)

    def _capacities(self) -> Iterable[tuple[str, Sequence[object], int]]:
        yield "decisions", self.decisions, DECISIONS_MAX
        yield "errors", self.errors, ERRORS_MAX
        yield "invariants", self.invariants, INVARIANTS_MAX
        yield "tests", self.tests, TESTS_MAX
        yield "entities", self.entities, ENTITIES_MAX

    def _texts(self) -> Iterable[tuple[str, int]]:
        yield from ((entry.quote, QUOTE_CHARS_MAX) for entry in self.decisions + self.errors + self.invariants)
        yield from ((entry.quote, QUOTE_CHARS_MAX) for entry in self.tests + self.entities)
        yield from ((entry.fix, QUOTE_CHARS_MAX) for entry in self.errors)
        yield from ((entry.signature, SIGNATURE_CHARS_MAX) for entry in self.errors)
        yield from ((entry.checkpoint, NAME_CHARS_MAX) for entry in self.tests)
        yield from ((entry.name, NAME_CHARS_MAX) for entry in self.entities)


def _repeats(keys: Iterable[str]) -> bool:
    listed = list(keys)
    return len(set(listed)) != len(listed)


_T = TypeVar("_T")


def bounded(kept: Sequence[_T], size: int, worth: Callable[[_T], tuple[int, ...]]) -> tuple[_T, ...]:
    """`kept` without its least worthy, the earlier of two equals, until at most `size` are left; order unchanged."""
    if len(kept) <= size:
        return tuple(kept)
    ranked = sorted(range(len(kept)), key=lambda place: worth(kept[place]))
    falling = set(ranked[: len(kept) - size])
    return tuple(entry for place, entry in enumerate(kept) if place not in falling)
