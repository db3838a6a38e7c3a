"""The exchanges of one conversation that are to be learned, oldest first; and which have been, not long ago."""

from collections import OrderedDict, deque

from proxy.exchange import Waiting
from proxy.lineage import Lineage


class Line:
    """Never empty for long: who has nobody in line has no line. Only the last need be folded, for what the others say
    need only be in the log."""

    def __init__(self, first: Waiting) -> None:
        self._waiting = deque([first])

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def first(self) -> Waiting:
        """Who came first."""
        return self._waiting[0]

    @property
    def is_urgent(self) -> bool:
        """Someone waits until one of them is learned, and so until those before it are."""
        return any(each.exchange.is_urgent for each in self._waiting)

    @property
    def have_had_turn(self) -> bool:
        """All of them."""
        return all(each.had_turn for each in self._waiting)

    @property
    def next(self) -> Waiting | None:
        """Who need not wait for a spell: those that had their turn go before who came while it lasts."""
        return self.first if self.is_urgent else next((each for each in self._waiting if each.had_turn), None)

    @property
    def outrun(self) -> list[Waiting]:
        """Those that had their turn, but for the last."""
        return [each for each in self._waiting if each.had_turn and each is not self._waiting[-1]]

    def add(self, waiting: Waiting) -> bool:
        """To the end; True if it took the last one's place, all of which it holds."""
        goes_on = bool(self._waiting) and waiting.whole is not None and self._waiting[-1].goes_on_in(waiting.whole)
        if goes_on:
            waiting.told[:0] = self._waiting.pop().told
        self._waiting.append(waiting)
        return goes_on

    def __contains__(self, waiting: Waiting) -> bool:
        return waiting in self._waiting

    def put_back(self, waiting: Waiting) -> None:
        """One that was removed, and is not done, to the front."""
        self._waiting.appendleft(waiting)

    def remove(self, waiting: Waiting) -> bool:
        """False if it is not there any more."""
        if waiting not in self._waiting:
            return False
        self._waiting.remove(waiting)
        return True

    def give_turn(self) -> None:
        """To all of them."""
        for each in self._waiting:
            each.had_turn = True

    def clear(self) -> list[Waiting]:
        """All that were left."""
        left = [*self._waiting]
        self._waiting.clear()
        return left


class Known:
    """Transcripts, by their ends, the `most` that were added last. None of an explicit id: its head may have moved."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._ends: OrderedDict[bytes, None] = OrderedDict()

    def __contains__(self, whole: Lineage) -> bool:
        return not whole.explicit and _end(whole) in self._ends

    def add(self, whole: Lineage | None) -> None:
        """Its own end, not those of what is in it."""
        if whole is None:
            return
        self._ends[_end(whole)] = None
        if len(self._ends) > self._most:
            self._ends.popitem(last=False)


def _end(whole: Lineage) -> bytes:
    return whole.digests[-1] if whole.length else whole.root
