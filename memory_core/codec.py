"""Log records and states to bytes and back. Untrusted bytes are checked on load: they may be anyone's.

    "iso" | kind | format version | blake2b-64 of the rest | zlib(msgpack(...))

The embedder's name travels inside, because vectors of two embedders must never meet in one cosine.
"""

import hashlib
import zlib
from typing import TypeVar

import msgspec
import numpy as np

from memory_core.index import Bytes8
from memory_core.state import Capacities, Kept, MemoryState

FORMAT_VERSION = 1
_MAGIC = b"iso"
_CHECK_BYTES = 8
_HEADER_BYTES = len(_MAGIC) + 2 + _CHECK_BYTES
_UNPACKED_BYTES_MAX = 256 * 2**20
"""A bomb of zeros must not take the process with it; the largest honest record is a body of some 30 MB."""

_COMPRESSION = 1
"""zlib's fastest: a record is written once a turn, mostly int8 noise that no level squeezes further."""


class CodecError(Exception):
    """The bytes are not what they claim to be: damaged, cut or written by something else."""


class MismatchError(CodecError):
    """The bytes are sound, but another embedder or a newer format wrote them."""


class Record(msgspec.Struct, frozen=True, array_like=True):
    """One turn as the log keeps it: what was said, its int8 vectors [chunks, d], and where it came from."""

    role: str
    text: str
    message: bytes
    embedder: str
    dimension: int
    vectors: bytes
    at: float
    meta: dict[str, str]

    def rows(self) -> Bytes8:
        """The vectors, int8 [chunks, dimension]."""
        return np.frombuffer(self.vectors, np.int8).reshape(-1, self.dimension)


class _PackedState(msgspec.Struct, frozen=True, array_like=True):
    embedder: str
    turns: int
    inputs: int
    vector: bytes
    similarities: list[float]
    tiers: tuple[list[tuple[int, float]], list[tuple[int, float]], list[tuple[int, float]]]
    capacities: tuple[int, int, int]


_T = TypeVar("_T")


def encode_record(record: Record) -> bytes:
    """Record to bytes; inverse of `decode_record`."""
    return _pack(b"r", msgspec.msgpack.encode(record))


def decode_record(payload: bytes, embedder: str) -> Record:
    """Bytes to record; raises MismatchError for another embedder's, CodecError for damaged ones."""
    record = _parse(_unpack(b"r", payload), Record)
    _check_embedder(record.embedder, embedder)
    if record.dimension < 1 or len(record.vectors) % record.dimension:
        raise CodecError("a log record's vectors do not fit its dimension")
    return record


def encode_state(state: MemoryState, embedder: str) -> bytes:
    """State to bytes; inverse of `decode_state`."""
    tiers = [[(kept.turn, kept.information) for kept in tier] for tier in (state.short, state.medium, state.long)]
    sizes = state.capacities
    packed = _PackedState(
        embedder,
        state.turns,
        state.inputs,
        state.vector.astype("<f4").tobytes(),
        list(state.similarities),
        (tiers[0], tiers[1], tiers[2]),
        (sizes.short, sizes.medium, sizes.long),
    )
    return _pack(b"s", msgspec.msgpack.encode(packed))


def decode_state(payload: bytes, embedder: str) -> MemoryState:
    """Bytes to state, its invariants checked; raises as `decode_record` does."""
    packed = _parse(_unpack(b"s", payload), _PackedState)
    _check_embedder(packed.embedder, embedder)
    if len(packed.vector) % 4:
        raise CodecError("a state's vector is cut")
    short, medium, long = (tuple(Kept(*pair) for pair in tier) for tier in packed.tiers)
    state = MemoryState(
        packed.turns,
        packed.inputs,
        np.frombuffer(packed.vector, "<f4").astype(np.float32),
        tuple(packed.similarities),
        short,
        medium,
        long,
        Capacities(*packed.capacities),
    )
    try:
        state.check()
    except ValueError as error:
        raise CodecError(f"a stored state breaks an invariant: {error}") from None
    return state


def _pack(kind: bytes, body: bytes) -> bytes:
    squeezed = zlib.compress(body, _COMPRESSION)
    return _MAGIC + kind + bytes([FORMAT_VERSION]) + _checksum(squeezed) + squeezed


def _unpack(kind: bytes, payload: bytes) -> bytes:
    if len(payload) < _HEADER_BYTES or payload[:3] != _MAGIC or payload[3:4] != kind:
        raise CodecError("not a record of isocost")
    if payload[4] != FORMAT_VERSION:
        raise MismatchError(f"written in format {payload[4]}, this isocost reads format {FORMAT_VERSION}")
    squeezed = payload[_HEADER_BYTES:]
    if payload[5:_HEADER_BYTES] != _checksum(squeezed):
        raise CodecError("the checksum of a stored record does not match")
    inflater = zlib.decompressobj()
    try:
        body = inflater.decompress(squeezed, _UNPACKED_BYTES_MAX)
    except zlib.error:
        raise CodecError("a stored record does not decompress") from None
    if not inflater.eof:
        raise CodecError("a stored record is cut or too large")
    return body


def _parse(body: bytes, shape: type[_T]) -> _T:
    try:
        return msgspec.msgpack.decode(body, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CodecError(f"a stored record has the wrong fields: {error}") from None


def _checksum(squeezed: bytes) -> bytes:
    return hashlib.blake2b(squeezed, digest_size=_CHECK_BYTES).digest()


def _check_embedder(written_by: str, wanted: str) -> None:
    if written_by != wanted:
        raise MismatchError(f"written with the embedder {written_by!r}, this isocost uses {wanted!r}")
