"""Turns of a transcript as entries of its log: the inverse of log_reader.py."""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

from embedders import Vectors
from memory_core.chunking import piece_ends
from memory_core.codec import Record, encode_record
from memory_core.index import Bytes8, MemoryIndex, quantise
from memory_core.stores import Entry
from memory_core.transcript import Turn


class Cut(NamedTuple):
    """A text in chunks: a vector for each, int8 [chunks, d], and where each ends."""

    rows: Bytes8
    ends: tuple[int, ...]


class Origin(NamedTuple):
    """Whose vectors, when it was learned (unix seconds), and how many of the transcript's turns the client sent."""

    embedder: str
    at: float
    sent: int


def cut_in(index: MemoryIndex, seq: int) -> Cut:
    """A turn (from 1) as it was folded."""
    rows = index.vectors(index.memories(seq))[index.memories(seq - 1) :]
    return Cut(quantise(rows), index.ends(seq))


def cuts_of(texts: Sequence[Sequence[str]], vectors: Vectors) -> list[Cut]:
    """Turns that were not folded, in chunks that have a vector each, one after the other."""
    rows, ends = quantise(vectors), [*accumulate(map(len, texts), initial=0)]
    return [Cut(rows[a:b], piece_ends(each)) for each, (a, b) in zip(texts, pairwise(ends), strict=True)]


def entries(turns: Sequence[Turn], cuts: Sequence[Cut], parent: bytes, first: int, origin: Origin) -> list[Entry]:
    """Of turns that follow `first` others, the last of which has the digest `parent`."""
    found = []
    for seq, (turn, cut) in enumerate(zip(turns, cuts, strict=True), start=first + 1):
        found.append(Entry(turn.digest, parent, seq, _payload(turn, cut, seq, origin)))
        parent = turn.digest
    return found


def _payload(turn: Turn, cut: Cut, seq: int, origin: Origin) -> bytes:
    source = "client" if seq <= origin.sent else "upstream"
    said, vectors = (turn.role, turn.text, turn.message), cut.rows.tobytes()
    meta = {"source": source}
    return encode_record(Record(*said, origin.embedder, cut.rows.shape[1], vectors, origin.at, meta, cut.ends))
