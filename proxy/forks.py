"""Transcripts that others of their conversation have outrun, into the log without a fold: of a prompt that is sent with
twenty questions only the newest may go on."""

from collections.abc import Sequence
from typing import NamedTuple

from embedders import Embedder
from memory_core.chunking import chunks
from memory_core.cues import without_stamp
from memory_core.stores import Entry, Store
from memory_core.transcript import Turn
from proxy.embed import embed_texts
from proxy.hot import HotCache
from proxy.lineage import Lineage
from proxy.log_entries import Origin, cuts_of, entries
from proxy.log_reader import own_turns
from proxy.pace import Pace, piece

NEW_TURNS_MAX = 8
"""A question, calls of tools and what came of them, the answer. The log is not asked whether it has them: it keeps the
first entry of a turn."""

LOT_BYTES = 2**18
"""Written with one call of the store, which others wait for."""


class Fork(NamedTuple):
    """A transcript with its answer: how many of its turns the client `sent`, and when (`at`, unix seconds)."""

    whole: Lineage
    sent: int
    at: float


class Forks:
    """Reads of `hot` what the log is known to hold, and changes nothing of it."""

    def __init__(self, store: Store, embedder: Embedder, hot: HotCache, pace: Pace) -> None:
        self._store = store
        self._embedder = embedder
        self._hot = hot
        self._pace = pace

    async def log(self, forks: Sequence[Fork]) -> list[bool]:
        """Append what is new of transcripts of one conversation. Tells of each whether it is in the log now; it is not,
        and nothing of it is written, where the log may lack more than a few turns.

        Raises StoreError and EmbedderError, with some of them written.
        """
        told, lot, taken = [], [], set[bytes]()
        for fork in forks:
            first = self._logged(fork.whole)
            is_short = max(len(fork.whole.stored), fork.whole.length - NEW_TURNS_MAX) <= first
            told.append(is_short and first < fork.whole.length)
            if told[-1]:
                turns = enumerate(own_turns(fork.whole, first), start=first)
                new = [(place, turn) for place, turn in turns if turn.digest not in taken]
                taken.update(turn.digest for _, turn in new)
                lot += await self._entries(fork, new)
            if sum(len(entry.payload) for entry in lot) >= LOT_BYTES:
                await self._store.append(fork.whole.conversation, lot)
                lot = []
        if lot:
            await self._store.append(forks[0].whole.conversation, lot)
        return told

    def _logged(self, whole: Lineage) -> int:
        """So many leading turns are in the log for sure."""
        hot = self._hot.peek(whole.conversation)
        return 0 if hot is None else min(hot.stored, hot.fold.shared(whole.digests))

    async def _entries(self, fork: Fork, new: Sequence[tuple[int, Turn]]) -> list[Entry]:
        """Of turns of a transcript, each with its place in it (from 0)."""
        async with piece(self._pace):
            texts = [chunks(turn.text) for _, turn in new]
        vectors = await embed_texts(self._embedder, [without_stamp(text) for each in texts for text in each])
        found: list[Entry] = []
        async with piece(self._pace):
            origin = Origin(self._embedder.name, fork.at, fork.sent)
            for (place, turn), cut in zip(new, cuts_of(texts, vectors), strict=True):
                parent = fork.whole.digests[place - 1] if place else fork.whole.root
                found += entries([turn], [cut], parent, place, origin)
        return found
