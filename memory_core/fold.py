"""A log folded: its digests, its index, and the state after every turn, ready to be cut back for a fork.

This is what a process keeps hot of a conversation. It holds no text (the log does) and can be thrown away. As a
library, `Fold(dimension).update(embedding, text, meta)` is all that a conversation needs.
"""

import unicodedata
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from memory_core.index import Bytes8, Floats, MemoryIndex, quantise
from memory_core.retention import importance
from memory_core.state import Capacities, MemoryState
from memory_core.transcript import chain, common_prefix, digest_of, root_digest
from memory_core.update import Nearest, Report, update

CHECKPOINT_TURNS = 32
"""States are kept at every 32nd turn and at the newest few; any other is at most 31 updates (some 3 ms) away."""

REPEAT_COSINE = 0.85
"""What users of such memories know as a near duplicate. It is not enough here: "the code is 7431" is nearer than that
to "the code is 7432", and "Ann owes Bob" to "Bob owes Ann". So the words must be the same as well, in their order."""

_NEWEST_KEPT = 4
_EMPTY_BYTES, _TURN_BYTES, _STATE_BYTES, _KEPT_BYTES = 300, 480, 800, 27
"""What a fold, a turn, a state and each turn that a state keeps cost in CPython beside the index: states share much.
The estimate in `nbytes`, by tracemalloc."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What `update` is told of a turn besides its vector, so that a state is replayed without its text.

    `words` is a digest of an input's words in their order, empty for the others: only inputs are said again.
    """

    is_input: bool
    words: bytes
    information: float
    terms: int
    importance: float
    nearest: Nearest
    repeats: int


class Fold:
    """Grown by `append` or `update`, cut by `truncate`. Not safe for concurrent writers."""

    def __init__(self, dimension: int, capacities: Capacities | None = None, *, auto_anchor: bool = False) -> None:
        self.index = MemoryIndex(dimension)
        self.digests: list[bytes] = []
        self._seen: list[_Seen] = []
        self._firsts = array("q")
        self._auto_anchor = auto_anchor
        self._states = {0: MemoryState.empty(dimension, capacities)}

    @property
    def turns(self) -> int:
        """How many turns it holds."""
        return len(self.digests)

    @property
    def nbytes(self) -> int:
        """About how much memory it takes."""
        sizes = self._states[0].capacities
        kept = min(self.turns, sizes.short + sizes.medium + sizes.long)
        states = len(self._states) * (_STATE_BYTES + _KEPT_BYTES * kept)
        return self.index.nbytes + _EMPTY_BYTES + _TURN_BYTES * self.turns + states

    def shared(self, digests: Sequence[bytes]) -> int:
        """How many leading turns it shares with a transcript of these digests."""
        return common_prefix(self.digests, digests)

    def update(self, embedding: ArrayLike, text: str | Sequence[str], meta: Mapping[str, str] | None = None) -> Report:
        """Fold one more turn and report on it: the library's way in, for those who chain no digests of their own.

        `embedding` is the text's vector, [d] of any length, or [chunks, d] for the chunks of a long text; a row that
        is not finite counts as zeros: it is found by its words alone. `meta["role"]` is "user" by default: only a
        user's turns move the state; `meta["importance"]` as in retention.py. Raises ValueError for another dimension.
        """
        pieces = (text,) if isinstance(text, str) else tuple(text)
        rows = np.atleast_2d(np.asarray(embedding, np.float32))
        if rows.shape != (len(pieces), self.index.dimension):
            raise ValueError(f"expected {(len(pieces), self.index.dimension)} vectors, got {rows.shape}")
        sound = np.where(np.isfinite(rows).all(axis=1, keepdims=True), rows, np.float32(0))
        role = (meta or {}).get("role", "user")
        said = digest_of(*(part.encode("utf-8", "surrogatepass") for part in (role, *pieces)))
        digest = chain(self.digests[-1] if self.digests else root_digest(b""), [said])[0]
        return self.append(digest, quantise(sound), pieces, is_input=role == "user", meta=meta)

    def append(
        self,
        digest: bytes,
        quantised: Bytes8,
        texts: Sequence[str],
        *,
        is_input: bool,
        meta: Mapping[str, str] | None = None,
        salience: float = 0.0,
    ) -> Report:
        """Fold one more turn: its chunks' texts and int8 vectors [chunks, d], one at least.

        `meta` and `salience` (what fired triggers add, 0..5) weigh it in the tiers. They must follow from the
        transcript or the log, never from what this process happened to do.
        """
        if not texts:
            raise ValueError("a turn has at least one chunk")
        state = self.state_at(self.turns)
        self._firsts.append(self.index.memories())
        self.index.append(quantised, texts, is_input=is_input)
        self.digests.append(digest)
        vector = self.index.turn_vector(self.turns)
        self._seen.append(self._look(state, vector, texts, importance(texts, meta, salience), is_input=is_input))
        self._states[self.turns], report = self._after(state, vector)
        outdated = self.turns - _NEWEST_KEPT
        if outdated > 0 and outdated % CHECKPOINT_TURNS:
            self._states.pop(outdated, None)
        return report

    def truncate(self, turns: int) -> None:
        """Forget all turns after the first `turns`."""
        if turns >= self.turns:
            return
        state = self.state_at(turns)
        self.index.truncate(turns)
        del self.digests[turns:], self._seen[turns:], self._firsts[turns:]
        self._states = {place: kept for place, kept in self._states.items() if place < turns} | {turns: state}

    def state_at(self, turns: int) -> MemoryState:
        """The state after the first `turns` turns."""
        place = turns
        while place not in self._states:
            place -= 1
        state = self._states[place]
        while state.turns < turns:
            state, _ = self._after(state, self.index.turn_vector(state.turns + 1))
        return state

    def _after(self, state: MemoryState, vector: Floats) -> tuple[MemoryState, Report]:
        seen = self._seen[state.turns]
        return update(
            state,
            vector,
            seen.information,
            is_input=seen.is_input,
            terms=seen.terms,
            importance=seen.importance,
            nearest=seen.nearest,
            repeats=seen.repeats,
            auto_anchor=self._auto_anchor,
        )

    def _look(
        self, before: MemoryState, vector: Floats, texts: Sequence[str], weight: float, *, is_input: bool
    ) -> _Seen:
        index, words = self.index, _words(texts) if is_input else b""
        return _Seen(
            is_input,
            words,
            index.information(before.turns + 1),
            int(index.lengths(index.memories())[self._firsts[-1] :].sum()),
            weight,
            self._nearest(before, vector),
            self._repeated(before, vector, words) if is_input else 0,
        )

    def _nearest(self, before: MemoryState, vector: Floats) -> Nearest:
        """The kept turn nearest to `vector`, by its first chunk: one row a turn, whatever a model has to say."""
        kept = before.short + before.medium + before.long
        if not kept:
            return Nearest()
        turns = np.fromiter([each.turn for each in kept], np.int64, len(kept))
        firsts = np.frombuffer(self._firsts, np.int64)[turns - 1]
        rows = self.index.vectors(self.index.memories())
        if len(rows) > 2 * len(kept):
            rows, firsts = rows.take(firsts, axis=0), np.arange(len(kept))
        cosines = np.vecdot(rows, vector)[firsts].round(6)  # not `@`: equal rows must give equal cosines
        best = cosines.max()
        return Nearest(int(turns[cosines == best].min()), float(best))

    def _repeated(self, before: MemoryState, vector: Floats, words: bytes) -> int:
        """The newest input that is kept, if this one says the same again; else 0."""
        for kept in reversed(before.short):
            seen = self._seen[kept.turn - 1]
            if seen.is_input:
                same = seen.words == words and float(self.index.turn_vector(kept.turn) @ vector) >= REPEAT_COSINE
                return kept.turn if same else 0
        return 0


def _words(texts: Sequence[str]) -> bytes:
    """A digest of the words in their order, whatever their case, spacing and compatibility form."""
    folded = unicodedata.normalize("NFKC", "".join(texts)).casefold()
    return digest_of(" ".join(folded.split()).encode("utf-8", "surrogatepass"))
