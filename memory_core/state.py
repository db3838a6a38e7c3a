"""MemoryState: the bounded view of a conversation, the same size at turn 50 and at turn 10,000."""

from dataclasses import dataclass, replace

import numpy as np

from memory_core.index import Floats

NORM_MAX = 1.2
HISTORY_TURNS = 50


@dataclass(frozen=True, slots=True)
class Capacities:
    """How many turns each tier keeps."""

    short: int = 15
    medium: int = 50
    long: int = 200


@dataclass(frozen=True, slots=True)
class Kept:
    """A turn that a tier keeps: its number (from 1) and how much it says (IDF mass, ≥ 0)."""

    turn: int
    information: float


@dataclass(frozen=True, slots=True, eq=False)
class MemoryState:
    """Never changed in place; `update` returns a new one.

    `vector` is float32 [d] with norm ≤ 1.2, zeros before the first input; `similarities` are the last 50 inputs'
    cosines to the state before them, oldest first; the tiers hold turn numbers, the log holds what they say.
    """

    turns: int
    inputs: int
    vector: Floats
    similarities: tuple[float, ...]
    short: tuple[Kept, ...]
    medium: tuple[Kept, ...]
    long: tuple[Kept, ...]
    capacities: Capacities

    @classmethod
    def empty(cls, dimension: int, capacities: Capacities | None = None) -> "MemoryState":
        """The state before the first turn."""
        sizes = Capacities() if capacities is None else capacities
        return cls(0, 0, np.zeros(dimension, np.float32), (), (), (), (), sizes)

    @property
    def kept(self) -> tuple[Kept, ...]:
        """All that the tiers keep, in the order of the log."""
        return tuple(sorted(self.long + self.medium + self.short, key=lambda kept: kept.turn))

    def check(self) -> None:
        """Raise ValueError if an invariant does not hold."""
        problems = [
            (not np.isfinite(self.vector).all(), "the vector is not finite"),
            (float(np.linalg.norm(self.vector)) > NORM_MAX + 1e-4, "the vector is too long"),
            (not 0 <= self.inputs <= self.turns, "more inputs than turns"),
            (len(self.similarities) > HISTORY_TURNS, "the history is too long"),
            (any(not -1.001 <= value <= 1.001 for value in self.similarities), "a similarity is no cosine"),
            (len(self.short) > self.capacities.short, "the short tier is over its capacity"),
            (len(self.medium) > self.capacities.medium, "the medium tier is over its capacity"),
            (len(self.long) > self.capacities.long, "the long tier is over its capacity"),
            (len({kept.turn for kept in self.kept}) != len(self.kept), "a turn is kept twice"),
            (any(not 1 <= kept.turn <= self.turns for kept in self.kept), "a kept turn is not in the log"),
            (any(not kept.information >= 0 for kept in self.kept), "information below zero"),
        ]
        for broken, sentence in problems:
            if broken:
                raise ValueError(sentence)

    def same(self, other: "MemoryState") -> bool:
        """Equal in every bit."""
        plain = replace(self, vector=other.vector)
        fields = all(getattr(plain, name) == getattr(other, name) for name in _PLAIN_FIELDS)
        return fields and np.array_equal(self.vector, other.vector)


_PLAIN_FIELDS = ("turns", "inputs", "similarities", "short", "medium", "long", "capacities")
