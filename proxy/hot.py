"""The conversations that this process holds hot, least recently used out first when they grow too large."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from memory_core.facts import Checkpoints
from memory_core.fold import Fold
from proxy.lineage import Head


@dataclass(slots=True)
class Hot:
    """A conversation in this process. `stored` leading turns are known to be in the log."""

    fold: Fold
    heads: list[Head] = field(default_factory=list)
    facts: Checkpoints = field(default_factory=Checkpoints)
    stored: int = 0
    version: int = 0
    counted_bytes: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def nbytes(self) -> int:
        """About how much memory it takes."""
        return self.fold.nbytes + self.facts.nbytes

    def cut(self, turns: int) -> None:
        """Forget what follows the first `turns` turns."""
        self.fold.truncate(turns)
        self.facts.truncate(turns)
        del self.heads[turns:]
        self.stored = min(self.stored, turns)


class HotCache:
    """Bounded by the estimated bytes of the folds; the newest one always stays. `make` gives an empty fold."""

    def __init__(self, make: Callable[[], Fold], *, bytes_max: int) -> None:
        self._make = make
        self._bytes_max = bytes_max
        self._hot: OrderedDict[str, Hot] = OrderedDict()
        self._bytes = 0

    def peek(self, conversation: str) -> Hot | None:
        """The conversation if it is hot; its rank stays."""
        return self._hot.get(conversation)

    def of(self, conversation: str) -> Hot:
        """The conversation, made empty if it is not hot."""
        hot = self._hot.get(conversation)
        if hot is None:
            hot = self._hot[conversation] = Hot(self._make())
            self.account(conversation, hot)  # an empty one weighs too, and may never be learned into
        self._hot.move_to_end(conversation)
        return hot

    def account(self, conversation: str, hot: Hot) -> None:
        """Note how large a conversation has become, and let others go if all are too large."""
        if self._hot.get(conversation) is not hot:
            return
        self._bytes += hot.nbytes - hot.counted_bytes
        hot.counted_bytes = hot.nbytes
        while self._bytes > self._bytes_max and len(self._hot) > 1:
            _, evicted = self._hot.popitem(last=False)
            self._bytes -= evicted.counted_bytes
