import hashlib
import time
import zlib

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory_core.chunking import chunks
from memory_core.codec import (
    FORMAT_VERSION,
    MismatchError,
    Record,
    StateCorruptionError,
    decode_record,
    decode_state,
    encode_record,
    encode_state,
)
from memory_core.index import quantise
from memory_core.state import MemoryState
from tests.support.memories import Turn, folded, logs, unit

D = 8


def record_of(text: str, vectors: np.ndarray, embedder: str = "minilm@1", ends: tuple[int, ...] = ()) -> Record:
    message = msgspec.json.encode({"role": "user", "content": text})
    return Record("user", text, message, embedder, vectors.shape[1], vectors.tobytes(), 1.7e9, {"model": "m"}, ends)


@st.composite
def records(draw: st.DrawFn) -> Record:
    text = draw(st.text())
    cuts = draw(st.sets(st.integers(1, len(text) - 1), max_size=3)) if len(text) > 1 else set()
    ends = (*sorted(cuts), len(text))
    vectors = quantise(unit(draw(st.integers(0, 99)), len(ends), draw(st.integers(1, 16))))
    return Record(
        draw(st.text(max_size=9)),
        text,
        draw(st.binary()),
        draw(st.text(max_size=9)),
        vectors.shape[1],
        vectors.tobytes(),
        draw(st.floats(allow_nan=False)),
        draw(st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3)),
        draw(st.sampled_from([ends, ()])),
    )


def enveloped(squeezed: bytes, kind: bytes = b"r", version: int = FORMAT_VERSION) -> bytes:
    """What anyone can write who has read the format: sound magic, sound checksum."""
    head = b"iso" + kind + bytes([version])
    return head + hashlib.sha256(head + squeezed).digest()[:8] + squeezed


def sealed(body: bytes, kind: bytes = b"r") -> bytes:
    return enveloped(zlib.compress(body, 1), kind)


RECORD = encode_record(record_of("I keep two cats, Miso and Tofu.", quantise(unit(0, 2, D))))
STATE = encode_state(folded([Turn(("a dog",), quantise(unit(n, 1, D))) for n in range(6)], D)[0], "minilm@1")
both = pytest.mark.parametrize(("decode", "payload"), [(decode_record, RECORD), (decode_state, STATE)])


@given(records())
def test_a_record_comes_back_as_it_was(record: Record) -> None:
    back = decode_record(encode_record(record), record.embedder)
    assert back == record
    assert back.rows().tobytes() == record.vectors
    assert back.rows().shape[1] == record.dimension
    assert "".join(back.pieces()) == record.text


def test_a_record_keeps_its_chunks_whatever_the_chunker_does_later() -> None:
    record = record_of("one two three", quantise(unit(0, 3, D)), ends=(2, 8, 13))
    assert decode_record(encode_record(record), "minilm@1").pieces() == ("on", "e two ", "three")
    old = msgspec.structs.replace(record, text="word. " * 900, ends=())
    assert decode_record(encode_record(old), "minilm@1").pieces() == chunks(old.text)
    assert record_of("", quantise(unit(0, 1, D)), ends=(0,)).pieces() == ("",)


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        *[("abcd", ends) for ends in ((1, 2), (2, 2, 4), (3, 2, 4), (0, 4), (-1, 4), (4,), (1, 2, 4), (2, 5))],
        ("", (0, 0)),
    ],
)
def test_chunks_that_do_not_fit_text_or_vectors_are_refused(text: str, ends: tuple[int, ...]) -> None:
    record = record_of(text, quantise(unit(0, 2, D)), ends=ends)
    with pytest.raises(StateCorruptionError, match="chunks do not fit"):
        decode_record(encode_record(record), "minilm@1")


@settings(deadline=None, max_examples=60)
@given(logs(D, max_size=20), st.text(max_size=9))
def test_a_state_comes_back_in_every_bit(log: list[Turn], embedder: str) -> None:
    state, _ = folded(log, D)
    payload = encode_state(state, embedder)
    assert decode_state(payload, embedder).same(state)
    assert encode_state(decode_state(payload, embedder), embedder) == payload


def test_a_decoded_state_has_float32_vectors_and_an_empty_state_survives() -> None:
    assert decode_state(STATE, "minilm@1").vector.dtype == np.float32
    assert decode_state(encode_state(MemoryState.empty(D), "e"), "e").same(MemoryState.empty(D))


@both
def test_any_flipped_bit_is_damage_and_never_a_mismatch(decode, payload: bytes) -> None:  # type: ignore[no-untyped-def]
    for bit in range(8 * len(payload)):
        damaged = bytearray(payload)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(StateCorruptionError):
            decode(bytes(damaged), "minilm@1")


@both
@given(data=st.data())
def test_any_cut_or_lengthened_payload_is_noticed(decode, payload: bytes, data: st.DataObject) -> None:  # type: ignore[no-untyped-def]
    for damaged in (
        payload[: data.draw(st.integers(0, len(payload) - 1))],
        payload + data.draw(st.binary(min_size=1)),
        payload[data.draw(st.integers(1, len(payload))) :],
    ):
        with pytest.raises(StateCorruptionError):
            decode(damaged, "minilm@1")


@both
@given(body=st.binary(max_size=60))
def test_a_sound_envelope_round_nonsense_is_a_codec_error(decode, payload: bytes, body: bytes) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(StateCorruptionError):
        decode(sealed(body, payload[3:4]), "minilm@1")


def test_text_that_is_not_utf8_and_nesting_without_end_are_codec_errors() -> None:
    sound = msgspec.msgpack.encode(record_of("x", quantise(unit(0, 1, D))))
    for forged in (b"\x99" + b"\xa1\xff" * 9, b"\x9a" + sound[1:] + b"\x91" * 200_000, sound + b"\xc0"):
        with pytest.raises(StateCorruptionError, match="wrong fields"):
            decode_record(sealed(forged), "minilm@1")


def test_bytes_after_the_compressed_ones_are_refused() -> None:
    sound = zlib.compress(msgspec.msgpack.encode(record_of("x", quantise(unit(0, 1, D)))), 1)
    assert decode_record(enveloped(sound), "minilm@1").text == "x"
    with pytest.raises(StateCorruptionError, match="lengthened"):
        decode_record(enveloped(sound + b"x"), "minilm@1")


def test_a_record_is_no_state_and_a_state_no_record() -> None:
    with pytest.raises(StateCorruptionError):
        decode_state(RECORD, "minilm@1")
    with pytest.raises(StateCorruptionError):
        decode_record(STATE, "minilm@1")


@both
def test_another_embedders_vectors_are_refused_by_name(decode, payload: bytes) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(MismatchError, match=r"'minilm@1'.*'other@2'"):
        decode(payload, "other@2")


@both
@pytest.mark.parametrize("version", [0, FORMAT_VERSION + 1, 255])
def test_another_format_is_refused_as_a_mismatch_not_as_damage(decode, payload: bytes, version: int) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(MismatchError, match=f"format {version},"):
        decode(enveloped(payload[13:], payload[3:4], version), "minilm@1")
    assert not issubclass(MismatchError, StateCorruptionError)


def test_vectors_that_do_not_fit_the_dimension_are_refused() -> None:
    for dimension, vectors in ((0, b""), (-1, b""), (3, b"\0" * 7)):
        forged = msgspec.msgpack.encode(Record("user", "", b"", "e", dimension, vectors, 0.0, {}))
        with pytest.raises(StateCorruptionError, match="do not fit"):
            decode_record(sealed(forged), "e")


def test_a_stored_state_that_breaks_an_invariant_is_refused() -> None:
    row = (5, 1.0, 1.0, 0, 0, 0)
    forged = msgspec.msgpack.encode(["e", 9, 9, b"\0" * 4 * D, [], ([row], [row], []), (15, 50, 200)])
    with pytest.raises(StateCorruptionError, match="kept twice"):
        decode_state(sealed(forged, b"s"), "e")
    cut = msgspec.msgpack.encode(["e", 0, 0, b"\0" * 7, [], ([], [], []), (15, 50, 200)])
    with pytest.raises(StateCorruptionError, match="cut"):
        decode_state(sealed(cut, b"s"), "e")


def test_a_decompression_bomb_is_refused_quickly() -> None:
    squeezer = zlib.compressobj(1)
    block = bytes(2**20)
    squeezed = b"".join(squeezer.compress(block) for _ in range(300)) + squeezer.flush()
    bomb = enveloped(squeezed)
    assert len(bomb) < 2 * 2**20
    start = time.perf_counter()
    with pytest.raises(StateCorruptionError, match="too large"):
        decode_record(bomb, "e")
    assert time.perf_counter() - start < 3


def test_a_chat_turn_of_two_hundred_characters_takes_at_most_a_kilobyte() -> None:
    text = (
        "Last Saturday I took Miso to the vet on Kensington Road, because she had stopped eating; they found a sore "
        "tooth, gave her antibiotics for ten days and asked us back on the 14th. It came to £86.50."
    )
    assert 195 <= len(text) <= 210
    payload = encode_record(record_of(text, quantise(unit(0, 1, 384)), "all-MiniLM-L6-v2-int8@8199be6f"))
    assert len(payload) <= 1_000


def test_a_large_turn_round_trips() -> None:
    record = record_of("lorem ipsum " * 20_000, quantise(unit(0, 240, 384)))
    assert decode_record(encode_record(record), "minilm@1") == record
