"""What is kept of conversations, least recently used out first; one that is heard once pushes out none that goes on.

Most are heard once and never again: a batch job is ten thousand of them. So each is on probation until it goes on, in a
segment of its own that is a small share of the room. That is the segmented LRU of Karedla, Love and Wherry ("Caching
Strategies to Improve Disk System Performance", 1994). As in 2Q (Johnson and Shasha, 1994), what belongs to one request
counts once: whoever puts something says whether a later request has come for it.
"""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

LONG_TURNS = 32
"""A conversation that comes with more has gone on elsewhere, and to read it again would cost more."""

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class _Segment(OrderedDict[K, tuple[V, int]]):
    """Values and what they weigh, least recently used first."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most
        self._weight = 0

    def take(self, key: K, value: V, weight: int) -> None:
        """One more, or one that weighs something else now: the newest, which stays whatever it weighs."""
        self.let_go(key)
        self[key] = value, weight
        self._weight += weight
        while self._weight > self._most and len(self) > 1:
            self.let_go(next(iter(self)))

    def let_go(self, key: K) -> None:
        _, weight = self.pop(key, (None, 0))
        self._weight -= weight


class Segmented(Generic[K, V]):
    """At most so much weight together, of which `probation` is the share of those that have not gone on."""

    def __init__(self, most: int, *, probation: float) -> None:
        new = int(most * probation)
        self._new: _Segment[K, V] = _Segment(new)
        self._lasting: _Segment[K, V] = _Segment(most - new)

    def get(self, key: K) -> V | None:
        """Its rank stays."""
        value, _ = self._lasting.get(key) or self._new.get(key) or (None, 0)
        return value

    def use(self, key: K) -> V | None:
        """It is the newest of its segment now."""
        segment = self._lasting if key in self._lasting else self._new
        if key in segment:
            segment.move_to_end(key)
        return self.get(key)

    def put(self, key: K, value: V, weight: int, *, lasts: bool) -> None:
        """Keep one, or note what it weighs now; it is the newest then. What has gone on once lasts."""
        if lasts:
            self._new.let_go(key)
        (self._lasting if lasts or key in self._lasting else self._new).take(key, value, weight)
