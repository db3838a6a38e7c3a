"""The memory of conversations: hot folds in front of the store, caught up turn by turn.

One fold a conversation, least recently used out first, each behind its own lock. A request reads (`recollect`), the
learner writes (`learn`); both first catch the fold up with the transcript at hand, from the log where it knows a
turn and from the embedder where it does not. A fork cuts the fold back and grows it again: the log keeps both.
"""

import asyncio
import random
from collections.abc import Callable, Sequence

from embedders import Embedder
from memory_core.chunking import chunks
from memory_core.codec import decode_state, encode_state
from memory_core.cues import without_stamp
from memory_core.ellipsis import CONTEXT_TURNS, Said
from memory_core.facts import Facts, folded, standing
from memory_core.focus import sought
from memory_core.fold import Fold
from memory_core.phases import phase
from memory_core.recall import rank
from memory_core.state import Capacities
from memory_core.stores import Entry, Snapshot, Store
from memory_core.transcript import Turn
from memory_core.update import reported
from proxy.catch_up import BLOCK_TURNS, CatchUp
from proxy.embed import embed_question, embed_texts
from proxy.forks import Fork, Forks
from proxy.hot import Hot, HotCache
from proxy.leaning import Leaning
from proxy.lineage import Lineage, as_sent, attached, continued, extended
from proxy.log_entries import Origin, cut_in, entries
from proxy.log_reader import LogReader, own_turns
from proxy.message import Message
from proxy.pace import Pace, piece
from proxy.recollection import Asked, Question, Recollection
from proxy.segmented import LONG_TURNS

RECALLED_MIN = 32
RECALLED_TOKENS = 12
"""Candidates handed to assembly: one for each so many tokens of the budget, fewer than the shortest memory takes."""

LEARNED_TURNS_MAX = 32
"""New turns that one call of `learn` takes."""

_NEAR_TURNS = 512
"""A client's window ends so near to the end of what is hot, or the store is asked."""

_EXCHANGE_TURNS = 2
"""Where these are all that is new, a question and its answer, nobody has learned them yet, and the log is not asked."""

_BUSY_WAIT_S = 0.05
_SAVE_TRIES = 5
_BACK_OFF_S = 0.02
"""At most, and by chance: two processes that keep step would keep getting in each other's way."""


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
        self._catch_up = CatchUp(store, self._log, embedder, count, leaning)
        self._leaning = leaning
        self._pace = Pace()
        self._hot = HotCache(
            lambda: Fold(embedder.dimension, capacities, auto_anchor=leaning.auto_anchor), bytes_max=cache_bytes_max
        )
        self._forks = Forks(store, embedder, self._hot, self._pace)

    async def resume(self, lineage: Lineage) -> Lineage:
        """A lineage with an explicit id, continued from what is stored; any other as it is."""
        if not lineage.explicit:
            return lineage
        hot = self._hot.of(lineage.conversation)
        async with hot.lock:
            await self._catch_up.with_head(hot, lineage.conversation)
            self._hot.account(lineage.conversation, hot, goes_on=hot.stored > 0)
            return continued(lineage, hot.heads, hot.fold.digests)

    async def knows(self, conversation: str) -> bool:
        """It is hot or stored."""
        hot = self._hot.peek(conversation)
        return (hot is not None and hot.fold.turns > 0) or await self._store.load(conversation) is not None

    async def attach(self, lineage: Lineage, conversation: str, end: bytes, *, at_least: int) -> Lineage | None:
        """The lineage as a window on the conversation's turns up to the one with digest `end`; None if it is none.

        `at_least` so many turns must be the same.
        """
        hot = self._hot.of(conversation)
        async with hot.lock:
            if end not in hot.fold.digests[-_NEAR_TURNS:]:
                await self._catch_up.with_stored(hot, conversation, await self._store.path(conversation, end))
                self._hot.account(conversation, hot, goes_on=hot.stored > 0)
            turns = next((turn for turn in range(hot.fold.turns, 0, -1) if hot.fold.digests[turn - 1] == end), 0)
            return attached(lineage, conversation, hot.heads[:turns], hot.fold.digests, at_least=at_least)

    async def embed(self, lineage: Lineage, asked: int) -> Asked:
        """What is asked at `asked` (from 0), for `question`: the embedder's part, which is most of its time."""
        text = await self._log.text(lineage, asked)
        return Asked(asked, text, await embed_question(self._embedder, text))

    async def question(self, lineage: Lineage, asked: Asked) -> Question:
        """What is asked as a question to what was said before it."""
        hot = self._hot.of(lineage.conversation)
        async with hot.lock:
            await self._ready(hot, lineage, asked.place)
            before = hot.fold.state_at(asked.place)
        return Question(asked.place, asked.text, asked.vector, reported(before, asked.vector, is_input=True))

    def phase(self, conversation: str) -> str:
        """The phase that was last seen of a conversation that is hot; "initialization" of any other."""
        hot = self._hot.peek(conversation)
        similarities = hot.fold.state_at(hot.fold.turns).similarities if hot else ()
        return phase(similarities, 0.0)

    async def recollect(
        self, lineage: Lineage, question: Question, *, cut: int, tokens: int = 0, with_block: bool = True
    ) -> Recollection:
        """The memory of the first `cut` turns for a question, as much as `tokens` can hold.

        Without a block what the turns stated is not read.
        """
        asked = question.asked
        hot = self._hot.of(lineage.conversation)
        async with hot.lock:
            if not hot.holds(lineage.digests, asked):  # it did when the question was asked
                await self._ready(hot, lineage, asked)
            before = hot.fold.state_at(asked)
            recalled = rank(
                hot.fold.index,
                before,
                question.text,
                question.vector,
                turns=cut,
                limit=max(RECALLED_MIN, tokens // RECALLED_TOKENS),
                bias=self._leaning.bias_at(before, hot.fold.index),
                keep=self._leaning.filter_at(hot.fold, cut),
                context=await self._context(hot, lineage, asked),
            )
            block = standing(await self._facts(hot, lineage, cut)) if with_block else ()
            spanned = tuple((memory, hot.fold.index.span(memory.turn, memory.chunk)) for memory in recalled)
            wanted = sought(hot.fold.index, hot.fold.index.memories(cut), question.text)
        texts = await self._log.texts(lineage, {memory.turn for memory in recalled})
        return Recollection(block, spanned, texts, wanted, question.report)

    async def stored_messages(self, lineage: Lineage, start: int) -> list[Message]:
        """The turns from `start` (from 0) on that only the log holds, as messages."""
        return await self._log.messages(lineage, start)

    async def read_ahead(self, lineage: Lineage) -> frozenset[bytes]:
        """Embed what the next call of `learn` will need, so that it finds the vectors in the embedder's cache; returns
        the digests of those turns, which the log has not."""
        start = await self._begun(self._hot.peek(lineage.conversation), lineage)
        turns = own_turns(lineage, max(start, len(lineage.stored)))[:LEARNED_TURNS_MAX]
        new = turns if start and len(turns) <= _EXCHANGE_TURNS else await self._unlogged(lineage, turns)
        await embed_texts(self._embedder, [without_stamp(piece) for turn in new for piece in chunks(turn.text)])
        return frozenset(turn.digest for turn in new)

    async def _unlogged(self, lineage: Lineage, turns: Sequence[Turn]) -> Sequence[Turn]:
        known = await self._store.known(lineage.conversation, [turn.digest for turn in turns])
        return [turn for turn, is_known in zip(turns, known, strict=True) if not is_known]

    async def learn(
        self, lineage: Lineage, answer: Sequence[Message], at: float, unlogged: frozenset[bytes] = frozenset()
    ) -> bool:
        """Append what is new of a transcript and its answer to the log; `at` in unix seconds.

        One call takes a bounded step: False says that the conversation is busy or that more is left, and asks to be
        called again, so that a long import does not keep others waiting. Turns sent under an explicit id that has
        moved on meanwhile (two requests at once) follow the new head. The log is not asked for turns that are
        `unlogged`, by their digests.
        """
        hot = self._hot.of(lineage.conversation)
        try:
            async with asyncio.timeout(_BUSY_WAIT_S):
                await hot.lock.acquire()
        except TimeoutError:
            return False
        try:
            return await self._learn_step(hot, lineage, answer, at, unlogged)
        finally:
            hot.lock.release()

    async def log(self, forks: Sequence[Fork]) -> list[bool]:
        """As Forks.log."""
        return await self._forks.log(forks)

    async def _learn_step(
        self, hot: Hot, lineage: Lineage, answer: Sequence[Message], at: float, unlogged: frozenset[bytes]
    ) -> bool:
        for tried in range(_SAVE_TRIES):
            if tried:
                await asyncio.sleep(random.uniform(0, _BACK_OFF_S) * tried)  # noqa: S311 -- nobody's secret
            current = lineage
            if lineage.explicit:
                await self._catch_up.with_head(hot, lineage.conversation)
                current = continued(as_sent(lineage), hot.heads, hot.fold.digests)
            whole = extended(current, *answer)
            begun = await self._begun(hot, whole)
            reached = begun if begun > hot.fold.shared(whole.digests) else min(hot.stored, begun)
            turns = min(whole.length, reached + LEARNED_TURNS_MAX)
            if turns == 0:
                return whole.length == 0
            await self._ready(hot, whole, turns, len(answer), unlogged)
            if await self._write(hot, whole, turns, at, answered=len(answer)):
                return turns == whole.length
        return False  # others wrote each time: its turn comes again

    async def _begun(self, hot: Hot | None, lineage: Lineage) -> int:
        """How many leading turns are folded or in the log. What is not hot may be there: where more conversations are
        being learned than can stay hot, or a long one beside its branches, one that began each step anew would never
        come further than its first step."""
        shared = hot.fold.shared(lineage.digests) if hot else 0
        if hot and shared and (shared == hot.fold.turns or lineage.length - shared <= LEARNED_TURNS_MAX):
            return shared
        known = await self._store.known(lineage.conversation, lineage.digests)
        return max(shared, next((place for place, is_known in enumerate(known) if not is_known), len(known)))

    async def _write(self, hot: Hot, lineage: Lineage, until: int, at: float, *, answered: int) -> bool:
        """Bring the log to the first `until` turns of the lineage; False if someone else moved its head."""
        hot.cut(hot.fold.shared(lineage.digests))
        first = min(hot.stored, until)
        turns = own_turns(lineage, first)[: until - first]
        parent = hot.fold.digests[first - 1] if first else lineage.root
        origin = Origin(self._embedder.name, at, lineage.length - answered)
        async with piece(self._pace_of(lineage)):
            cuts = [cut_in(hot.fold.index, seq) for seq in range(first + 1, first + 1 + len(turns))]
            new = entries(turns, cuts, parent, first, origin)
            state = encode_state(hot.fold.state_at(until), self._embedder.name)
        return await self._save(hot, lineage, until, state, new)

    async def _save(self, hot: Hot, lineage: Lineage, turns: int, state: bytes, new: Sequence[Entry]) -> bool:
        """Append and move the head. Where the transcript is the client's, the last writer wins: the head is only a
        cache there."""
        for tried in range(_SAVE_TRIES):
            snapshot = Snapshot(hot.version + 1, hot.fold.digests[turns - 1], turns, state)
            is_saved = await self._store.save(lineage.conversation, snapshot, () if tried else new)
            hot.stored = max(hot.stored, turns)
            if is_saved:
                hot.version += 1
                return True
            if lineage.explicit:
                return False
            hot.version = await self._version(lineage.conversation)
        return True

    def _pace_of(self, lineage: Lineage) -> Pace | None:
        return None if lineage.is_only_ours else self._pace  # whose client waits for it

    async def _version(self, conversation: str) -> int:
        snapshot = await self._store.load(conversation)
        if snapshot is None:
            return 0
        decode_state(snapshot.state, self._embedder.name)  # raises: what a newer isocost wrote is not overwritten
        return snapshot.version

    async def _ready(
        self, hot: Hot, lineage: Lineage, turns: int, answered: int = 0, unlogged: frozenset[bytes] | None = None
    ) -> None:
        """Make `hot` hold at least the first `turns` turns of the lineage, and nothing else before them.

        The last `answered` of the lineage are not the client's. Of a conversation that goes on some of the client's
        turns were learned before and some were not: a prompt that is sampled ten times does not go on. One that comes
        with a long history has gone on elsewhere.
        """
        pace = None if unlogged is None else self._pace_of(lineage)  # who learns can wait
        await self._catch_up.with_lineage(hot, lineage, turns, pace, unlogged or frozenset())
        sent = lineage.length - answered
        goes_on = 0 < hot.stored < sent or sent > LONG_TURNS
        self._hot.account(lineage.conversation, hot, goes_on=goes_on)

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
            until = min(turns, facts.turns + BLOCK_TURNS)
            said = await self._log.texts(lineage, set(range(facts.turns + 1, until + 1)))
            facts = await asyncio.to_thread(folded, facts, until, said)
        hot.facts.keep(facts)
        return facts
