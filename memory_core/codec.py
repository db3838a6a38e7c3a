"""Log records and states to bytes and back. Untrusted bytes are checked on load: they may be anyone's.

    "iso" | kind | format version | 64 bits of sha256 of all the rest | zlib(msgpack(...))

The checksum covers the bytes before it too: a flipped bit anywhere is damage, and only an honest header of another
format is a mismatch. This envelope therefore stays the same whatever the version. The embedder's name travels
inside, because vectors of two embedders must never meet in one cosine.
"""

import hashlib
import zlib
from itertools import pairwise, starmap
from typing import TypeVar

import msgspec
import numpy as np

from memory_core.chunking import chunks
from memory_core.index import Bytes8
from memory_core.state import Capacities, Kept, MemoryState, TopicSwitch

FORMAT_VERSION = 2
_MAGIC = b"iso"
_CHECK_BYTES = 8
_HEAD_BYTES = len(_MAGIC) + 2
_HEADER_BYTES = _HEAD_BYTES + _CHECK_BYTES
_UNPACKED_BYTES_MAX = 256 * 2**20
"""A bomb of zeros must not take the process with it; the largest honest record is a body of some 30 MB."""

_COMPRESSION = 1
"""zlib's fastest: a record is written once a turn, mostly int8 noise that no level squeezes further."""

_AS_IT_IS = 0
"""For a state, of which there is one a conversation: mostly floats, 8.6 KB that 70 µs of squeezing would make 7.2."""


class StateCorruptionError(Exception):
    """The bytes are not what they claim to be: damaged, cut or written by something else."""


class MismatchError(Exception):
    """The bytes are sound, but another embedder or another format wrote them; no kind of corruption."""


class Record(msgspec.Struct, frozen=True, array_like=True):
    """One turn as the log keeps it: what was said, its int8 vectors [chunks, d], and where it came from.

    `ends` says where each chunk of `text` ends, one for each vector, so that the log outlives changes of the chunker;
    () stands for "as the chunker cuts now".
    """

    role: str
    text: str
    message: bytes
    embedder: str
    dimension: int
    vectors: bytes
    at: float
    meta: dict[str, str]
    ends: tuple[int, ...] = ()

    def pieces(self) -> tuple[str, ...]:
        """The chunks of the text, one for each vector."""
        if not self.ends:
            return chunks(self.text)
        return tuple(self.text[start:end] for start, end in pairwise((0, *self.ends)))

    def rows(self) -> Bytes8:
        """The vectors, int8 [chunks, dimension]."""
        return np.frombuffer(self.vectors, np.int8).reshape(-1, self.dimension)


_Row = tuple[int, float, float, int, int, int]
"""The fields of a Kept, in their order."""


class _PackedState(msgspec.Struct, frozen=True, array_like=True):
    embedder: str
    turns: int
    inputs: int
    vector: bytes
    similarities: list[float]
    tiers: tuple[list[_Row], list[_Row], list[_Row]]
    capacities: tuple[int, int, int]
    eviction: str = "retention"
    topic_switches: list[tuple[int, float, str, bool]] = []
    densities: tuple[float, float] = (0.0, 0.0)


_T = TypeVar("_T")


def encode_record(record: Record) -> bytes:
    """Record to bytes; inverse of `decode_record`."""
    return seal(b"r", squeezed(msgspec.msgpack.encode(record)))


def decode_record(payload: bytes, embedder: str) -> Record:
    """Bytes to record; raises MismatchError for another embedder's, StateCorruptionError for damaged ones."""
    record = parsed(_unpack(b"r", payload), Record)
    check_embedder(record.embedder, embedder)
    if record.dimension < 1 or len(record.vectors) % record.dimension:
        raise StateCorruptionError("a log record's vectors do not fit its dimension")
    if record.ends:
        _check_ends(record)
    return record


def _check_ends(record: Record) -> None:
    ends = record.ends
    rising = all(start < end for start, end in pairwise((0, *ends))) or (ends == (0,) and not record.text)
    if not rising or ends[-1] != len(record.text) or len(ends) * record.dimension != len(record.vectors):
        raise StateCorruptionError("a log record's chunks do not fit its text and vectors")


def encode_state(state: MemoryState, embedder: str) -> bytes:
    """State to bytes; inverse of `decode_state`."""
    short, medium, long = (list(map(msgspec.structs.astuple, tier)) for tier in (state.short, state.medium, state.long))
    sizes = state.capacities
    packed = _PackedState(
        embedder,
        state.turns,
        state.inputs,
        state.vector.astype("<f4").tobytes(),
        list(state.similarities),
        (short, medium, long),
        (sizes.short, sizes.medium, sizes.long),
        sizes.eviction,
        [(switch.turn, switch.magnitude, switch.phase, switch.auto_anchored) for switch in state.topic_switches],
        state.densities,
    )
    return seal(b"s", zlib.compress(msgspec.msgpack.encode(packed), _AS_IT_IS))


def decode_state(payload: bytes, embedder: str) -> MemoryState:
    """Bytes to state, its invariants checked; raises as `decode_record` does."""
    packed = parsed(_unpack(b"s", payload), _PackedState)
    check_embedder(packed.embedder, embedder)
    if len(packed.vector) % 4:
        raise StateCorruptionError("a state's vector is cut")
    short, medium, long = (tuple(starmap(Kept, tier)) for tier in packed.tiers)
    state = MemoryState(
        packed.turns,
        packed.inputs,
        np.frombuffer(packed.vector, "<f4").astype(np.float32),
        tuple(packed.similarities),
        short,
        medium,
        long,
        Capacities(*packed.capacities, packed.eviction),
        tuple(TopicSwitch(*switch) for switch in packed.topic_switches),
        packed.densities,
    )
    try:
        state.check()
    except ValueError as error:
        raise StateCorruptionError(f"a stored state breaks an invariant: {error}") from None
    return state


def seal(kind: bytes, body: bytes) -> bytes:
    """A body in the envelope above, as it is."""
    head = _MAGIC + kind + bytes([FORMAT_VERSION])
    return head + _checksum(head, body) + body


def unseal(kind: bytes, payload: bytes) -> bytes:
    """The body of an envelope; raises StateCorruptionError for a damaged one, MismatchError for another format's."""
    head, check, body = payload[:_HEAD_BYTES], payload[_HEAD_BYTES:_HEADER_BYTES], payload[_HEADER_BYTES:]
    if len(payload) < _HEADER_BYTES or head[:-1] != _MAGIC + kind:
        raise StateCorruptionError("not a record of isocost")
    if check != _checksum(head, body):
        raise StateCorruptionError("the checksum of a stored record does not match")
    if head[-1] != FORMAT_VERSION:
        raise MismatchError(f"written in format {head[-1]}, this isocost reads format {FORMAT_VERSION}")
    return body


def squeezed(body: bytes) -> bytes:
    """Compressed with zlib; another build of zlib may find other bytes for the same body."""
    return zlib.compress(body, _COMPRESSION)


def inflated(packed: bytes) -> bytes:
    """The inverse of `squeezed`; raises StateCorruptionError, also for a bomb, before it has taken the memory."""
    inflater = zlib.decompressobj()
    try:
        body = inflater.decompress(packed, _UNPACKED_BYTES_MAX)
    except zlib.error:
        raise StateCorruptionError("a stored record does not decompress") from None
    if not inflater.eof or inflater.unused_data:
        raise StateCorruptionError("a stored record is cut, lengthened or too large")
    return body


def _unpack(kind: bytes, payload: bytes) -> bytes:
    return inflated(unseal(kind, payload))


def parsed(body: bytes, shape: type[_T]) -> _T:
    """A msgpack body of a known shape; raises StateCorruptionError."""
    try:
        return msgspec.msgpack.decode(body, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise StateCorruptionError(f"a stored record has the wrong fields: {error}") from None


def _checksum(head: bytes, body: bytes) -> bytes:
    """SHA-256 and not BLAKE2b: most processors have instructions for it, and hash a snapshot in half the time."""
    digest = hashlib.sha256(head)
    digest.update(body)
    return digest.digest()[:_CHECK_BYTES]


def check_embedder(written_by: str, wanted: str) -> None:
    """Raise MismatchError, with both names, if they differ."""
    if written_by != wanted:
        raise MismatchError(f"written with the embedder {written_by!r}, this isocost uses {wanted!r}")
