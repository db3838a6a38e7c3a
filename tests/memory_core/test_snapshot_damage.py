"""Bytes of a snapshot that were damaged, cut or forged: always a StateCorruptionError."""

import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_core.codec import StateCorruptionError, seal, squeezed, unseal
from memory_core.snapshot import from_bytes, to_bytes
from tests.support.exports import EMBEDDER, SMALL, export_of

FORMS = [to_bytes(SMALL), to_bytes(SMALL, compressed=False)]


@pytest.mark.parametrize("payload", FORMS, ids=["compressed", "fast"])
def test_every_flipped_bit_of_a_small_snapshot_is_damage(payload: bytes) -> None:
    for bit in range(8 * len(payload)):
        damaged = bytearray(payload)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(StateCorruptionError):
            from_bytes(bytes(damaged), EMBEDDER)


LARGE = to_bytes(export_of(*(f"text number {n}" for n in range(120)), dimension=384))


@given(st.integers(0, 8 * len(LARGE) - 1))
def test_a_flipped_bit_of_a_large_snapshot_is_damage(bit: int) -> None:
    damaged = bytearray(LARGE)
    damaged[bit // 8] ^= 1 << bit % 8
    with pytest.raises(StateCorruptionError):
        from_bytes(bytes(damaged), EMBEDDER)


@given(st.integers(0, len(LARGE) - 1), st.binary(min_size=1, max_size=9))
def test_a_cut_or_lengthened_snapshot_is_damage(size: int, tail: bytes) -> None:
    for damaged in (LARGE[:size], LARGE + tail, LARGE[size + 1 :]):
        with pytest.raises(StateCorruptionError):
            from_bytes(damaged, EMBEDDER)


def opened() -> list[Any]:
    """The parts of a small snapshot: compressed or not, fields, state, vectors."""
    compressed, body, state, vectors = msgspec.msgpack.decode(unseal(b"m", FORMS[1]))
    return [compressed, msgspec.msgpack.decode(body), state, vectors]


def closed(parts: list[Any]) -> bytes:
    """Such parts in a sound envelope."""
    compressed, fields, state, vectors = parts
    return seal(b"m", msgspec.msgpack.encode([compressed, msgspec.msgpack.encode(fields), state, vectors]))


def test_the_forger_of_these_tests_can_write_a_sound_snapshot() -> None:
    assert from_bytes(closed(opened()), EMBEDDER).same(SMALL)


TURNS, CHUNKS, ROLES, TEXTS, MASSES, METAS = range(6)


@pytest.mark.parametrize(
    ("column", "row", "value"),
    [
        *(
            (TURNS, 0, 0),
            (TURNS, 0, 2),
            (TURNS, 1, 1),
            (TURNS, 0, 1.5),
            (CHUNKS, 0, -1),
            (ROLES, 0, 7),
            (TEXTS, 1, None),
        ),
        *((MASSES, 0, -0.1), (MASSES, 0, math.nan), (MASSES, 0, math.inf), (MASSES, 0, "1")),
        *((METAS, 0, {"a": None}), (METAS, 0, {"a": math.nan}), (METAS, 0, {"a": [1]}), (METAS, 0, {1: "a"})),
        (METAS, 0, {"a": 2**63}),
    ],
)
def test_a_forged_field_of_a_memory_is_refused(column: int, row: int, value: object) -> None:
    parts = opened()
    parts[1][2][column][row] = value
    with pytest.raises(StateCorruptionError):
        from_bytes(closed(parts), EMBEDDER)


@pytest.mark.parametrize("column", range(6))
def test_columns_of_unequal_length_are_refused(column: int) -> None:
    parts = opened()
    parts[1][2][column].pop()
    with pytest.raises(StateCorruptionError, match="fit"):
        from_bytes(closed(parts), EMBEDDER)


def test_forged_parts_are_refused() -> None:
    for place, value in ((2, FORMS[0]), (3, b"\0" * 15), (3, b""), (0, True), (1, [])):
        parts = opened()
        parts[place] = value
        with pytest.raises(StateCorruptionError):
            from_bytes(closed(parts), EMBEDDER)
    for place, value in ((1, 0), (1, 4), (1, 16), (3, [b"bytes"]), (3, "text"), (4, [{"a": 1}]), (4, [math.inf])):
        parts = opened()
        parts[1][place] = value
        with pytest.raises(StateCorruptionError):
            from_bytes(closed(parts), EMBEDDER)


@given(st.binary(max_size=60))
def test_a_sound_envelope_round_nonsense_is_damage(body: bytes) -> None:
    for forged in (seal(b"m", body), seal(b"s", body), seal(b"m", msgspec.msgpack.encode((False, body, b"", b"")))):
        with pytest.raises(StateCorruptionError):
            from_bytes(forged, EMBEDDER)


def test_deep_nesting_and_a_bomb_are_refused() -> None:
    parts = opened()
    deep = 1
    for _ in range(40):
        deep = [deep]  # type: ignore[assignment]
    parts[1][3] = [deep]
    with pytest.raises(StateCorruptionError, match="nested too deeply"):
        from_bytes(closed(parts), EMBEDDER)
    bomb = squeezed(bytes(260 * 2**20))
    with pytest.raises(StateCorruptionError, match="too large"):
        from_bytes(seal(b"m", msgspec.msgpack.encode((True, bomb, b"", b""))), EMBEDDER)
