"""Turns of a transcript as entries of its log: the inverse of log_reader.py."""

from collections.abc import Sequence
from itertools import accumulate, islice, pairwise
from typing import NamedTuple

from embedders import Embedder
from memory_core.chunking import chunks, piece_ends
from memory_core.codec import Record, encode_record
from memory_core.cues import without_stamp
from memory_core.index import Bytes8, MemoryIndex, quantise
from memory_core.stores import Entry
from memory_core.transcript import Turn
from proxy.embed import embed_texts
from proxy.lineage import Lineage
from proxy.log_reader import own_turns
from proxy.pace import Pace, piece

EXCHANGE_TURNS = 2
"""A question and its answer: where these are all that is new, nobody has learned them yet, and the log is not asked. It
keeps the first entry of a turn, so that nothing is lost where somebody had."""


class Cut(NamedTuple):
    """A text in chunks: a vector for each, int8 [chunks, d], and where each ends."""

    rows: Bytes8
    ends: tuple[int, ...]


class Origin(NamedTuple):
    """Whose vectors, when it was learned (unix seconds), and how many of the transcript's turns the client sent."""

    embedder: str
    at: float
    sent: int


class Fork(NamedTuple):
    """A transcript with its answer that another one of its conversation has outrun: how many of its turns the client
    `sent`, and when (`at`, unix seconds)."""

    whole: Lineage
    sent: int
    at: float


def cut_in(index: MemoryIndex, seq: int) -> Cut:
    """A turn (from 1) as it was folded."""
    rows = index.vectors(index.memories(seq))[index.memories(seq - 1) :]
    return Cut(quantise(rows), index.ends(seq))


async def cuts_of(turns: Sequence[Turn], embedder: Embedder) -> list[Cut]:
    """Turns that were not folded; raises EmbedderError."""
    texts = [chunks(turn.text) for turn in turns]
    vectors = await embed_texts(embedder, [without_stamp(text) for each in texts for text in each])
    rows, ends = quantise(vectors), [*accumulate(map(len, texts), initial=0)]
    return [Cut(rows[a:b], piece_ends(each)) for each, (a, b) in zip(texts, pairwise(ends), strict=True)]


def entries(turns: Sequence[Turn], cuts: Sequence[Cut], parent: bytes, first: int, origin: Origin) -> list[Entry]:
    """Of turns that follow `first` others, the last of which has the digest `parent`."""
    found = []
    for seq, (turn, cut) in enumerate(zip(turns, cuts, strict=True), start=first + 1):
        found.append(Entry(turn.digest, parent, seq, _payload(turn, cut, seq, origin)))
        parent = turn.digest
    return found


async def fork_entries(
    forks: Sequence[Fork], logged: Sequence[int], embedder: Embedder, pace: Pace
) -> list[list[Entry]]:
    """Of each what follows its first `logged` turns, if that is one exchange; else none, as the log may lack more."""
    new = [_last_exchange(fork.whole, first) for fork, first in zip(forks, logged, strict=True)]
    cuts = iter(await cuts_of([turn for turns in new for turn in turns], embedder))
    found: list[list[Entry]] = []
    for fork, first, turns in zip(forks, logged, new, strict=True):
        async with piece(pace):
            origin = Origin(embedder.name, fork.at, fork.sent)
            own = [*islice(cuts, len(turns))]
            parent = fork.whole.digests[first - 1] if first else fork.whole.root
            found.append(entries(turns, own, parent, first, origin))
    return found


def _last_exchange(whole: Lineage, logged: int) -> Sequence[Turn]:
    return own_turns(whole, logged) if logged >= max(len(whole.stored), whole.length - EXCHANGE_TURNS) else ()


def _payload(turn: Turn, cut: Cut, seq: int, origin: Origin) -> bytes:
    source = "client" if seq <= origin.sent else "upstream"
    said, vectors = (turn.role, turn.text, turn.message), cut.rows.tobytes()
    meta = {"source": source}
    return encode_record(Record(*said, origin.embedder, cut.rows.shape[1], vectors, origin.at, meta, cut.ends))
