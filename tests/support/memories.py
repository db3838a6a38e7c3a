"""Small made-up conversations for the tests of memory_core: few words, so that terms collide; random vectors."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from memory_core.index import Bytes8, Floats, MemoryIndex, quantise
from memory_core.state import Capacities, MemoryState
from memory_core.update import Report, update

VOCABULARY = "cat cats dog dogs running ran blue green the who where 1999 Straße кошка 東京 猫 สวัสดี".split()
VOCABULARY += "Ann: Bob: Ann yesterday my what? you told".split()


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a made-up log: its chunks' texts and int8 vectors, and whether the user said it."""

    texts: tuple[str, ...]
    vectors: Bytes8
    is_input: bool = True


def unit(seed: int, count: int, dimension: int) -> Floats:
    """float32 [count, dimension] random unit rows, the same for the same seed."""
    rows = np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def texts() -> st.SearchStrategy[str]:
    """Zero to eight words of VOCABULARY."""
    return st.lists(st.sampled_from(VOCABULARY), max_size=8).map(" ".join)


@st.composite
def turns(draw: st.DrawFn, dimension: int) -> Turn:
    """One turn of one to three chunks."""
    chunks = tuple(draw(st.lists(texts(), min_size=1, max_size=3)))
    rows = unit(draw(st.integers(0, 2**16)), len(chunks), dimension)
    return Turn(chunks, quantise(rows), draw(st.booleans()))


def logs(dimension: int, min_size: int = 1, max_size: int = 12) -> st.SearchStrategy[list[Turn]]:
    """A short log."""
    return st.lists(turns(dimension), min_size=min_size, max_size=max_size)


def indexed(log: Sequence[Turn], dimension: int) -> MemoryIndex:
    """The index of a log, built turn by turn."""
    index = MemoryIndex(dimension)
    for turn in log:
        index.append(turn.vectors, turn.texts, is_input=turn.is_input)
    return index


def folded(
    log: Sequence[Turn], dimension: int, *, start: MemoryState | None = None, capacities: Capacities | None = None
) -> tuple[MemoryState, list[Report]]:
    """The state after a log and the report of each turn; from `start`, if given, which has seen its first turns."""
    index = indexed(log, dimension)
    state = MemoryState.empty(dimension, capacities) if start is None else start
    reports = []
    for number in range(state.turns + 1, len(log) + 1):
        state, report = update(
            state, index.turn_vector(number), index.information(number), is_input=log[number - 1].is_input
        )
        reports.append(report)
    return state, reports
