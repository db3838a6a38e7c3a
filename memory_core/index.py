"""The searchable form of a log: vectors and postings of every memory, grown a turn at a time.

It is a fold of the log and never saved: the log replays it. A memory is one chunk of one turn; memories are
numbered from 0 in the order of the log, turns from 1. Vectors are the log's int8 rows made unit again, so an index
replayed from a store equals the one that was built while the turns arrived.
"""

import math
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from memory_core import cues
from memory_core.dates import stamp_day
from memory_core.lexical import terms

Floats = NDArray[np.float32]
Counts = NDArray[np.int32]
Bytes8 = NDArray[np.int8]
Flags = NDArray[np.bool_]
DayNumbers = NDArray[np.int32]

_T = TypeVar("_T", bound=np.generic)
_Derived = TypeVar("_Derived")

_Wanted = tuple[int, object, tuple[object, ...]]
_NONE_YET: tuple[_Wanted, None] = (0, None, ()), None

INPUT, ASKS, WHEN = 1, 2, 4

_ROWS_MIN = 2
"""Room at the beginning, an exchange's; half of it is added whenever a conversation outgrows it, and most never do."""

_MEMORY_BITS, _FREQUENCY = 32, 2**32 - 1
"""An entry of the postings is one integer, memory above frequency: in order, and half the size of two arrays a term."""

_EMPTY_BYTES, _ROW_BYTES, _MEMORY_BYTES, _ENTRY_BYTES, _TERM_BYTES = 1_650, 49, 60, 17, 130
"""What an index, a row beside its vector (20 of its bytes for what is derived), a memory, an entry and a term of the
postings cost in CPython: the estimate in `nbytes`, by tracemalloc."""


def quantise(vectors: Floats) -> Bytes8:
    """Unit rows to int8 [n, d]: each row scaled so that its largest component is ±127; cosine error ≤ .004."""
    largest = np.maximum(np.abs(vectors).max(axis=1, keepdims=True), 1e-12)
    scaled: Bytes8 = np.rint(vectors * (127.0 / largest)).astype(np.int8)
    return scaled


def unit_rows(quantised: Bytes8) -> Floats:
    """int8 [n, d] back to float32 unit rows (a row of zeros stays zero)."""
    rows = quantised.astype(np.float32)
    norms: Floats = np.add.reduce(rows * rows, axis=1, keepdims=True)
    np.sqrt(norms, out=norms)
    np.maximum(norms, 1e-12, out=norms)
    unit: Floats = rows / norms
    return unit


def norm(vector: Floats) -> float:
    """The length of a vector, float32 [d]. Cast to float32, which it is where it divides one, it is the root that
    float32 has: of roots no bit is lost by rounding them twice."""
    return math.sqrt(vector.dot(vector))


class MemoryIndex:
    """Append-only but for `truncate`, which a fork needs. Not safe for concurrent writers."""

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension
        self._vectors = np.zeros((_ROWS_MIN, dimension), np.float32)
        self._pair_norms = np.zeros(_ROWS_MIN, np.float32)
        self._lengths = np.zeros(_ROWS_MIN, np.float32)
        self._chars = np.zeros(_ROWS_MIN, np.int32)
        self._cues = np.zeros(_ROWS_MIN, np.uint8)
        self._speaker_ids = np.zeros(_ROWS_MIN, np.int32)
        self._days = np.zeros(_ROWS_MIN, np.int32)
        self._turns = np.zeros(_ROWS_MIN, np.int32)
        self._chunks = np.zeros(_ROWS_MIN, np.int32)
        self._speakers: dict[str, int] = {}
        self._starts: list[int] = [0]
        self._terms_of: list[tuple[str, ...]] = []
        self._postings: dict[str, array[int]] = {}
        self._entries = 0
        self._derived: tuple[_Wanted, Any] = _NONE_YET

    @property
    def turns(self) -> int:
        """How many turns it holds."""
        return len(self._starts) - 1

    def memories(self, turns: int | None = None) -> int:
        """How many memories the first `turns` turns have (all of them by default)."""
        return self._starts[-1] if turns is None else self._starts[min(turns, self.turns)]

    @property
    def nbytes(self) -> int:
        """About how much memory it takes."""
        rows = len(self._vectors) * (4 * self.dimension + _ROW_BYTES)
        words = self._entries * _ENTRY_BYTES + len(self._postings) * _TERM_BYTES
        return _EMPTY_BYTES + rows + self.memories() * _MEMORY_BYTES + words

    def place(self, memory: int) -> tuple[int, int]:
        """(turn, chunk within the turn) of a memory."""
        return int(self._turns[memory]), int(self._chunks[memory])

    def places(self, memories: NDArray[np.int64]) -> tuple[list[int], list[int]]:
        """The turns of some memories, and which chunk of its turn each is."""
        return self._turns[memories].tolist(), self._chunks[memories].tolist()

    def derived(self, count: int, derive: Callable[..., _Derived], *given: object) -> _Derived:
        """What `derive` makes of this index, its first `count` memories and what is given, and of nothing else, at most
        20 bytes a memory. The last is kept: many questions in a row are asked of the same memories."""
        wanted = count, derive, given
        kept, found = self._derived
        if kept != wanted:
            found = derive(self, count, *given)
            self._derived = wanted, found
        return found  # type: ignore[no-any-return]

    def span(self, turn: int, chunk: int) -> tuple[int, int]:
        """Where a chunk begins and ends in the text of its turn, in characters."""
        first = self._starts[turn - 1]
        start = int(self._chars[first : first + chunk].sum()) if chunk else 0
        return start, start + self._chars.item(first + chunk)

    def ends(self, turn: int) -> tuple[int, ...]:
        """Where each chunk of a turn ends in its text, in characters."""
        first, last = self._starts[turn - 1], self.memories(turn)
        return tuple(self._chars[first:last].cumsum().tolist())

    def vectors(self, count: int) -> Floats:
        """The unit vectors of the first `count` memories, float32 [count, d]; a view."""
        return self._vectors[:count]

    def pair_norms(self, count: int) -> Floats:
        """|v[i-1] + v[i]| of the first `count` memories (|v[0]| for the first)."""
        return self._pair_norms[:count]

    def lengths(self, count: int) -> Floats:
        """Terms in each of the first `count` memories."""
        return self._lengths[:count]

    def flagged(self, flag: int, count: int) -> Flags:
        """Which of the first `count` memories are the user's (INPUT), a question (ASKS), or speak of a time (WHEN)."""
        flagged: Flags = (self._cues[:count] & flag) != 0
        return flagged

    @property
    def speakers(self) -> tuple[str, ...]:
        """All names that ever stood before a turn ("Caroline: …"), folded, in the order of their first word."""
        return tuple(self._speakers)

    def spoken_by(self, name: str, count: int) -> Flags:
        """Which of the first `count` memories are this speaker's."""
        found: Flags = self._speaker_ids[:count] == self._speakers.get(name, -1)
        return found

    def days(self, count: int) -> DayNumbers:
        """The day of each of the first `count` memories, as dates.py counts: of its turn's stamp, else of the last one
        before it; 0 before the first."""
        return self._days[:count]

    def frequencies(self, term: str, count: int) -> Floats | None:
        """How often `term` stands in each of the first `count` memories, float32 [count]; None if never."""
        found, rows = self.frequencies_of((term,), count, 0, 0)
        return rows[0].astype(np.float32) if found else None

    def held(self, terms: Iterable[str], count: int) -> dict[str, int]:
        """Those of the terms that the first `count` memories hold, with how many of these hold each."""
        postings, end = self._postings, count << _MEMORY_BITS
        held = {}
        for term in terms:
            posting = postings.get(term)
            if posting is not None and posting[0] < end:
                held[term] = len(posting) if posting[-1] < end else bisect_left(posting, end)
        return held

    def frequencies_of(self, terms: Iterable[str], count: int, before: int, after: int) -> tuple[list[str], Counts]:
        """Those of the terms that the first `count` memories hold, and how often each does, between so many zeros
        before and after: int32 [terms, before + count + after]."""
        found = self.held(terms, count)
        rows = np.zeros((len(found), before + count + after), np.int32)
        if found:
            entries = self._entries_of(found)
            places = np.arange(before, rows.size, rows.shape[1]).repeat([*found.values()])
            places += entries >> _MEMORY_BITS
            rows.reshape(-1)[places] = entries & _FREQUENCY
        return [*found], rows

    def is_held_together(self, terms: Collection[str], count: int) -> bool:
        """Whether one of the first `count` memories holds all of these terms, distinct and one at least."""
        found = self.held(terms, count)
        if not found or len(found) < len(terms):
            return False
        return int(np.bincount(self._entries_of(found) >> _MEMORY_BITS).max()) == len(terms)

    def turn_vector(self, turn: int) -> Floats:
        """The unit mean of a turn's chunks, float32 [d]: what the state absorbs."""
        rows = self._vectors[self._starts[turn - 1] : self._starts[turn]]
        total: Floats = np.add.reduce(rows, axis=0)
        return total / max(norm(total), 1e-12)

    def information(self, turn: int) -> float:
        """IDF mass of a turn among the memories up to its own end: Σ ln(1 + n / df) over its distinct terms.

        Online document frequencies, so that it depends on the prefix alone.
        """
        count = self._starts[turn]
        distinct = set[str]().union(*self._terms_of[self._starts[turn - 1] : count])
        if turn == self.turns:  # nearly always, and then all of a posting counts
            held = [len(self._postings[term]) for term in sorted(distinct)]
        else:
            held = [*self.held(sorted(distinct), count).values()]
        return sum([math.log1p(count / memories) for memories in held], 0.0)

    def append(self, quantised: Bytes8, texts: Sequence[str], *, is_input: bool = True) -> None:
        """Append one turn: its chunks' int8 vectors [chunks, d], their texts, and whether the user said it."""
        if quantised.shape != (len(texts), self.dimension):
            raise ValueError(f"expected {(len(texts), self.dimension)} vectors, got {quantised.shape}")
        turn = len(self._starts)
        first = self._starts[-1]
        self._reserve(first + len(texts))
        said_by = self._speaker_id(texts[0]) if texts else 0
        day = (stamp_day(texts[0]) if texts else 0) or (int(self._days[first - 1]) if first else 0)
        for offset, (row, text) in enumerate(zip(unit_rows(quantised), texts, strict=True)):
            self._add(first + offset, row, text)
            self._cues[first + offset] = INPUT * is_input | ASKS * cues.asks(text) | WHEN * cues.tells_when(text)
            self._speaker_ids[first + offset] = said_by
            self._days[first + offset] = day
            self._turns[first + offset] = turn
            self._chunks[first + offset] = offset
        self._starts.append(first + len(texts))

    def truncate(self, turns: int) -> None:
        """Forget all turns after the first `turns`."""
        if turns >= self.turns:
            return
        keep = self._starts[turns]
        if self._derived[0][0] > keep:
            self._derived = _NONE_YET
        for memory in range(self._starts[-1] - 1, keep - 1, -1):
            for term in self._terms_of[memory]:
                posting = self._postings[term]
                posting.pop()
                if not posting:
                    del self._postings[term]
            self._entries -= len(self._terms_of[memory])
        del self._terms_of[keep:], self._starts[turns + 1 :]

    def _entries_of(self, held: Mapping[str, int]) -> NDArray[np.int64]:
        """So many first entries of each term, one term after the other."""
        return np.frombuffer(b"".join([self._postings[term][:end] for term, end in held.items()]), np.int64)

    def _speaker_id(self, text: str) -> int:
        name = cues.speaker(text)
        return self._speakers.setdefault(name, len(self._speakers) + 1) if name else 0

    def _add(self, memory: int, row: Floats, text: str) -> None:
        counted = Counter(terms(text))
        self._vectors[memory] = row
        self._pair_norms[memory] = max(norm(self._vectors[memory - 1] + row if memory else row), 1e-12)
        self._lengths[memory] = counted.total()
        self._chars[memory] = len(text)
        postings, place = self._postings, memory << _MEMORY_BITS
        for term, frequency in counted.items():
            posting = postings.get(term)
            if posting is None:
                postings[term] = array("q", (place | frequency,))
            else:
                posting.append(place | frequency)
        self._terms_of.append(tuple(counted))
        self._entries += len(counted)

    def _reserve(self, count: int) -> None:
        if count <= len(self._vectors):
            return
        size = max(count, len(self._vectors) * 3 // 2)
        self._vectors = _grown(self._vectors, size)
        self._pair_norms = _grown(self._pair_norms, size)
        self._lengths = _grown(self._lengths, size)
        self._chars = _grown(self._chars, size)
        self._cues = _grown(self._cues, size)
        self._speaker_ids = _grown(self._speaker_ids, size)
        self._days = _grown(self._days, size)
        self._turns = _grown(self._turns, size)
        self._chunks = _grown(self._chunks, size)


def _grown(rows: NDArray[_T], size: int) -> NDArray[_T]:
    """The same rows with room for `size` of them; what is not written yet need not be in memory."""
    grown = np.empty((size, *rows.shape[1:]), rows.dtype)
    grown[: len(rows)] = rows
    return grown
