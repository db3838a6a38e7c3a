"""The conversations that this process holds hot, least recently used out first when they grow too large."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from memory_core.facts import Checkpoints
from memory_core.fold import Fold
from proxy.lineage import Head
from proxy.segmented import Segmented

PROBATION = 1 / 32
"""Of the room, for conversations that have not gone on: of 128 MiB enough for some 280 of one exchange, 15 kB each,
four times as many as are learned at once. 2Q keeps a list of whom it let go; here the log is that list: one that goes
on later is caught up from it, an exchange to be read."""

_EMPTY_BYTES, _HEAD_BYTES = 450, 170
"""What one costs in CPython beside its fold and facts, and each of its heads, by tracemalloc."""


@dataclass(slots=True)
class Hot:
    """A conversation in this process. `stored` leading turns are known to be in the log."""

    fold: Fold
    heads: list[Head] = field(default_factory=list)
    facts: Checkpoints = field(default_factory=Checkpoints)
    stored: int = 0
    version: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def nbytes(self) -> int:
        """About how much memory it takes."""
        return self.fold.nbytes + self.facts.nbytes + _EMPTY_BYTES + _HEAD_BYTES * len(self.heads)

    def holds(self, digests: Sequence[bytes], turns: int) -> bool:
        """The first `turns` turns of a transcript of these digests: one digest stands for all before it."""
        held = self.fold.digests
        return not turns or (len(held) >= turns and held[turns - 1] == digests[turns - 1])

    def cut(self, turns: int) -> None:
        """Forget what follows the first `turns` turns."""
        self.fold.truncate(turns)
        self.facts.truncate(turns)
        del self.heads[turns:]
        self.stored = min(self.stored, turns)


class HotCache:
    """Bounded by the estimated bytes of the folds; the newest ones always stay. `make` gives an empty fold.

    Who is let go while in use lives on for its users alone, and is counted no more.
    """

    def __init__(self, make: Callable[[], Fold], *, bytes_max: int) -> None:
        self._make = make
        self._hot: Segmented[str, Hot] = Segmented(bytes_max, probation=PROBATION)

    def peek(self, conversation: str) -> Hot | None:
        """The conversation if it is hot; its rank stays."""
        return self._hot.get(conversation)

    def of(self, conversation: str) -> Hot:
        """The conversation, made empty if it is not hot."""
        hot = self._hot.use(conversation)
        if hot is None:
            hot = Hot(self._make())
            self._hot.put(conversation, hot, hot.nbytes, lasts=False)  # it weighs too, and may never be learned into
        return hot

    def account(self, conversation: str, hot: Hot, *, goes_on: bool = False) -> None:
        """Note how large a conversation has become and whether it goes on; let others go if all are too large."""
        if self._hot.get(conversation) is hot:
            self._hot.put(conversation, hot, hot.nbytes, lasts=goes_on)
