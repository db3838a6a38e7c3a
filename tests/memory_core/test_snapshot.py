import json
import math
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory_core.codec import FORMAT_VERSION, MismatchError, StateCorruptionError
from memory_core.index import quantise
from memory_core.plain import frozen
from memory_core.snapshot import KeptMemory, MemoryExport, from_bytes, from_dict, redacted, to_bytes, to_dict
from memory_core.state import Kept, MemoryState
from tests.support.exports import EMBEDDER, SMALL, D, export_of
from tests.support.memories import folded, logs, unit

words = st.text(st.characters(codec="utf-8"), max_size=12)
finite = st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | finite | words
plain = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=6)
metas = st.dictionaries(words, words | st.booleans() | st.integers(-(2**63), 2**63 - 1) | finite, max_size=3)


@st.composite
def exports(draw: st.DrawFn) -> MemoryExport:
    state, _ = folded(draw(logs(D, max_size=8)), D)
    places = sorted(draw(st.sets(st.tuples(st.integers(1, 9), st.integers(0, 2)), max_size=5)))
    rows = quantise(unit(draw(st.integers(0, 99)), len(places), D)) if places else []
    masses = st.floats(0, 1e9)
    memories = tuple(
        KeptMemory(turn, chunk, draw(words), draw(words), row, draw(masses), draw(metas))
        for (turn, chunk), row in zip(places, rows, strict=True)
    )
    literals, entries = draw(st.lists(plain, max_size=3)), draw(st.lists(plain, max_size=3))
    return MemoryExport(EMBEDDER, D, state, memories, tuple(literals), tuple(entries), ("text",) * draw(st.booleans()))


@settings(deadline=None, max_examples=60)
@given(exports(), st.booleans())
def test_bytes_bring_an_export_back_as_it_was(export: MemoryExport, compressed: bool) -> None:
    back = from_bytes(to_bytes(export, compressed=compressed), EMBEDDER)
    assert back.same(export)
    assert [type(value) for memory in back.memories for _, value in sorted(memory.meta.items())] == [
        type(value) for memory in export.memories for _, value in sorted(memory.meta.items())
    ]


@settings(deadline=None, max_examples=60)
@given(exports())
def test_a_dict_brings_an_export_back_through_json(export: MemoryExport) -> None:
    assert from_dict(to_dict(export), EMBEDDER).same(export)
    assert from_dict(json.loads(json.dumps(to_dict(export), allow_nan=False)), EMBEDDER).same(export)


@settings(deadline=None, max_examples=30)
@given(exports(), st.booleans())
def test_equal_exports_have_equal_bytes(export: MemoryExport, compressed: bool) -> None:
    backwards = tuple(
        msgspec.structs.replace(memory, meta=dict(reversed(memory.meta.items())), vector=memory.vector.copy())
        for memory in export.memories
    )
    again = replace(export, memories=backwards, literals=list(export.literals))  # type: ignore[arg-type]
    assert again.same(export)
    assert to_bytes(again, compressed=compressed) == to_bytes(export, compressed=compressed)
    assert to_bytes(from_dict(to_dict(export), EMBEDDER)) == to_bytes(export)


def test_same_sees_every_difference() -> None:
    memory = SMALL.memories[0]
    changes: list[dict[str, Any]] = [
        *({"turn": 2}, {"chunk": 1}, {"role": "tool"}, {"text": "Miso"}, {"information": 0.1}, {"meta": {}}),
        {"vector": memory.vector + np.int8(1)},
    ]
    others = [replace(SMALL, memories=(msgspec.structs.replace(memory, **c), *SMALL.memories[1:])) for c in changes]
    others += [replace(SMALL, **{name: ()}) for name in ("memories", "literals", "entries")]
    others += [replace(SMALL, embedder="x"), replace(SMALL, dimension=9), replace(SMALL, redactions=("text",))]
    others += [replace(SMALL, state=MemoryState.empty(D))]
    assert not any(SMALL.same(other) for other in others)


def test_another_embedder_or_format_is_a_mismatch() -> None:
    newer = to_dict(SMALL) | {"version": FORMAT_VERSION + 1}
    with pytest.raises(MismatchError, match=f"format {FORMAT_VERSION + 1},"):
        from_dict(newer, EMBEDDER)
    for load, stored in ((from_bytes, to_bytes(SMALL)), (from_dict, to_dict(SMALL))):
        with pytest.raises(MismatchError, match=r"'minilm@1'.*'other@2'"):
            load(stored, "other@2")  # type: ignore[operator]


def edited(*path: str | int, value: object) -> dict[str, Any]:
    """The small snapshot's dict with one value replaced."""
    whole: dict[str, Any] = json.loads(json.dumps(to_dict(SMALL)))
    place: Any = whole
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return whole


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("format",), "other", "no format"),
        (("version",), "2", "no format"),
        (("dimension",), 9, "dimension"),
        (("memories", 1, "turn"), "2", r"memories\[1\]\.turn"),
        (("memories", 1, "turn"), 1, "order of the log"),
        (("memories", 0, "vector", "base64"), "AAA=", r"memories\[0\]\.vector"),
        (("memories", 0, "vector", "base64"), "no base64!", r"memories\[0\]\.vector"),
        (("memories", 0, "vector"), {"shape": [4], "base64": "AAAAAA=="}, "int8"),
        (("memories", 0, "vector"), {"shape": [-2, -4], "base64": "AAAAAAAAAAA="}, "shape"),
        (("memories", 0, "meta", "confidence"), None, "confidence|meta"),
        (("state", "inputs"), 99, "more inputs"),
        (("state", "similarities"), [7.0], "cosine"),
        (("literals", 0), {"a": 1}, "plain data"),
        (("embedder",), 7, "embedder"),
    ],
)
def test_a_wrong_edit_of_a_dict_is_named(path: tuple[str | int, ...], value: object, words: str) -> None:
    with pytest.raises(StateCorruptionError, match=words):
        from_dict(edited(*path, value=value), EMBEDDER)


def test_a_right_edit_of_a_dict_is_taken() -> None:
    assert from_dict(edited("memories", 0, "text", value="Miso"), EMBEDDER).memories[0].text == "Miso"


def test_an_export_that_breaks_an_invariant_is_not_written() -> None:
    memory = SMALL.memories[0]
    wrong = [
        msgspec.structs.replace(memory, turn=0),
        msgspec.structs.replace(memory, information=math.nan),
        msgspec.structs.replace(memory, meta={"a": math.inf}),
        msgspec.structs.replace(memory, vector=memory.vector.astype(np.float32)),
        msgspec.structs.replace(memory, vector=memory.vector[:-1]),
    ]
    exports = [replace(SMALL, memories=(broken,)) for broken in wrong]
    exports += [replace(SMALL, memories=(memory, memory)), replace(SMALL, state=MemoryState.empty(D + 1))]
    exports += [replace(SMALL, literals=(b"bytes",)), replace(SMALL, entries=({"a": 1},))]
    for export in exports:
        for write in (to_bytes, to_dict):
            with pytest.raises(ValueError, match=r"."):
                write(export)


SECRET = "sesame-opens"


@pytest.mark.parametrize("compressed", [True, False])
def test_redacting_text_leaves_no_text_behind(compressed: bool) -> None:
    export = export_of(SECRET, f"so {SECRET} it is")
    bare = redacted(export, text=True, literals=True)
    stored = to_bytes(bare, compressed=False)
    assert SECRET.encode() in to_bytes(export, compressed=False)
    assert SECRET.encode() not in stored
    assert SECRET not in json.dumps(to_dict(bare))
    back = from_bytes(to_bytes(bare, compressed=compressed), EMBEDDER)
    assert back.redactions == ("literals", "text")
    assert [memory.text for memory in back.memories] == ["", ""]
    assert [memory.meta for memory in back.memories] == [{"confidence": 0.5, "sure": True}] * 2
    assert back.literals == back.entries == ()
    assert back.state.same(export.state)
    assert np.array_equal(back.memories[1].vector, export.memories[1].vector)


def test_redacting_derived_numbers_leaves_text_and_places() -> None:
    bare = redacted(SMALL, derived=True)
    back = from_bytes(to_bytes(bare), EMBEDDER)
    assert back.redactions == ("derived",)
    assert [(memory.turn, memory.text, memory.information) for memory in back.memories] == [
        (1, "miso", 0.0),
        (2, "tofu", 0.0),
    ]
    assert not any(memory.vector.any() for memory in back.memories)
    assert back.state.same(MemoryState.empty(D, SMALL.state.capacities))
    assert SMALL.memories[0].vector.tobytes() not in to_bytes(bare, compressed=False)


def test_redactions_add_up_and_none_changes_nothing() -> None:
    assert redacted(SMALL).same(SMALL)
    stepwise = redacted(redacted(SMALL, text=True), literals=True, derived=True)
    assert stepwise.same(redacted(SMALL, text=True, literals=True, derived=True))
    assert redacted(SMALL, literals=True).entries == SMALL.entries


def test_plain_data_is_frozen_or_refused() -> None:
    assert frozen([1, [None, ("a", True)], 0.5]) == (1, (None, ("a", True)), 0.5)
    for wrong in ({"a": 1}, b"", {1}, math.nan, 2**63, object()):
        with pytest.raises(ValueError, match="no plain data"):
            frozen([wrong])


def test_a_full_memory_stays_within_its_bytes() -> None:
    nouns = "tent stove map boat kettle ladder violin garden harbour letter bridge lantern".split()
    texts = []
    for number in range(265):
        a, b, c, d = np.random.default_rng(number).permutation(nouns)[:4]
        texts.append(
            f"On day {number} we carried the {a} and the {b} past the {c}, because the {d} was not where Ana had left "
            f"it; it cost {number * 7 % 90 + 5} euros and a morning, or so she said when we came home."
        )
    export = export_of(*texts, dimension=384)
    kept = [Kept(turn, turn / 3) for turn in range(1, 266)]
    state = replace(export.state, short=tuple(kept[250:]), medium=tuple(kept[200:250]), long=tuple(kept[:200]))
    assert len(to_bytes(replace(export, state=state))) <= 600 * 265
