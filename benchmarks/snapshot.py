"""What a snapshot of a full memory weighs and how long it takes: 265 memories (15 + 50 + 200), 384 dimensions.

The texts are turns of LoCoMo where the data is beside this checkout, else sentences made here. The vectors are int8
noise, as incompressible as real ones.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from statistics import fmean
from typing import Any

import numpy as np

from benchmarks.locomo import read_locomo
from benchmarks.serving import DATA
from memory_core.index import quantise
from memory_core.snapshot import KeptMemory, MemoryExport, from_bytes, to_bytes
from memory_core.state import HISTORY_TURNS, Kept, MemoryState

MEMORIES = 265
DIMENSION = 384
EMBEDDER = "all-MiniLM-L6-v2-int8@8199be6f"
BYTES_BAR = 600
MS_BAR = 2.0
ROUNDS = 1_000


def texts() -> tuple[str, list[str]]:
    """What the texts are, and so many of them as there are memories."""
    source = DATA / "locomo.json"
    if not source.exists():
        return "sentences made here", [_sentence(number) for number in range(MEMORIES)]
    found = (turn.dated for dialogue in read_locomo(source) for turn in dialogue.turns)
    return "turns of LoCoMo with date and speaker", list(islice(found, MEMORIES))


def _sentence(number: int) -> str:
    """A sentence of some 170 characters, no two alike."""
    nouns = "tent stove map boat kettle ladder violin garden harbour letter bridge lantern".split()
    drawn = np.random.default_rng(number).permutation(nouns)
    return (
        f"On day {number} we carried the {drawn[0]} and the {drawn[1]} past the {drawn[2]}, because the {drawn[3]} "
        f"was not where Ana had left it; it cost {number * 7 % 90 + 5} euros and a {drawn[4]}, or so she said."
    )


def export_of(said: list[str]) -> MemoryExport:
    """An export whose memories say these texts."""
    random = np.random.default_rng(0)
    vectors = quantise(random.standard_normal((len(said), DIMENSION)).astype(np.float32))
    masses = random.uniform(0, 60, len(said))
    memories = (
        KeptMemory(turn, 0, ("user", "assistant")[turn % 2], text, vectors[turn - 1], float(masses[turn - 1]), meta)
        for turn, text in enumerate(said, start=1)
        for meta in [{"source": ("client", "upstream")[turn % 2], "confidence": round(turn / 300, 2)}]
    )
    return MemoryExport(EMBEDDER, DIMENSION, _state([float(mass) for mass in masses]), tuple(memories))


def _state(masses: list[float]) -> MemoryState:
    """A state whose tiers keep every turn, with a full history."""
    random = np.random.default_rng(1)
    vector = random.standard_normal(DIMENSION).astype(np.float32)
    kept = [Kept(turn, mass) for turn, mass in enumerate(masses, start=1)]
    return replace(
        MemoryState.empty(DIMENSION),
        turns=len(kept),
        inputs=len(kept),
        vector=vector / np.linalg.norm(vector),
        similarities=tuple(random.uniform(0.3, 0.8, HISTORY_TURNS).tolist()),
        short=tuple(kept[-15:]),
        medium=tuple(kept[-65:-15]),
        long=tuple(kept[:-65]),
    )


def milliseconds(work: Callable[[], Any]) -> float:
    """The best of many runs: what the work takes where nothing else runs."""
    took = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        work()
        took.append((time.perf_counter() - started) * 1e3)
    return min(took)


def main() -> bool:
    """Measure and print; False if a bar is missed."""
    what, said = texts()
    export = export_of(said)
    mean = fmean(map(len, said))
    print(f"Snapshot of {len(said)} memories, {DIMENSION} dimensions; {what}, {mean:.0f} characters on average\n")
    print("| form | bytes a memory | bar | encode ms | decode ms | together ms | bar |\n" + "|---" * 7 + "|")
    held = True
    for name, compressed in (("compressed", True), ("fast", False)):
        payload = to_bytes(export, compressed=compressed)
        weight = len(payload) / len(said)
        encode = milliseconds(lambda compressed=compressed: to_bytes(export, compressed=compressed))
        decode = milliseconds(lambda payload=payload: from_bytes(payload, EMBEDDER))
        bar = f"{BYTES_BAR}" if compressed else "-"
        print(f"| {name} | {weight:.0f} | {bar} | {encode:.2f} | {decode:.2f} | {encode + decode:.2f} | {MS_BAR} |")
        held &= encode + decode <= MS_BAR and (weight <= BYTES_BAR or not compressed)
    print()
    return held


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
