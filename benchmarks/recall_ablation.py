"""Which parts of recall earn their place: LoCoMo's development half through memory_core, one part changed at a time.

    python -m benchmarks.recall_ablation

Every turn becomes a memory ("[date] speaker: text [photo: caption]"), every question of categories 1-4 a query. Asked
is which share of a question's evidence turns stands in what the budget admits, best first: `macro` is the mean over
questions, `micro` the share of all evidence turns. No model answers anything here, so nothing else can blur the
numbers.
"""

import asyncio
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, fields, replace
from statistics import fmean
from types import ModuleType

from benchmarks.embedding import embed_all
from benchmarks.locomo import Dialogue, Question, read_locomo
from benchmarks.serving import DATA
from memory_core import ellipsis, lexical, recall
from memory_core.index import Floats, MemoryIndex, quantise
from memory_core.recall import Weights
from memory_core.state import MemoryState
from proxy.tokens import MESSAGE_TOKENS, load_encoding

BUDGETS = (512, 1_024)
HEADING_TOKENS = 40
"""What the sentence that introduces recalled turns may take of the budget."""

HOPELESS_TOKENS = 20
"""With less than this left no further turn is tried."""

PARTS = [part.name for part in fields(Weights)]


@dataclass(frozen=True, slots=True)
class Vectors:
    """Unit rows of a dialogue's turns as they are embedded, the same with their date, and of its questions."""

    said: Floats
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


async def embed_dialogues(dialogues: Sequence[Dialogue]) -> list[Vectors]:
    """All vectors that any row of the table needs, with a progress line on stderr."""
    kinds = (said, dated, asked)
    rows = await embed_all([texts(dialogue) for dialogue in dialogues for texts in kinds])
    return [Vectors(*rows[start : start + len(kinds)]) for start in range(0, len(rows), len(kinds))]


def said(dialogue: Dialogue) -> list[str]:
    """ "speaker: text" of each turn: what its vector is of, since recall leaves the date out."""
    return [turn.said for turn in dialogue.turns]


def dated(dialogue: Dialogue) -> list[str]:
    """ "[date] speaker: text" of each turn: what a prompt would hold, and whose words are searched."""
    return [turn.dated for turn in dialogue.turns]


def asked(dialogue: Dialogue) -> list[str]:
    """The questions."""
    return [question.text for question in dialogue.questions]


def _forget() -> None:
    """What was read with other constants."""
    for read in (lexical._split_short, lexical.query_words, lexical.query_terms, ellipsis._lendable, ellipsis.names):
        read.cache_clear()


@contextmanager
def changed(module: ModuleType, **values: object) -> Iterator[None]:
    """The module with other constants or parts for a while: an ablation may do that, and nothing else."""
    before = {name: getattr(module, name) for name in values}
    try:
        for name, value in values.items():
            setattr(module, name, value)
        _forget()
        yield
    finally:
        for name, value in before.items():
            setattr(module, name, value)
        _forget()


class Table:
    """The dialogues, embedded once, and a row of figures for each way to rank them."""

    def __init__(self, dialogues: Sequence[Dialogue], vectors: Sequence[Vectors]) -> None:
        self._dialogues = dialogues
        self._vectors = vectors
        self._costs = [costs_of(dialogue) for dialogue in dialogues]

    def row(self, name: str, *, dated_vectors: bool = False) -> None:
        """Rank every question with memory_core as it stands, and print what was found."""
        wanted = sum(len(question.evidence) for dialogue in self._dialogues for question in dialogue.questions)
        scores = Scores({b: [] for b in BUDGETS}, dict.fromkeys(BUDGETS, 0), wanted, [])
        for dialogue, vectors, costs in zip(self._dialogues, self._vectors, self._costs, strict=True):
            rows = vectors.dated if dated_vectors else vectors.said
            for question, order in ranked(dialogue, rows, vectors.questions):
                _score(question, order, costs, scores)
        print(scores.row(name), flush=True)


def costs_of(dialogue: Dialogue) -> list[int]:
    """What each turn takes of a budget, in tokens."""
    encoding = load_encoding("o200k_base")
    return [MESSAGE_TOKENS + len(encoding.encode_ordinary(text)) for text in dated(dialogue)]


def ranked(dialogue: Dialogue, rows: Floats, queries: Floats) -> Iterator[tuple[Question, list[int]]]:
    """Each question with all turns (from 0), best first, as recall ranks them; `rows` are the turns' vectors."""
    index = _indexed(rows, dialogue)
    count, state = index.turns, MemoryState.empty(index.dimension)
    for question, vector in zip(dialogue.questions, queries, strict=True):
        best = recall.rank(index, state, question.text, vector, turns=count, limit=count)
        yield question, [memory.turn - 1 for memory in best]


def found_in(question: Question, order: Sequence[int], costs: Sequence[int], budget: int) -> int:
    """How many of a question's evidence turns a budget in tokens admits."""
    return len(admitted(order, costs, budget - HEADING_TOKENS).intersection(question.evidence))


def _score(question: Question, order: Sequence[int], costs: Sequence[int], scores: Scores) -> None:
    scores.in_ten.append(len({*order[:10]}.intersection(question.evidence)) / len(question.evidence))
    for budget in BUDGETS:
        found = found_in(question, order, costs, budget)
        scores.shares[budget].append(found / len(question.evidence))
        scores.found[budget] += found


def admitted(order: Sequence[int], costs: Sequence[int], left: int) -> set[int]:
    """The turns that fit, best first; one that is too long is passed over for shorter ones behind it."""
    chosen = set()
    for turn in order:
        if costs[turn] <= left:
            chosen.add(turn)
            left -= costs[turn]
        elif left < HOPELESS_TOKENS:
            break
    return chosen


def _indexed(rows: Floats, dialogue: Dialogue) -> MemoryIndex:
    index = MemoryIndex(rows.shape[1])
    for row, turn in zip(quantise(rows), dialogue.turns, strict=True):
        index.append(row[None], (turn.dated,), is_input=turn.is_first_speaker)
    return index


def only(**weights: float) -> Weights:
    """No part of the sum but these."""
    return replace(Weights(**dict.fromkeys(PARTS, 0.0)), **weights)


def dense_alone() -> AbstractContextManager[None]:
    """Recall by the cosine of question and turn, and nothing else."""
    return changed(recall, WEIGHTS=only(cosine=1.0))


def bm25_alone() -> AbstractContextManager[None]:
    """Recall by BM25 of the turn, and nothing else."""
    return changed(recall, WEIGHTS=only(near=1.0), NEAR_REACH=0)


def print_table(table: Table) -> None:
    """The pipeline, then one change a row."""
    titles = ["ranking", *(f"{kind} {budget:,}" for kind in ("macro", "micro") for budget in BUDGETS), "R@10"]
    print("| " + " | ".join(titles) + " |\n" + "|---" * len(titles) + "|")
    usual = recall.WEIGHTS
    table.row("**the pipeline**")
    with dense_alone():
        table.row("cosine of the turn alone")
    with bm25_alone():
        table.row("BM25 of the turn alone")
    for name, parts in (("dense", ("cosine", "pair", "passage")), ("lexical", ("near", "around", "coverage"))):
        with changed(recall, WEIGHTS=only(**{part: getattr(usual, part) for part in parts})):
            table.row(f"{name} parts only")
    for part in PARTS:
        with changed(recall, WEIGHTS=replace(usual, **{part: 0.0})):
            table.row(f"without {part}")
    with changed(recall, WEIGHTS=Weights(**dict.fromkeys(PARTS, 1.0))):
        table.row("all weights equal")
    for reach in ("PASSAGE_REACH", "AROUND_REACH"):
        for value in (getattr(recall, reach) // 2, getattr(recall, reach) * 2):
            with changed(recall, **{reach: value}):
                table.row(f"{reach.partition('_')[0].lower()} within ± {value}")
    for k1, b in ((0.9, 0.4), (1.5, 0.75)):
        with changed(recall, BM25_K1=k1, BM25_B=b):
            table.row(f"BM25 k1 {k1}, b {b}")
    with changed(lexical, STOP_WORDS=frozenset()):
        table.row("without stop words")
    with changed(lexical, _stem=str):
        table.row("without stemming")
    table.row("date in the text of the vector", dated_vectors=True)


def main() -> bool:
    """Measure and print; True, since no bar is set here, also where the data is missing (said so)."""
    source = DATA / "locomo.json"
    if not source.exists():
        print(f"Ablation of recall: skipped, {source.name} is not beside this checkout\n")
        return True
    dialogues = read_locomo(source)
    turns, questions = (sum(map(len, part)) for part in zip(*((d.turns, d.questions) for d in dialogues), strict=True))
    print(f"LoCoMo, {len(dialogues)} dialogues, {turns:,} turns, {questions} questions of categories 1-4\n")
    print_table(Table(dialogues, asyncio.run(embed_dialogues(dialogues))))
    print()
    return True


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
