"""MemoryState: the bounded view of a conversation, the same size at turn 50 and at turn 10,000."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from operator import ge

import msgspec
import numpy as np

from memory_core.index import Floats

NORM_MAX = 1.2
HISTORY_TURNS = 50
"""How many similarities and how many switches of topic are remembered: the window that users of such memories know."""

EVICTIONS = ("retention", "fifo")


@dataclass(frozen=True, slots=True)
class Capacities:
    """How many turns each tier keeps, and which go first: the least worth keeping ("retention"), or the oldest."""

    short: int = 15
    medium: int = 50
    long: int = 200
    eviction: str = "retention"


class Kept(msgspec.Struct, frozen=True, gc=False):
    """A turn that a tier keeps: numbers about it; the log holds what it says.

    A Struct and no dataclass: a full memory has 265 of them, and a frozen dataclass takes five times as long to build.

    `turn` counts from 1. `information` is how much it says (IDF mass, ≥ 0), `weight` that against the other turns of
    its role, times its importance (≥ 0, around 1: retention.py). `accesses` counts the inputs that came back to it,
    `touched` is the newest of them (0: none yet). `leader` is the turn that leads its cluster (0: itself).
    """

    turn: int
    information: float
    weight: float = 1.0
    accesses: int = 0
    touched: int = 0
    leader: int = 0

    @property
    def cluster(self) -> int:
        """The turn that names its cluster; it may itself have been evicted since."""
        return self.leader or self.turn


@dataclass(frozen=True, slots=True)
class TopicSwitch:
    """A detected pivot: its turn, how far it went (0..1), the phase it struck, and whether an anchor was set there."""

    turn: int
    magnitude: float
    phase: str
    auto_anchored: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class MemoryState:
    """Never changed in place; `update` returns a new one.

    `vector` is float32 [d] with norm ≤ 1.2, zeros before the first input; `similarities` are the last 50 inputs'
    cosines to the state before them, `topic_switches` the last 50 pivots, both oldest first; the tiers hold turns in
    the order of the log; `densities` are the mean densities (retention.py) of all inputs and of all other turns.
    """

    turns: int
    inputs: int
    vector: Floats
    similarities: tuple[float, ...]
    short: tuple[Kept, ...]
    medium: tuple[Kept, ...]
    long: tuple[Kept, ...]
    capacities: Capacities
    topic_switches: tuple[TopicSwitch, ...] = ()
    densities: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def empty(cls, dimension: int, capacities: Capacities | None = None) -> "MemoryState":
        """The state before the first turn."""
        sizes = Capacities() if capacities is None else capacities
        return cls(0, 0, _zeros(dimension), (), (), (), (), sizes)

    @property
    def kept(self) -> tuple[Kept, ...]:
        """All that the tiers keep, in the order of the log."""
        return tuple(sorted(self.long + self.medium + self.short, key=lambda kept: kept.turn))

    @property
    def clusters(self) -> tuple[tuple[int, ...], ...]:
        """The turns of the long tier, those that say nearly the same together, each in the order of the log."""
        found: dict[int, list[int]] = {}
        for kept in self.long:
            found.setdefault(kept.cluster, []).append(kept.turn)
        return tuple(tuple(turns) for turns in found.values())

    def check(self) -> None:
        """Raise ValueError if an invariant does not hold."""
        rows = map(msgspec.structs.astuple, self.long + self.medium + self.short)
        # in columns: a pass of C over each instead of one of Python over the rows
        turns, information, weights, accesses, touched, leaders = tuple(zip(*rows, strict=True)) or ((),) * 6
        switches, sizes = self.topic_switches, self.capacities
        problems = [
            (not np.isfinite(self.vector).all(), "the vector is not finite"),
            (float(np.linalg.norm(self.vector)) > NORM_MAX + 1e-4, "the vector is too long"),
            (not 0 <= self.inputs <= self.turns, "more inputs than turns"),
            (len(self.similarities) > HISTORY_TURNS, "the history is too long"),
            (any(not -1.001 <= value <= 1.001 for value in self.similarities), "a similarity is no cosine"),
            (len(switches) > HISTORY_TURNS, "the history of switches is too long"),
            (any(not 1 <= switch.turn <= self.turns for switch in switches), "a switch is not in the log"),
            (any(not 0 <= switch.magnitude <= 1 for switch in switches), "a switch's magnitude is not in 0..1"),
            (len(self.short) > sizes.short, "the short tier is over its capacity"),
            (len(self.medium) > sizes.medium, "the medium tier is over its capacity"),
            (len(self.long) > sizes.long, "the long tier is over its capacity"),
            (sizes.eviction not in EVICTIONS, "an eviction that nobody knows"),
            (len(set(turns)) != len(turns), "a turn is kept twice"),
            (min(turns, default=1) < 1 or max(turns, default=0) > self.turns, "a kept turn is not in the log"),
            (not _masses(information), "information below zero or not finite"),
            (not _masses(weights), "a weight below zero or not finite"),
            (min(accesses, default=0) < 0, "accesses below zero"),
            (
                any(at and not turn < at <= self.turns for turn, at in zip(turns, touched, strict=True)),
                "an access that is not in the log",
            ),
            (min(leaders, default=0) < 0 or any(map(ge, leaders, turns)), "a leader that came after its turn"),
            (not _masses(self.densities), "a density below zero or not finite"),
        ]
        for broken, sentence in problems:
            if broken:
                raise ValueError(sentence)

    def same(self, other: "MemoryState") -> bool:
        """Equal in every bit."""
        plain = replace(self, vector=other.vector)
        fields = all(getattr(plain, name) == getattr(other, name) for name in _PLAIN_FIELDS)
        return fields and np.array_equal(self.vector, other.vector)


@lru_cache(maxsize=16)
def _zeros(dimension: int) -> Floats:
    """One for all conversations, which else hold 1.5 kB of them each; nobody can write to it."""
    zeros = np.zeros(dimension, np.float32)
    zeros.flags.writeable = False
    return zeros


def _masses(values: Iterable[float]) -> bool:
    """Whether all are finite and none is below zero."""
    found = tuple(values)
    return all(map(math.isfinite, found)) and min(found, default=0.0) >= 0


_PLAIN_FIELDS = tuple(name for name in MemoryState.__dataclass_fields__ if name != "vector")
