"""Which memories have which routing code: packed lists of uint32, 4 bytes a memory.

Lists of all codes stand one behind the other in a single array. New memories wait in a tail that holds only their
codes (their numbers go without saying) until it is a sixteenth of the log, and are then merged in: 64 bytes moved a
memory in the long run. The merge works in place from the back, so its peak is the array once, plus the longest list
and the tail; only if the allocator has to move the array are there two of it for a moment.
"""

from array import array

import numpy as np
from numpy.typing import NDArray

from memory_core.codebook import Codes

TAIL_MIN = 4_096
TAIL_SHARE = 1 / 16
"""How many memories may wait to be merged: a search looks through all of the tail, one comparison a memory."""

MEMORIES_MAX = 2**32 - 1

Memories = NDArray[np.uint32]


class Postings:
    """Append-only but for `truncate`; memories are numbered from 0 in the order they came.

    Args:
        codes: how many lists there are.
        tail_min: how many memories may wait in any case.
    """

    def __init__(self, codes: int, *, tail_min: int = TAIL_MIN) -> None:
        self._tail_min = tail_min
        self._packed: Memories = np.empty(0, np.uint32)
        self._starts = np.zeros(codes + 1, np.int64)
        self._tail = array("H")

    def __len__(self) -> int:
        return len(self._packed) + len(self._tail)

    @property
    def nbytes(self) -> int:
        """What it keeps in memory."""
        return self._packed.nbytes + self._starts.nbytes + self._tail.buffer_info()[1] * self._tail.itemsize

    def append(self, codes: Codes) -> None:
        """Take in the next memories, given the code of each."""
        if len(self) + len(codes) > MEMORIES_MAX:
            raise ValueError(f"at most {MEMORIES_MAX} memories can be numbered")
        self._tail.frombytes(codes.tobytes())
        if len(self._tail) > max(self._tail_min, TAIL_SHARE * len(self._packed)):
            self._merge()

    def sizes(self) -> NDArray[np.int64]:
        """How many memories each code has, int64 [codes]."""
        sizes: NDArray[np.int64] = np.diff(self._starts) + np.bincount(self._waiting(), minlength=self._codes)
        return sizes

    def members(self, codes: NDArray[np.int64]) -> Memories:
        """The memories of these (distinct) codes, uint32, ascending."""
        chosen = np.zeros(self._codes, np.bool_)
        chosen[codes] = True
        parts = [self._packed[self._starts[code] : self._starts[code + 1]] for code in codes]
        parts.append((np.flatnonzero(chosen[self._waiting()]) + len(self._packed)).astype(np.uint32))
        return np.sort(np.concatenate(parts))

    def codes(self) -> Codes:
        """The code of each memory in the order of the log, uint16 [n]: the inverse of the lists."""
        codes = np.empty(len(self), np.uint16)
        codes[self._packed] = np.repeat(np.arange(self._codes, dtype=np.uint16), np.diff(self._starts))
        codes[len(self._packed) :] = self._waiting()
        return codes

    def truncate(self, count: int) -> None:
        """Forget all memories after the first `count`: at once while they wait in the tail, else one pass."""
        if count >= len(self._packed):
            del self._tail[count - len(self._packed) :]
            return
        stays = self._packed < count
        self._starts = np.concatenate(([0], np.cumsum(stays)))[self._starts]
        self._packed = self._packed[stays]
        del self._tail[:]

    @property
    def _codes(self) -> int:
        return len(self._starts) - 1

    def _waiting(self) -> Codes:
        return np.frombuffer(self._tail, np.uint16)

    def _merge(self) -> None:
        codes = self._waiting()
        waiting = (np.argsort(codes, kind="stable") + len(self._packed)).astype(np.uint32)
        before = self._starts
        after = before + np.concatenate(([0], np.cumsum(np.bincount(codes, minlength=self._codes))))
        self._packed.resize(int(after[-1]), refcheck=False)  # no view of it ever leaves this object
        for code in range(self._codes - 1, -1, -1):
            length, start = int(before[code + 1] - before[code]), int(after[code])
            self._packed[start : start + length] = self._packed[before[code] : before[code + 1]]
            new = slice(int(start - before[code]), int(after[code + 1] - before[code + 1]))
            self._packed[start + length : after[code + 1]] = waiting[new]
        self._starts = after
        del codes
        del self._tail[:]
