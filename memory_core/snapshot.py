"""What a conversation remembers, to take away whole: the state, its memories with text and vector, and what hangs on
them. `to_bytes` for machines, `to_dict` for people and other tools.

    "iso" | "m" | version | checksum | msgpack(compressed?, fields, state, int8 vectors [n, d])

Only the fields are compressed: the state already is, and the vectors are noise, three quarters of the bytes, on which
zlib would spend three times as long as on the rest. The fields stand in columns, so that texts compress with texts. Two
builds of zlib may pack equal fields differently; `compressed=False` gives the same bytes on any machine.

The dict carries no checksum, since people edit it: it is checked for shapes, ranges and invariants only.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from operator import ge
from typing import Annotated, Any

import msgspec
import numpy as np

from memory_core.codec import (
    FORMAT_VERSION,
    MismatchError,
    StateCorruptionError,
    check_embedder,
    decode_state,
    encode_state,
    inflated,
    parsed,
    seal,
    squeezed,
    unseal,
)
from memory_core.index import Bytes8
from memory_core.plain import array_from_plain, array_to_plain, frozen
from memory_core.state import MemoryState

_KIND = b"m"
_FORMAT = "isocost memory"
_INT8 = np.dtype(np.int8)

# msgspec checks these ranges at the speed of C, wherever a value comes in: bytes, dict or an export made by hand.
_LARGEST = sys.float_info.max
_Turn = Annotated[int, msgspec.Meta(ge=1)]
_Place = Annotated[int, msgspec.Meta(ge=0)]
_Mass = Annotated[float, msgspec.Meta(ge=0, le=_LARGEST)]
_Finite = Annotated[float, msgspec.Meta(ge=-_LARGEST, le=_LARGEST)]
_Integer = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Meta = dict[str, str | bool | _Integer | _Finite]


class KeptMemory(msgspec.Struct, frozen=True, eq=False, gc=False):
    """One remembered chunk: its turn (from 1) and place in it (from 0), int8 vector [d], IDF mass (≥ 0), and `meta`:
    where it came from, how sure that is, anything. It cannot be part of a cycle, so the collector is told to pass.
    """

    turn: _Turn
    chunk: _Place
    role: str
    text: str
    vector: Bytes8
    information: _Mass
    meta: Meta = {}

    def same(self, other: "KeptMemory") -> bool:
        """Equal in every field."""
        return np.array_equal(self.vector, other.vector) and _plain_fields(self) == _plain_fields(other)


@dataclass(frozen=True, slots=True, eq=False)
class MemoryExport:
    """A conversation's memory at one turn; memories in the order of the log.

    `literals` and `entries` are whatever plain data (None, bool, int, float, str and tuples of them) their owners
    give; lists come back as tuples. `redactions` names what was taken out.
    """

    embedder: str
    dimension: int
    state: MemoryState
    memories: tuple[KeptMemory, ...]
    literals: tuple[Any, ...] = ()
    entries: tuple[Any, ...] = ()
    redactions: tuple[str, ...] = ()

    def check(self) -> None:
        """Raise ValueError if an invariant does not hold."""
        self.state.check()
        _checked(self)

    def same(self, other: "MemoryExport") -> bool:
        """Equal in every bit of state and vectors and in all else."""
        plain = [
            (export.embedder, export.dimension, frozen(export.literals), frozen(export.entries), export.redactions)
            for export in (self, other)
        ]
        return (
            plain[0] == plain[1]
            and self.state.same(other.state)
            and len(self.memories) == len(other.memories)
            and all(mine.same(theirs) for mine, theirs in zip(self.memories, other.memories, strict=True))
        )


class _Columns(msgspec.Struct, frozen=True, array_like=True):
    """The memories but for their vectors."""

    turns: list[_Turn]
    chunks: list[_Place]
    roles: list[str]
    texts: list[str]
    information: list[_Mass]
    metas: list[Meta]


class _Fields(msgspec.Struct, frozen=True, array_like=True):
    """All of an export but the vectors of its memories."""

    embedder: str
    dimension: int
    memories: _Columns
    literals: tuple[Any, ...]
    entries: tuple[Any, ...]
    redactions: tuple[str, ...]


def to_bytes(export: MemoryExport, *, compressed: bool = True) -> bytes:
    """Export to bytes, equal ones to equal bytes; raises ValueError for one that breaks an invariant."""
    columns = _checked(export)
    fields = _Fields(export.embedder, export.dimension, columns, export.literals, export.entries, export.redactions)
    body = msgspec.msgpack.encode(fields, order="deterministic")
    state = encode_state(export.state, export.embedder)
    vectors = b"".join([memory.vector.tobytes() for memory in export.memories])
    return seal(_KIND, msgspec.msgpack.encode((compressed, squeezed(body) if compressed else body, state, vectors)))


def from_bytes(payload: bytes, embedder: str) -> MemoryExport:
    """Bytes to export; raises StateCorruptionError for damage, MismatchError for another embedder's or format's."""
    compressed, body, packed_state, vectors = parsed(unseal(_KIND, payload), tuple[bool, bytes, bytes, bytes])
    fields = parsed(inflated(body) if compressed else body, _Fields)
    check_embedder(fields.embedder, embedder)
    columns = [getattr(fields.memories, name) for name in _Columns.__struct_fields__]
    count = len(columns[0])
    if fields.dimension < 1 or any(len(column) != count for column in columns):
        raise StateCorruptionError("the memories of a snapshot do not fit together")
    if len(vectors) != count * fields.dimension:
        raise StateCorruptionError("the vectors of a snapshot do not fit its memories")
    rows = list(np.frombuffer(vectors, np.int8).reshape(count, fields.dimension))
    turns, places, roles, texts, information, metas = columns
    memories = tuple(map(KeptMemory, turns, places, roles, texts, rows, information, metas))
    state = decode_state(packed_state, embedder)
    plain = (fields.literals, fields.entries, fields.redactions)
    return _loaded(MemoryExport(fields.embedder, fields.dimension, state, memories, *plain), _check_whole)


def to_dict(export: MemoryExport) -> dict[str, Any]:
    """Export to what JSON can hold; arrays as their shape and little-endian bytes in base64. Raises as `to_bytes`."""
    _checked(export)
    plain: dict[str, Any] = msgspec.to_builtins(export, enc_hook=array_to_plain, order="deterministic")
    return {"format": _FORMAT, "version": FORMAT_VERSION, **plain}


def from_dict(plain: Mapping[str, Any], embedder: str) -> MemoryExport:
    """The inverse of `to_dict`; raises StateCorruptionError, naming the place, and MismatchError as `from_bytes`."""
    if plain.get("format") != _FORMAT or type(plain.get("version")) is not int:
        raise StateCorruptionError(f"not a snapshot: it has no format {_FORMAT!r} with a version")
    if plain["version"] != FORMAT_VERSION:
        raise MismatchError(f"written in format {plain['version']}, this isocost reads format {FORMAT_VERSION}")
    try:
        export = msgspec.convert(plain, MemoryExport, dec_hook=array_from_plain)
    except msgspec.ValidationError as error:
        raise StateCorruptionError(f"a snapshot has the wrong fields: {error}") from None
    check_embedder(export.embedder, embedder)
    return _loaded(export, MemoryExport.check)


def redacted(
    export: MemoryExport, *, text: bool = False, literals: bool = False, derived: bool = False
) -> MemoryExport:
    """The export without what is named.

    `text`: what memories say, strings in their meta, and the entries; `literals`: the literals; `derived`: the state's
    numbers, the vectors and the information. Vectors can be turned back into much of their text: where words must
    not leave, ask for all three.
    """
    memories = export.memories
    if text:
        memories = tuple(
            msgspec.structs.replace(memory, text="", meta=_without_strings(memory.meta)) for memory in memories
        )
    if derived:
        nothing = np.zeros(export.dimension, np.int8)
        memories = tuple(msgspec.structs.replace(memory, vector=nothing, information=0.0) for memory in memories)
    taken = {name for name, asked in (("text", text), ("literals", literals), ("derived", derived)) if asked}
    return replace(
        export,
        state=MemoryState.empty(export.dimension, export.state.capacities) if derived else export.state,
        memories=memories,
        literals=() if literals else export.literals,
        entries=() if text else export.entries,
        redactions=tuple(sorted({*export.redactions, *taken})),
    )


def _checked(export: MemoryExport) -> _Columns:
    """The memories as columns; raises ValueError if an invariant does not hold, those of the state aside."""
    rows = map(msgspec.structs.astuple, export.memories)
    turns, places, roles, texts, vectors, information, metas = zip(*rows, strict=True) if export.memories else ((),) * 7
    try:
        found = msgspec.convert((turns, places, roles, texts, information, metas), _Columns)
    except msgspec.ValidationError as error:
        raise ValueError(f"memories have the wrong fields: {error}") from None
    if not {(vector.dtype, vector.shape) for vector in vectors} <= {(_INT8, (export.dimension,))}:
        raise ValueError("a memory's vector is not int8 [dimension]")
    _check_whole(export)
    frozen((export.literals, export.entries))
    return found


def _check_whole(export: MemoryExport) -> None:
    places = [(memory.turn, memory.chunk) for memory in export.memories]
    if any(map(ge, places, places[1:])):
        raise ValueError("memories are not in the order of the log")
    if export.dimension < 1 or export.state.vector.shape != (export.dimension,):
        raise ValueError("the state's vector does not have the dimension")


def _loaded(export: MemoryExport, check: Callable[[MemoryExport], None]) -> MemoryExport:
    """An export that passes a check, with tuples for lists."""
    try:
        check(export)
        return replace(export, literals=frozen(export.literals), entries=frozen(export.entries))
    except ValueError as error:
        raise StateCorruptionError(f"a snapshot breaks an invariant: {error}") from None


def _plain_fields(memory: KeptMemory) -> tuple[object, ...]:
    return (memory.turn, memory.chunk, memory.role, memory.text, memory.information, memory.meta)


def _without_strings(meta: Meta) -> Meta:
    return {name: value for name, value in meta.items() if not isinstance(value, str)}
