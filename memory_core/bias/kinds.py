"""What recall can be told: anchors, triggers and negative attractors, checked when they are made.

Names, ranges and defaults are the ones that users of semantic-state memories know; the formulas are in `ranking.py`.
"""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from memory_core.index import Floats
from memory_core.lexical import terms

UNIT_TOLERANCE = 1e-3
"""How far a vector's length may be from 1: the slack of an int8 round trip, and far from any unscaled embedding."""


@dataclass(frozen=True, slots=True, eq=False)
class Anchor:
    """A known domain, as a reference embedding: of two about equal memories the one nearer to it comes first.

    `vector` is a unit vector, float32 [d]; `boost` 0..1, useful from .1 to .6. `turn` is None for an anchor that
    somebody set, and for an automatic one the turn (from 1) whose switch of topic made it.
    """

    name: str
    vector: Floats
    boost: float = 0.6
    turn: int | None = None

    def __post_init__(self) -> None:
        what = _named("anchor", self.name)
        _check_unit(what, self.vector)
        _check_range(what, "boost", self.boost, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class Trigger:
    """What makes a turn salient: one of `keywords` in it, or a cosine of at least `threshold` with `vector`.

    A keyword is one or more words, met whole and in that order, in any inflection that `lexical` folds. `boost` is
    0..1; `weight` multiplies it: 1 as it is, 5 puts what matches before all that does not, 0 silences the trigger.
    """

    name: str
    keywords: tuple[str, ...] = ()
    vector: Floats | None = None
    threshold: float = 0.7
    boost: float = 0.3
    weight: float = 1.0

    def __post_init__(self) -> None:
        what = _named("trigger", self.name)
        if type(self.keywords) is not tuple or (not self.keywords and self.vector is None):
            raise ValueError(f"{what} needs a tuple of keywords, a vector, or both")
        for keyword in self.keywords:
            _check_keyword(what, keyword)
        if self.vector is not None:
            _check_unit(what, self.vector)
        _check_range(what, "threshold", self.threshold, 1.0)
        _check_range(what, "boost", self.boost, 1.0)
        _check_range(what, "weight", self.weight, 100.0)


@dataclass(frozen=True, slots=True, eq=False)
class NegativeAttractor:
    """A region that recall is pushed away from: a known wrong answer, a past error.

    It begins where the cosine with `vector` (unit, float32 [d]) passes `threshold` (0..1, 1 excluded); at its
    centre a memory loses the share `penalty` (0..1) of its score.
    """

    name: str
    vector: Floats
    threshold: float = 0.3
    penalty: float = 0.5

    def __post_init__(self) -> None:
        what = _named("negative attractor", self.name)
        _check_unit(what, self.vector)
        _check_range(what, "threshold", self.threshold, 1.0)
        _check_range(what, "penalty", self.penalty, 1.0)
        if self.threshold == 1.0:
            raise ValueError(f"{what}: with a threshold of 1 its region is empty")


@dataclass(frozen=True, slots=True, eq=False)
class Bias:
    """All of it together; false if there is nothing in it. Raises ValueError for two of one name or dimension."""

    anchors: tuple[Anchor, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    negative_attractors: tuple[NegativeAttractor, ...] = ()

    def __post_init__(self) -> None:
        _check_names("anchors", [(anchor.name, anchor.turn) for anchor in self.anchors])
        _check_names("triggers", [trigger.name for trigger in self.triggers])
        _check_names("negative attractors", [attractor.name for attractor in self.negative_attractors])
        if len({vector.size for vector in self._vectors()}) > 1:
            raise ValueError("vectors of one bias must have one dimension: they come from one embedder")

    def __bool__(self) -> bool:
        return bool(self.anchors or self.triggers or self.negative_attractors)

    @property
    def dimension(self) -> int | None:
        """That of its vectors; None if it has none."""
        return next((vector.size for vector in self._vectors()), None)

    def _vectors(self) -> list[Floats]:
        triggers = [trigger.vector for trigger in self.triggers if trigger.vector is not None]
        fixed = [anchor.vector for anchor in self.anchors] + [region.vector for region in self.negative_attractors]
        return fixed + triggers


def _named(kind: str, name: str) -> str:
    if not name.strip():
        raise ValueError(f"{kind}: a name is missing")
    return f"{kind} {name!r}"


def _check_unit(what: str, vector: Floats) -> None:
    if vector.ndim != 1 or vector.size == 0:
        raise ValueError(f"{what}: expected one vector, got an array of shape {vector.shape}")
    wide = vector.astype(np.float64)  # squares of float32 overflow
    if not np.isfinite(wide).all() or abs(float(np.linalg.norm(wide)) - 1.0) > UNIT_TOLERANCE:
        raise ValueError(f"{what}: expected a finite vector of length 1")


def _check_range(what: str, field: str, value: float, largest: float) -> None:
    if not 0.0 <= value <= largest:  # also false for NaN
        raise ValueError(f"{what}: {field} must be between 0 and {largest:g}, got {value}")


def _check_keyword(what: str, keyword: str) -> None:
    words = terms(keyword)
    if not words:
        raise ValueError(f"{what}: keyword {keyword!r} has no word in it")
    if len(words) == 1 and len(words[0]) == 1 and unicodedata.category(words[0]) == "Lo":
        # Scripts without spaces are indexed by pairs: one letter alone would hardly ever be met.
        raise ValueError(f"{what}: keyword {keyword!r} is too short for its script; use two letters or a vector")


def _check_names(what: str, names: Sequence[object]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ValueError(f"{what}: {twice[0]!r} stands there twice")


NO_BIAS = Bias()
