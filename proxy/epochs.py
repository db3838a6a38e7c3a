"""The epochs of a conversation: the bytes of each memory block, written once and used by every branch and replica.

A note of the conversation names the newest epochs, each by its cut and the digest of the last turn before it, so that
whoever holds a transcript sees which of them lie on it; the latest of these is in force. The epoch itself is an entry
of the log, beside the turns, under a key of that digest. The log keeps the first entry of a key: two replicas that
begin one epoch at once agree on the bytes of one of them.
"""

import struct
from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from memory_core.stores import Entry, Store, StoreError
from memory_core.transcript import DIGEST_BYTES, digest_of
from proxy.lineage import Lineage

CACHED_MAX = 4_096

_UNREADABLE = "what the store holds of an epoch cannot be read"

NOTED_MAX = 8
"""Epochs that are named: an edit before the eldest of them begins anew."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """The turns before `cut` stand in `block` (`block_tokens` as a message, "" and 0 if none); `number` counts from 1.

    `why` it began, with which turn (`begun`, from 1), and when (`at`, unix seconds).
    """

    number: int
    cut: int
    block: str
    block_tokens: int
    why: str
    begun: int
    at: float = 0.0


class _Place(NamedTuple):
    """Where an epoch cuts: `boundary` is the digest of the last turn before."""

    cut: int
    boundary: bytes


_PLACE = struct.Struct(f">Q{DIGEST_BYTES}s")
_NUMBERS = struct.Struct(">4Qd")
"""Fixed widths: what is stored is no longer at turn ten thousand than at turn ten."""


class Epochs:
    """Reads and writes them; keeps those that this process has seen."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen: OrderedDict[bytes, Epoch] = OrderedDict()

    async def in_force(self, lineage: Lineage, asked: int, lane: bytes) -> Epoch | None:
        """The epoch with the latest cut on this transcript, up to the question at `asked`; None if there is none.

        A `lane` is what a block was made for: another model or another budget has epochs of its own.
        """
        noted = await self._noted(lineage.conversation, lane)
        fitting = [place for place in noted if 0 < place.cut <= asked and _lies_on(lineage, place)]
        if not fitting:
            return None
        return await self._read(lineage.conversation, _key(lane, max(fitting, key=lambda place: place.cut).boundary))

    async def begin(self, lineage: Lineage, lane: bytes, epoch: Epoch) -> Epoch:
        """Begin an epoch; returns the one that stands, which may be another replica's."""
        place = _Place(epoch.cut, lineage.digests[epoch.cut - 1])
        key = _key(lane, place.boundary)
        entry = Entry(key, place.boundary, epoch.cut, _encoded(epoch))
        await self._store.append(lineage.conversation, [entry])
        stands = await self._read(lineage.conversation, key)
        if stands is None:
            raise StoreError("an epoch that was just begun is not in the store")
        others = [noted for noted in await self._noted(lineage.conversation, lane) if noted != place]
        newest = b"".join(_PLACE.pack(*each) for each in [*others, place][-NOTED_MAX:])
        await self._store.set_note(lineage.conversation, lane, newest)
        return stands

    async def _noted(self, conversation: str, lane: bytes) -> list[_Place]:
        note = await self._store.note(conversation, lane)
        if note is None:
            return []
        if len(note) % _PLACE.size:
            raise StoreError(_UNREADABLE)
        return [_Place(*fields) for fields in _PLACE.iter_unpack(note)]

    async def _read(self, conversation: str, key: bytes) -> Epoch | None:
        epoch = self._seen.get(key)
        if epoch is None:
            (payload,) = await self._store.read(conversation, [key])
            if payload is None:
                return None
            epoch = self._seen[key] = _decoded(payload)
        self._seen.move_to_end(key)
        if len(self._seen) > CACHED_MAX:
            self._seen.popitem(last=False)
        return epoch


def lane_of(model: str, context_tokens: int, placement: str) -> bytes:
    """What a block is made for."""
    name = model.encode("utf-8", "surrogatepass")
    return digest_of(b"isocost lane", name, str(context_tokens).encode(), placement.encode())


def _lies_on(lineage: Lineage, place: _Place) -> bool:
    return place.cut <= lineage.length and lineage.digests[place.cut - 1] == place.boundary


def _key(lane: bytes, boundary: bytes) -> bytes:
    return digest_of(b"isocost epoch", lane, boundary)


def _encoded(epoch: Epoch) -> bytes:
    numbers = _NUMBERS.pack(epoch.number, epoch.cut, epoch.block_tokens, epoch.begun, epoch.at)
    return msgspec.msgpack.encode((numbers, epoch.why, epoch.block))


def _decoded(payload: bytes) -> Epoch:
    try:
        numbers, why, block = msgspec.msgpack.decode(payload, type=tuple[bytes, str, str])
        number, cut, block_tokens, begun, at = _NUMBERS.unpack(numbers)
    except (msgspec.DecodeError, struct.error):
        raise StoreError(_UNREADABLE) from None
    return Epoch(number, cut, block, block_tokens, why, begun, at)
