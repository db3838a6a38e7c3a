"""Which parts of recall earn their place: LoCoMo's development half through memory_core, one part changed at a time.

    python -m benchmarks.recall_ablation

Every turn becomes a memory ("[date] speaker: text"), every question of categories 1-4 a query. Asked is which share
of a question's evidence turns stands in what the budget admits, best first: `macro` is the mean over questions,
`micro` the share of all evidence turns. No model answers anything here, so nothing else can blur the numbers.
"""

import asyncio
import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from types import ModuleType

import numpy as np

from embedders import Embedder, open_embedder
from memory_core import lexical, recall
from memory_core.index import Floats, MemoryIndex, quantise
from memory_core.state import MemoryState
from proxy.tokens import MESSAGE_TOKENS, load_encoding

DATA = Path(__file__).parents[2] / "shared" / "data" / "locomo.json"
BUDGETS = (512, 1_024)
HEADING_TOKENS = 40
"""What the sentence that introduces recalled turns may take of the budget."""

HOPELESS_TOKENS = 20
"""With less than this left no further turn is tried."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question and the turns (from 0) that hold its evidence."""

    text: str
    evidence: frozenset[int]


@dataclass(frozen=True, slots=True)
class Dialogue:
    """`said` is "speaker: text", `dated` the same with the session's date before it."""

    said: list[str]
    dated: list[str]
    questions: list[Question]


@dataclass(frozen=True, slots=True)
class Vectors:
    """Unit rows of a dialogue's turns, each with the turn before it, with its date, and of its questions."""

    said: Floats
    with_previous: Floats
    dated: Floats
    questions: Floats


@dataclass(frozen=True, slots=True)
class Scores:
    """Evidence found: a share per question for each budget and in the best ten, and the counts behind micro."""

    shares: dict[int, list[float]]
    found: dict[int, int]
    wanted: int
    in_ten: list[float]

    def row(self, name: str) -> str:
        macro = " | ".join(f"{fmean(self.shares[budget]):.4f}" for budget in BUDGETS)
        micro = " | ".join(f"{self.found[budget] / self.wanted:.4f}" for budget in BUDGETS)
        return f"| {name} | {macro} | {micro} | {fmean(self.in_ten):.4f} |"


def read_dialogues(path: Path) -> list[Dialogue]:
    """LoCoMo's dialogues with the questions of categories 1-4 whose evidence names a turn."""
    dialogues = []
    for sample in json.loads(path.read_text("utf-8")):
        sessions, turns = sample["conversation"], []
        for number in range(1, 1 + sum(re.fullmatch(r"session_\d+", key) is not None for key in sessions)):
            date = sessions[f"session_{number}_date_time"]
            turns += [
                (turn["dia_id"], date, f"{turn['speaker']}: {turn['text']}") for turn in sessions[f"session_{number}"]
            ]
        place = {name: number for number, (name, _, _) in enumerate(turns)}
        questions = []
        for qa in sample["qa"]:
            named = re.findall(r"D\d+:\d+", " ".join(qa["evidence"]))
            evidence = frozenset(place[name] for name in named if name in place)
            if qa["category"] != 5 and evidence:
                questions.append(Question(qa["question"], evidence))
        dialogues.append(Dialogue([s for _, _, s in turns], [f"[{date}] {s}" for _, date, s in turns], questions))
    return dialogues


async def embed_dialogues(dialogues: Sequence[Dialogue]) -> list[Vectors]:
    """All vectors that any row of the table needs, with a progress line on stderr."""
    embedder = await open_embedder(
        "builtin",
        threads=2,
        batch_tokens_max=8_192,
        queue_tokens_max=262_144,
        cache_bytes_max=64 * 2**20,
        timeout_s=60.0,
    )
    texts = [
        [
            dialogue.said,
            ["\n".join(dialogue.said[max(0, i - 1) : i + 1]) for i in range(len(dialogue.said))],
            dialogue.dated,
            [question.text for question in dialogue.questions],
        ]
        for dialogue in dialogues
    ]
    progress = _Progress(sum(len(part) for dialogue in texts for part in dialogue))
    try:
        return [Vectors(*[await _embed(embedder, part, progress) for part in dialogue]) for dialogue in texts]
    finally:
        await embedder.aclose()
        print(file=sys.stderr)


class _Progress:
    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._started = time.monotonic()

    def add(self, count: int) -> None:
        self._done += count
        seconds = time.monotonic() - self._started
        print(f"\rembedding {self._done:,} of {self._total:,} texts, {seconds:.0f} s", end="", file=sys.stderr)


async def _embed(embedder: Embedder, texts: Sequence[str], progress: _Progress) -> Floats:
    rows = []
    for start in range(0, len(texts), 32):
        part = texts[start : start + 32]
        rows.append(await embedder.embed(part))
        progress.add(len(part))
    return np.concatenate(rows)


@contextmanager
def changed(module: ModuleType, **values: object) -> Iterator[None]:
    """The module with other constants or parts for a while: an ablation may do that, and nothing else."""
    before = {name: getattr(module, name) for name in values}
    try:
        for name, value in values.items():
            setattr(module, name, value)
        lexical._split_short.cache_clear()
        yield
    finally:
        for name, value in before.items():
            setattr(module, name, value)
        lexical._split_short.cache_clear()


class Table:
    """The dialogues, embedded once, and a row of figures for each way to rank them."""

    def __init__(self, dialogues: Sequence[Dialogue], vectors: Sequence[Vectors]) -> None:
        self._dialogues = dialogues
        self._vectors = vectors
        encoding = load_encoding("o200k_base")
        self._costs = [
            [MESSAGE_TOKENS + len(encoding.encode_ordinary(text)) for text in dialogue.dated] for dialogue in dialogues
        ]

    def row(self, name: str, *, dated_vectors: bool = False, embedded_pairs: bool = False) -> None:
        """Rank every question with memory_core as it stands, and print what was found."""
        scores = Scores({b: [] for b in BUDGETS}, dict.fromkeys(BUDGETS, 0), sum(self._evidence()), [])
        for dialogue, vectors, costs in zip(self._dialogues, self._vectors, self._costs, strict=True):
            index = _indexed(vectors.dated if dated_vectors else vectors.said, dialogue.dated)
            parts = {"_dense": _dense_of(vectors.with_previous)} if embedded_pairs else {}
            with changed(recall, **parts):
                self._ask(index, dialogue, vectors.questions, costs, scores)
        print(scores.row(name), flush=True)

    def _evidence(self) -> Iterator[int]:
        return (len(question.evidence) for dialogue in self._dialogues for question in dialogue.questions)

    @staticmethod
    def _ask(index: MemoryIndex, dialogue: Dialogue, queries: Floats, costs: Sequence[int], scores: Scores) -> None:
        count, state = index.turns, MemoryState.empty(index.dimension)
        for question, vector in zip(dialogue.questions, queries, strict=True):
            ranked = recall.rank(index, state, question.text, vector, turns=count, limit=count)
            order = [memory.turn - 1 for memory in ranked]
            scores.in_ten.append(len(question.evidence & set(order[:10])) / len(question.evidence))
            for budget in BUDGETS:
                found = len(question.evidence & _admitted(order, costs, budget - HEADING_TOKENS))
                scores.shares[budget].append(found / len(question.evidence))
                scores.found[budget] += found


def _admitted(order: Sequence[int], costs: Sequence[int], left: int) -> set[int]:
    """The turns that fit, best first; one that is too long is passed over for shorter ones behind it."""
    admitted = set()
    for turn in order:
        if costs[turn] <= left:
            admitted.add(turn)
            left -= costs[turn]
        elif left < HOPELESS_TOKENS:
            break
    return admitted


def _indexed(rows: Floats, texts: Sequence[str]) -> MemoryIndex:
    index = MemoryIndex(rows.shape[1])
    for row, text in zip(quantise(rows), texts, strict=True):
        index.append(row[None], (text,))
    return index


DenseOf = Callable[[MemoryIndex, int, Floats], recall.Scores]


def _dense_of(with_previous: Floats) -> DenseOf:
    def dense(index: MemoryIndex, count: int, vector: Floats) -> recall.Scores:
        alone, paired = index.vectors(count) @ vector, with_previous[:count] @ vector
        return recall._scaled(alone.astype(np.float64)) + recall._scaled(paired.astype(np.float64))

    return dense


def _cosine_alone(index: MemoryIndex, count: int, vector: Floats) -> recall.Scores:
    return (index.vectors(count) @ vector).astype(np.float64)


def _no_neighbours(rows: recall.Scores) -> recall.Scores:
    return rows


def print_table(table: Table) -> None:
    """The pipeline, then one change a row."""
    print(f"| ranking | macro {BUDGETS[0]} | macro {BUDGETS[1]} | micro {BUDGETS[0]} | micro {BUDGETS[1]} | R@10 |")
    print("|---|---|---|---|---|---|")
    table.row("**the pipeline**")
    with changed(recall, LEXICAL_SHARE=0.0, NEIGHBOUR_SHARE=0.0, _dense=_cosine_alone):
        table.row("cosine of the turn alone")
    with changed(recall, LEXICAL_SHARE=0.0, NEIGHBOUR_SHARE=0.0):
        table.row("dense half only (turn, previous + turn)")
    with changed(recall, LEXICAL_SHARE=1.0, NEIGHBOUR_SHARE=0.0, _with_neighbours=_no_neighbours):
        table.row("BM25 of the turn alone")
    with changed(recall, LEXICAL_SHARE=1.0, NEIGHBOUR_SHARE=0.0):
        table.row("lexical half only (turn, turn ± 1)")
    with changed(recall, NEIGHBOUR_SHARE=0.0):
        table.row("without neighbour smoothing")
    with changed(recall, _with_neighbours=_no_neighbours):
        table.row("without BM25 over turn ± 1")
    with changed(lexical, STOP_WORDS=frozenset()):
        table.row("without stop words")
    with changed(lexical, _SUFFIXES=()):
        table.row("without stemming")
    with changed(lexical, STOP_WORDS=frozenset(), _SUFFIXES=()):
        table.row("without both")
    for k1, b in ((0.9, 0.4), (1.5, 0.75)):
        with changed(recall, BM25_K1=k1, BM25_B=b):
            table.row(f"BM25 k1 {k1}, b {b}")
    for share in (0.4, 0.6):
        with changed(recall, LEXICAL_SHARE=share):
            table.row(f"lexical share {share}")
    for share in (0.5, 0.7):
        with changed(recall, NEIGHBOUR_SHARE=share):
            table.row(f"neighbour share {share}")
    table.row("previous + turn really embedded", embedded_pairs=True)
    table.row("date in the text of the vector", dated_vectors=True)


def main() -> int:
    if not DATA.exists():
        print(f"{DATA} is missing: this benchmark reads LoCoMo's development half from there")
        return 1
    dialogues = read_dialogues(DATA)
    turns, questions = (sum(map(len, part)) for part in zip(*((d.said, d.questions) for d in dialogues), strict=True))
    print(f"LoCoMo, {len(dialogues)} dialogues, {turns:,} turns, {questions} questions of categories 1-4\n")
    print_table(Table(dialogues, asyncio.run(embed_dialogues(dialogues))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
