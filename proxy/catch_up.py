"""Brings what a process keeps hot of a conversation to a transcript: from the log where it knows a turn, else embedded.

Reads only: what it embeds goes into the log when it is learned.
"""

from collections.abc import Callable, Sequence
from itertools import accumulate

from embedders import Embedder, Vectors
from memory_core.chunking import chunks
from memory_core.codec import Record, decode_record, decode_state
from memory_core.cues import without_stamp
from memory_core.index import quantise
from memory_core.stores import Store
from memory_core.transcript import Turn
from proxy.embed import embed_texts
from proxy.hot import Hot
from proxy.leaning import Leaning
from proxy.lineage import Head, Lineage
from proxy.log_reader import LogReader, own_turns
from proxy.message import Message, read_message
from proxy.pace import PIECE_TURNS, Pace, piece

BLOCK_TURNS = 64
"""How many turns are looked up in one go, from log or embedder."""


class CatchUp:
    """`count` gives a message's tokens in o200k. The caller holds the lock of what it hands over."""

    def __init__(
        self, store: Store, log: LogReader, embedder: Embedder, count: Callable[[Message], int], leaning: Leaning
    ) -> None:
        self._store = store
        self._log = log
        self._embedder = embedder
        self._count = count
        self._leaning = leaning

    async def with_head(self, hot: Hot, conversation: str) -> None:
        """To the stored head, which another process may have moved."""
        snapshot = await self._store.load(conversation)
        if snapshot is None:
            hot.cut(0)
            hot.version = 0
            return
        hot.version = snapshot.version
        if hot.fold.turns and hot.fold.digests[-1] == snapshot.digest:
            return
        decode_state(snapshot.state, self._embedder.name)
        await self.with_stored(hot, conversation, await self._store.path(conversation, snapshot.digest))

    async def with_stored(self, hot: Hot, conversation: str, digests: Sequence[bytes]) -> None:
        """To a transcript that is stored."""
        hot.cut(hot.fold.shared(digests))
        for start in range(hot.fold.turns, len(digests), BLOCK_TURNS):
            block = digests[start : start + BLOCK_TURNS]
            found = [*zip(block, await self._log.records(conversation, block), strict=True)]
            for begin in range(0, len(found), PIECE_TURNS):
                async with piece():
                    for digest, record in found[begin : begin + PIECE_TURNS]:
                        self._fold_record(hot, digest, record)
            hot.stored = hot.fold.turns

    async def with_lineage(
        self,
        hot: Hot,
        lineage: Lineage,
        turns: int,
        pace: Pace | None = None,
        unlogged: frozenset[bytes] = frozenset(),
    ) -> None:
        """To at least the first `turns` turns of the lineage, and nothing else before them. The log is not asked for
        what is `unlogged`, by its digests."""
        digests = lineage.digests
        shared = hot.fold.shared(digests)
        if shared < turns:
            hot.cut(shared)
        while hot.fold.turns < turns:
            start = hot.fold.turns
            wanted = digests[start : min(turns, start + BLOCK_TURNS)]
            payloads = () if unlogged.issuperset(wanted) else await self._store.read(lineage.conversation, wanted)
            known = next((place for place, payload in enumerate(payloads) if payload is None), len(payloads))
            for begin in range(0, known, PIECE_TURNS):
                async with piece(pace):
                    end = min(begin + PIECE_TURNS, known)
                    self._fold_payloads(hot, wanted[begin:end], payloads[begin:end])
            await self._embed_turns(hot, own_turns(lineage, start + known)[: len(wanted) - known], pace)

    async def _embed_turns(self, hot: Hot, turns: Sequence[Turn], pace: Pace | None) -> None:
        pieces = [chunks(turn.text) for turn in turns]
        vectors = await embed_texts(self._embedder, [without_stamp(piece) for turn in pieces for piece in turn])
        ends = [*accumulate((len(texts) for texts in pieces), initial=0)]
        for begin in range(0, len(turns), PIECE_TURNS):
            async with piece(pace):
                for place in range(begin, min(begin + PIECE_TURNS, len(turns))):
                    self._fold_turn(hot, turns[place], pieces[place], vectors[ends[place] : ends[place + 1]])

    def _fold_turn(self, hot: Hot, turn: Turn, texts: Sequence[str], vectors: Vectors) -> None:
        is_input, rows = turn.role == "user", quantise(vectors)
        salience = self._leaning.salience(turn.text, rows) if is_input else 0.0
        hot.fold.append(turn.digest, rows, texts, is_input=is_input, salience=salience)
        message = read_message(turn.message)
        hot.heads.append(Head(turn.role, turn.fingerprint, turn.digest, self._count(message)))

    def _fold_payloads(self, hot: Hot, digests: Sequence[bytes], payloads: Sequence[bytes | None]) -> None:
        for digest, payload in zip(digests, payloads, strict=True):
            self._fold_record(hot, digest, decode_record(payload or b"", self._embedder.name))
            if hot.stored == hot.fold.turns - 1:
                hot.stored += 1

    def _fold_record(self, hot: Hot, digest: bytes, record: Record) -> None:
        is_input, rows = record.role == "user", record.rows()
        salience = self._leaning.salience(record.text, rows) if is_input else 0.0
        hot.fold.append(digest, rows, record.pieces(), is_input=is_input, meta=record.meta, salience=salience)
        message = read_message(record.message)
        hot.heads.append(Head(record.role, message.fingerprint, digest, self._count(message)))
