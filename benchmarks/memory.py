"""What memory costs a turn: folding one in, and recall for it, after 1,000 turns and after 10,000.

    python -m benchmarks.memory

"Fold" is `Fold.update`, all that a turn costs but its embedding: its terms, its place in the index, its standing among
the kept turns, the state. "update" is the pure function in it, state to state. "Recall" is `rank` for a question of
some twelve words. Texts are 5 to 45 Zipf-distributed words, vectors lie around 200 topics, so tiers fill, cluster and
are accessed. On one thread, in a process of its own, since numpy's threads cannot be taken back.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median

import numpy as np

from memory_core.codec import encode_state
from memory_core.fold import Fold
from memory_core.index import Floats, quantise, unit_rows
from memory_core.recall import rank
from memory_core.state import MemoryState
from memory_core.update import Nearest, update

DIMENSION = 384
TURNS = (1_000, 10_000)
TOPICS, WORDS, QUERY_WORDS, VOCABULARY = 200, 25, 12, 20_000
TIMED_TURNS = 300
QUERIES = 40
RECALLED = 40

NOISE = (0.4, 1.2)
"""Length of what is a turn's own beside its topic: two of a topic have cosines of .4 to .9."""

UPDATE_MS_BAR = 0.25
RECALL_MS_BAR = 8.0
"""After 10,000 turns."""

ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass(frozen=True, slots=True)
class Turn:
    """A unit vector, float32 [d], and the text that goes with it."""

    vector: Floats
    text: str


@dataclass(frozen=True, slots=True)
class Cost:
    """Milliseconds after so many turns, and what is held then."""

    turns: int
    fold: float
    update: float
    recall: float
    state_bytes: int
    index_mb: float

    def row(self) -> str:
        """Of the Markdown table."""
        times = f"{self.fold:.3f} | {self.update:.3f} | {self.recall:.2f}"
        return f"| {self.turns:,} | {times} | {self.state_bytes:,} | {self.index_mb:.1f} |"


def conversation(turns: int, words: int = WORDS, seed: int = 0) -> Iterator[Turn]:
    """So many turns, of `words` on average: the same on every run."""
    random = np.random.default_rng(seed)
    topics = _unit(np.random.default_rng(1).standard_normal((TOPICS, DIMENSION)).astype(np.float32))
    for _ in range(turns):
        noise = random.standard_normal(DIMENSION).astype(np.float32) / np.float32(DIMENSION**0.5)
        vector = topics[random.integers(TOPICS)] + np.float32(random.uniform(*NOISE)) * noise
        length = random.integers(words // 5, 2 * words - words // 5, endpoint=True)
        yield Turn(_unit(vector[None])[0], " ".join(map(_word, random.zipf(1.3, length))))


def _word(number: int) -> str:
    """Five letters, as many words as VOCABULARY."""
    letters = (number % VOCABULARY // 20**place % 20 for place in range(4))
    return "w" + "".join(chr(ord("a") + letter) for letter in letters)


def _unit(rows: Floats) -> Floats:
    return unit_rows(quantise(rows))


def milliseconds(work: Callable[[], object]) -> float:
    """How long it took, in processor time: on one thread that is what it takes where nothing else runs."""
    started = time.thread_time()
    work()
    return 1e3 * (time.thread_time() - started)


def steady(times: Sequence[float]) -> float:
    """The median of the quietest of five stretches: other work on the machine comes and goes."""
    length = max(1, len(times) // 5)
    return min(median(times[start : start + length]) for start in range(0, len(times) - length + 1, length))


def measure(sizes: Sequence[int] = TURNS, timed: int = TIMED_TURNS, queries: int = QUERIES) -> list[Cost]:
    """One row a size; the last `timed` turns before it are measured."""
    fold, costs = Fold(DIMENSION), []
    folding: list[float] = []
    for number, turn in enumerate(conversation(max(sizes)), start=1):
        meta = {"role": ("assistant", "user")[number % 2]}
        folding.append(milliseconds(partial(fold.update, turn.vector, turn.text, meta)))
        if number in sizes:
            state = fold.state_at(number)
            costs.append(
                Cost(
                    number,
                    steady(folding[-timed:]),
                    steady(list(_updating(state, timed))),
                    steady(list(_recalling(fold, state, queries))),
                    len(encode_state(state, "made")),
                    fold.index.nbytes / 1e6,
                )
            )
    return costs


def _updating(state: MemoryState, times: int) -> Iterator[float]:
    """The pure function, from the same state, every second time with an input that comes back to a kept turn."""
    kept = state.kept
    for number, turn in enumerate(conversation(times, seed=2)):
        back = Nearest(kept[number % len(kept)].turn, 0.7) if number % 2 else Nearest()
        yield milliseconds(partial(update, state, turn.vector, 80.0, is_input=True, terms=WORDS, nearest=back))


def _recalling(fold: Fold, state: MemoryState, queries: int) -> Iterator[float]:
    for asked in conversation(queries, QUERY_WORDS, seed=3):
        yield milliseconds(partial(rank, fold.index, state, asked.text, asked.vector, turns=fold.turns, limit=RECALLED))


def render(costs: Sequence[Cost]) -> str:
    """The table, in Markdown."""
    heads = "| turns | fold ms | update ms | recall ms | state, bytes | index, MB |\n|---|---|---|---|---|---|"
    bars = f"| bar | | {UPDATE_MS_BAR} | {RECALL_MS_BAR} | | |"
    return "\n".join([heads, *(cost.row() for cost in costs), bars])


def held(cost: Cost) -> bool:
    """Whether no bar is missed."""
    return cost.update <= UPDATE_MS_BAR and cost.recall <= RECALL_MS_BAR


def main() -> bool:
    """Print the table; False if a bar is missed."""
    command = [sys.executable, "-m", "benchmarks.memory", "here"]
    return subprocess.run(command, env=os.environ | ONE_THREAD, check=False).returncode == 0


if __name__ == "__main__":
    if sys.argv[1:] != ["here"]:
        sys.exit(0 if main() else 1)
    measured = measure()
    print(f"On one thread, {DIMENSION} dimensions, {WORDS} words a turn on average\n\n{render(measured)}\n")
    sys.exit(0 if held(measured[-1]) else 1)
