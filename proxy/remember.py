"""The memory of conversations: hot folds in front of the store, caught up turn by turn.

One fold a conversation, least recently used out first, each behind its own lock. A request reads (`recollect`), the
learner writes (`learn`); both first catch the fold up with the transcript at hand, from the log where it knows a
turn and from the embedder where it does not. A fork cuts the fold back and grows it again: the log keeps both.
"""

import asyncio
from collections.abc import Callable, Sequence

import numpy as np

from embedders import Embedder, Vectors
from memory_core.chunking import chunks, piece_ends
from memory_core.codec import Record, decode_record, decode_state, encode_record, encode_state
from memory_core.cues import without_stamp
from memory_core.ellipsis import CONTEXT_TURNS, Said
from memory_core.facts import Facts, folded, standing
from memory_core.focus import sought
from memory_core.fold import Fold
from memory_core.index import quantise
from memory_core.phases import phase
from memory_core.recall import rank
from memory_core.state import Capacities
from memory_core.stores import Entry, Snapshot, Store, StoreError
from memory_core.transcript import Turn
from memory_core.update import update
from proxy.hot import Hot, HotCache
from proxy.leaning import Leaning
from proxy.lineage import Head, Lineage, as_sent, continued, extended
from proxy.log_reader import LogReader, own_turns
from proxy.recollection import Recollection
from proxy.wire import Message, read_message

QUERY_CHUNKS_MAX = 4
"""A question longer than this is searched by its first and last chunks: that is where it is asked."""

RECALLED_MAX = 160
"""Candidates handed to assembly; more than any sane budget holds."""

_BLOCK_TURNS = 64
"""How many turns are looked up in one go, from log or embedder; the event loop gets a breath between two."""

_TEXTS_PER_CALL = 16

LEARNED_TURNS_MAX = 32
"""New turns that one call of `learn` takes."""

_BUSY_WAIT_S = 0.05
_SAVE_TRIES = 5


class Remember:
    """Opens nothing: store and embedder are given and stay their owner's to close."""

    def __init__(
        self,
        store: Store,
        embedder: Embedder,
        *,
        count: Callable[[Message], int],
        capacities: Capacities,
        cache_bytes_max: int,
        leaning: Leaning = Leaning(),  # noqa: B008 -- frozen
    ) -> None:
        self._store = store
        self._log = LogReader(store, embedder.name)
        self._embedder = embedder
        self._count = count
        self._leaning = leaning
        self._hot = HotCache(
            lambda: Fold(embedder.dimension, capacities, auto_anchor=leaning.auto_anchor), bytes_max=cache_bytes_max
        )

    async def resume(self, lineage: Lineage) -> Lineage:
        """A lineage with an explicit id, continued from what is stored; any other as it is."""
        if not lineage.explicit:
            return lineage
        hot = self._hot.of(lineage.conversation)
        async with hot.lock:
            await self._refresh(hot, lineage.conversation)
            self._hot.account(lineage.conversation, hot)
            return continued(lineage, hot.heads)

    def phase(self, conversation: str) -> str:
        """The phase that was last seen of a conversation that is hot; "initialization" of any other."""
        hot = self._hot.peek(conversation)
        similarities = hot.fold.state_at(hot.fold.turns).similarities if hot else ()
        return phase(similarities, 0.0)

    async def recollect(self, lineage: Lineage, *, cut: int, asked: int, with_block: bool = True) -> Recollection:
        """The memory of the first `cut` turns for the question in turn `asked` (counted from 0).

        Without a block what the turns stated is not read.
        """
        question = await self._log.text(lineage, asked)
        vector = await self._query_vector(question)
        hot = self._hot.of(lineage.conversation)
        async with hot.lock:
            await self._catch_up(hot, lineage, asked)
            before = hot.fold.state_at(asked)
            recalled = rank(
                hot.fold.index,
                before,
                question,
                vector,
                turns=cut,
                limit=RECALLED_MAX,
                bias=self._leaning.bias_at(before, hot.fold.index),
                keep=self._leaning.filter_at(hot.fold, cut),
                context=await self._context(hot, lineage, asked),
            )
            block = standing(await self._facts(hot, lineage, cut)) if with_block else ()
            spanned = tuple((memory, hot.fold.index.span(memory.turn, memory.chunk)) for memory in recalled)
            wanted = sought(hot.fold.index, hot.fold.index.memories(cut), question)
        _, report = update(before, vector, 0.0, is_input=True)
        texts = await self._log.texts(lineage, {memory.turn for memory in recalled})
        return Recollection(block, spanned, texts, wanted, report)

    async def stored_messages(self, lineage: Lineage, start: int) -> list[Message]:
        """The turns from `start` (from 0) on that only the log holds, as messages."""
        return await self._log.messages(lineage, start)

    async def learn(self, lineage: Lineage, answer: Message | None, at: float) -> bool:
        """Append what is new of a transcript and its answer to the log; `at` in unix seconds.

        One call takes a bounded step: False says that the conversation is busy or that more is left, and asks to be
        called again, so that a long import does not keep others waiting. Turns sent under an explicit id that has
        moved on meanwhile (two requests at once) follow the new head.
        """
        hot = self._hot.of(lineage.conversation)
        try:
            async with asyncio.timeout(_BUSY_WAIT_S):
                await hot.lock.acquire()
        except TimeoutError:
            return False
        try:
            return await self._learn_step(hot, lineage, answer, at)
        finally:
            hot.lock.release()

    async def _learn_step(self, hot: Hot, lineage: Lineage, answer: Message | None, at: float) -> bool:
        for _ in range(_SAVE_TRIES):
            current = lineage
            if lineage.explicit:
                await self._refresh(hot, lineage.conversation)
                current = continued(as_sent(lineage), hot.heads)
            whole = extended(current, answer) if answer is not None else current
            reached = min(hot.stored, hot.fold.shared(whole.digests))
            turns = min(whole.length, reached + LEARNED_TURNS_MAX)
            if turns == 0 or await self._write(hot, whole, turns, at, answered=answer is not None):
                return turns == whole.length
        raise StoreError("a conversation was written by others each time that this process tried")

    async def _write(self, hot: Hot, lineage: Lineage, until: int, at: float, *, answered: bool) -> bool:
        """Bring the log to the first `until` turns of the lineage; False if someone else moved its head."""
        await self._catch_up(hot, lineage, until)
        hot.cut(hot.fold.shared(lineage.digests))
        first = min(hot.stored, until)
        turns = own_turns(lineage, first)[: until - first]
        parents = [hot.fold.digests[first - 1] if first else lineage.root, *(turn.digest for turn in turns)]
        entries = [
            Entry(turn.digest, parent, seq, self._payload(hot, seq, turn, at, answered and seq == lineage.length))
            for seq, (turn, parent) in enumerate(zip(turns, parents, strict=False), start=first + 1)
        ]
        await self._store.append(lineage.conversation, entries)
        hot.stored = max(hot.stored, until)
        return await self._save(hot, lineage, until)

    async def _save(self, hot: Hot, lineage: Lineage, turns: int) -> bool:
        """Move the head. Where the transcript is the client's, the last writer wins: it is only a cache there."""
        state = encode_state(hot.fold.state_at(turns), self._embedder.name)
        for _ in range(_SAVE_TRIES):
            snapshot = Snapshot(hot.version + 1, hot.fold.digests[turns - 1], turns, state)
            if await self._store.save(lineage.conversation, snapshot):
                hot.version += 1
                return True
            if lineage.explicit:
                return False
            hot.version = await self._version(lineage.conversation)
        return True

    async def _version(self, conversation: str) -> int:
        snapshot = await self._store.load(conversation)
        if snapshot is None:
            return 0
        decode_state(snapshot.state, self._embedder.name)  # raises: what a newer isocost wrote is not overwritten
        return snapshot.version

    async def _refresh(self, hot: Hot, conversation: str) -> None:
        """Bring `hot` to the stored head, which another process may have moved."""
        snapshot = await self._store.load(conversation)
        if snapshot is None:
            hot.cut(0)
            hot.version = 0
            return
        hot.version = snapshot.version
        if hot.fold.turns and hot.fold.digests[-1] == snapshot.digest:
            return
        decode_state(snapshot.state, self._embedder.name)
        digests = await self._store.path(conversation, snapshot.digest)
        hot.cut(hot.fold.shared(digests))
        for start in range(hot.fold.turns, len(digests), _BLOCK_TURNS):
            block = digests[start : start + _BLOCK_TURNS]
            for digest, record in zip(block, await self._log.records(conversation, block), strict=True):
                self._fold_record(hot, digest, record)
            hot.stored = hot.fold.turns
            await asyncio.sleep(0)

    async def _catch_up(self, hot: Hot, lineage: Lineage, turns: int) -> None:
        """Make `hot` hold at least the first `turns` turns of the lineage, and nothing else before them."""
        digests = lineage.digests
        shared = hot.fold.shared(digests)
        if shared < turns:
            hot.cut(shared)
        while hot.fold.turns < turns:
            start = hot.fold.turns
            wanted = digests[start : min(turns, start + _BLOCK_TURNS)]
            payloads = await self._store.read(lineage.conversation, wanted)
            known = next((place for place, payload in enumerate(payloads) if payload is None), len(payloads))
            for digest, payload in zip(wanted[:known], payloads, strict=False):
                self._fold_record(hot, digest, decode_record(payload or b"", self._embedder.name))
            if hot.stored == start:
                hot.stored += known
            await self._embed_turns(hot, own_turns(lineage, start + known)[: len(wanted) - known])
            await asyncio.sleep(0)
        self._hot.account(lineage.conversation, hot)

    async def _context(self, hot: Hot, lineage: Lineage, asked: int) -> list[Said]:
        """What was said right before the question: a question without a subject borrows it there."""
        turns = range(max(1, asked - CONTEXT_TURNS + 1), asked + 1)
        said = await self._log.texts(lineage, set(turns))
        spoken = [turn for turn in turns if said[turn][0] in ("user", "assistant")]
        return [Said(said[turn][1], hot.fold.index.turn_vector(turn)) for turn in spoken]

    async def _facts(self, hot: Hot, lineage: Lineage, turns: int) -> Facts:
        """What the first `turns` turns stated; read since the last epoch's cut, in a thread, as a text takes its ms."""
        facts = hot.facts.nearest(turns)
        while facts.turns < turns:
            until = min(turns, facts.turns + _BLOCK_TURNS)
            said = await self._log.texts(lineage, set(range(facts.turns + 1, until + 1)))
            facts = await asyncio.to_thread(folded, facts, until, said)
        hot.facts.keep(facts)
        return facts

    async def _embed_turns(self, hot: Hot, turns: Sequence[Turn]) -> None:
        pieces = [chunks(turn.text) for turn in turns]
        vectors = await self._embed([without_stamp(piece) for turn in pieces for piece in turn])
        start = 0
        for turn, texts in zip(turns, pieces, strict=True):
            rows = quantise(vectors[start : start + len(texts)])
            is_input = turn.role == "user"
            salience = self._leaning.salience(turn.text, rows) if is_input else 0.0
            hot.fold.append(turn.digest, rows, texts, is_input=is_input, salience=salience)
            message = read_message(turn.message)
            hot.heads.append(Head(turn.role, turn.fingerprint, turn.digest, self._count(message)))
            start += len(texts)

    async def _embed(self, texts: Sequence[str]) -> Vectors:
        """In small calls, so that a question of another conversation waits for one of them and not for all."""
        parts = [texts[start : start + _TEXTS_PER_CALL] for start in range(0, len(texts), _TEXTS_PER_CALL)]
        found = [await self._embedder.embed(part) for part in parts]
        return np.concatenate(found) if found else np.zeros((0, self._embedder.dimension), np.float32)

    def _fold_record(self, hot: Hot, digest: bytes, record: Record) -> None:
        is_input, rows = record.role == "user", record.rows()
        salience = self._leaning.salience(record.text, rows) if is_input else 0.0
        hot.fold.append(digest, rows, record.pieces(), is_input=is_input, meta=record.meta, salience=salience)
        message = read_message(record.message)
        hot.heads.append(Head(record.role, message.fingerprint, digest, self._count(message)))

    def _payload(self, hot: Hot, seq: int, turn: Turn, at: float, answered: bool) -> bytes:
        index = hot.fold.index
        rows = index.vectors(index.memories(seq))[index.memories(seq - 1) :]
        source = "upstream" if answered else "client"
        said, name, packed = (turn.role, turn.text, turn.message), self._embedder.name, quantise(rows).tobytes()
        ends = piece_ends(chunks(turn.text))
        return encode_record(Record(*said, name, index.dimension, packed, at, {"source": source}, ends))

    async def _query_vector(self, question: str) -> Vectors:
        pieces = chunks(without_stamp(question))
        if len(pieces) > QUERY_CHUNKS_MAX:
            pieces = pieces[: QUERY_CHUNKS_MAX // 2] + pieces[-QUERY_CHUNKS_MAX // 2 :]
        total = (await self._embedder.embed(pieces)).sum(axis=0)
        return np.asarray(total / max(float(np.linalg.norm(total)), 1e-12), np.float32)
