"""Finds the conversation of a client that drops its oldest turns: by a run of recent ones that only it has.

Such a client's first turn is a new one with each request, so the prefix names nothing. After each answer the newest
turns are noted as a run, among those of the same tenant; a transcript that nobody knows and that repeats a run is a
window on its conversation. A run that two transcripts hold attaches nobody, nor does one of a few words: greetings
are alike everywhere, and a memory must never be opened by what anyone may have said.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from memory_core.stores import Entry, Store, StoreError
from memory_core.transcript import Turn, digest_of
from proxy.lineage import Lineage

RUN_TURNS = 4
RUN_CHARS_MIN = 200

_REACH_TURNS = (0, 2)
"""So many turns before the question a run may end: the newest exchange may not have been noted yet."""


class Run(NamedTuple):
    """The conversation that holds it, and the digest of its last turn there."""

    conversation: str
    end: bytes


class Runs:
    """Notes and finds runs in a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def note(self, *lineages: Lineage) -> None:
        """Note the newest turns of transcripts of one conversation, which is found by its content."""
        noted = [(key, each) for each in lineages if not each.explicit and (key := _key(each.turns[-RUN_TURNS:]))]
        if not noted:
            return
        partition = _partition(lineages[0])
        runs = [_encode(Run(lineage.conversation, lineage.digests[-1])) for _, lineage in noted]
        entries = [Entry(k, each.digests[-1], each.length, run) for (k, each), run in zip(noted, runs, strict=True)]
        if await self._store.append(partition, entries) == len(entries):
            return
        stand = await self._store.read(partition, [key for key, _ in noted])
        # somebody else's: from now on it is nobody's
        again = [
            Entry(_again(entry.digest), entry.parent, entry.seq, b"")
            for entry, run, stands in zip(entries, runs, stand, strict=True)
            if stands != run
        ]
        if again:
            await self._store.append(partition, again)

    async def find(self, lineage: Lineage) -> Run | None:
        """Whose run the transcript repeats right before its last user turn; None if nobody's or not only one's."""
        asked = next(
            (place for place in range(len(lineage.turns) - 1, -1, -1) if lineage.turns[place].role == "user"), 0
        )
        ends = [asked - reach for reach in _REACH_TURNS if asked - reach >= RUN_TURNS]
        keys = [key for key in (_key(lineage.turns[end - RUN_TURNS : end]) for end in ends) if key]
        if not keys:
            return None
        wanted = [part for key in keys for part in (key, _again(key))]
        found = await self._store.read(_partition(lineage), wanted)
        sole = [run for run, again in zip(found[::2], found[1::2], strict=True) if run is not None and again is None]
        return _decode(sole[0]) if sole else None


def _key(turns: Sequence[Turn]) -> bytes:
    """b"" for turns that say too little to be anyone's own."""
    enough = len(turns) == RUN_TURNS and sum(len(turn.text) for turn in turns) >= RUN_CHARS_MIN
    return digest_of(b"isocost run", *(turn.fingerprint for turn in turns)) if enough else b""


def _again(key: bytes) -> bytes:
    return digest_of(b"isocost run, again", key)


def _partition(lineage: Lineage) -> str:
    """One for each root, which holds the tenant and the client's cache key."""
    return digest_of(b"isocost runs", lineage.root).hex()


def _encode(run: Run) -> bytes:
    return msgspec.msgpack.encode(run)


def _decode(payload: bytes) -> Run:
    try:
        return msgspec.msgpack.decode(payload, type=Run)
    except msgspec.DecodeError:
        raise StoreError("what the store holds of a run cannot be read") from None
