"""A log folded: its digests, its index, and the state after every turn, ready to be cut back for a fork.

This is what a process keeps hot of a conversation. It holds no text (the log does) and can be thrown away.
"""

from collections.abc import Sequence

from memory_core.index import Bytes8, MemoryIndex
from memory_core.state import Capacities, MemoryState
from memory_core.transcript import common_prefix
from memory_core.update import update

CHECKPOINT_TURNS = 32
"""States are kept at every 32nd turn and at the newest few; any other is at most 31 updates (some 2 ms) away."""

_NEWEST_KEPT = 4
_STATE_BYTES = 12_000


class Fold:
    """Grown by `append`, cut by `truncate`. Not safe for concurrent writers."""

    def __init__(self, dimension: int, capacities: Capacities) -> None:
        self.index = MemoryIndex(dimension)
        self.digests: list[bytes] = []
        self._inputs: list[bool] = []
        self._states = {0: MemoryState.empty(dimension, capacities)}

    @property
    def turns(self) -> int:
        """How many turns it holds."""
        return len(self.digests)

    @property
    def nbytes(self) -> int:
        """About how much memory it takes."""
        return self.index.nbytes + len(self._states) * _STATE_BYTES + 64 * self.turns

    def shared(self, digests: Sequence[bytes]) -> int:
        """How many leading turns it shares with a transcript of these digests."""
        return common_prefix(self.digests, digests)

    def append(self, digest: bytes, quantised: Bytes8, texts: Sequence[str], *, is_input: bool) -> None:
        """Fold one more turn: its chunks' texts and int8 vectors [chunks, d]."""
        self.index.append(quantised, texts)
        self.digests.append(digest)
        self._inputs.append(is_input)
        self._states[self.turns] = self._after(self._states[self.turns - 1], self.turns)
        outdated = self.turns - _NEWEST_KEPT
        if outdated > 0 and outdated % CHECKPOINT_TURNS:
            self._states.pop(outdated, None)

    def truncate(self, turns: int) -> None:
        """Forget all turns after the first `turns`."""
        if turns >= self.turns:
            return
        state = self.state_at(turns)
        self.index.truncate(turns)
        del self.digests[turns:], self._inputs[turns:]
        self._states = {place: kept for place, kept in self._states.items() if place < turns} | {turns: state}

    def state_at(self, turns: int) -> MemoryState:
        """The state after the first `turns` turns."""
        place = turns
        while place not in self._states:
            place -= 1
        state = self._states[place]
        for turn in range(place + 1, turns + 1):
            state = self._after(state, turn)
        return state

    def _after(self, state: MemoryState, turn: int) -> MemoryState:
        index = self.index
        embedding, information = index.turn_vector(turn), index.information(turn)
        return update(state, embedding, information, is_input=self._inputs[turn - 1])[0]
