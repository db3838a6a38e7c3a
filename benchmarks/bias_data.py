"""What the measurement of bias works on: LoCoMo's dialogues, indexed and scored once, and means of pairs of figures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from benchmarks.locomo import Dialogue
from memory_core import recall
from memory_core.bias import Bias, adjusted
from memory_core.index import Floats, MemoryIndex, quantise
from memory_core.lexical import STOP_WORDS, terms, words

BEST = 10
KEYWORD_MEMORIES_MIN = 10

Order = NDArray[np.int64]


class Log:
    """One dialogue, indexed, with the unbiased scores of its questions."""

    def __init__(self, dialogue: Dialogue, rows: Floats, queries: Floats) -> None:
        self.dialogue, self.queries, self.quantised = dialogue, queries, quantise(rows)
        self.index = self.without(frozenset())
        self.count = self.index.memories()
        self.sessions = np.unique([turn.date for turn in dialogue.turns], return_inverse=True)[1]
        self.evidence = [frozenset(question.evidence) for question in dialogue.questions]
        self.scores = [self._scored(self.index, number) for number in range(len(self.evidence))]
        self.best = [in_order(scores)[:BEST] for scores in self.scores]

    def without(self, deleted: frozenset[int]) -> MemoryIndex:
        """The index of a log from which turns were deleted: they keep their number and hold nothing."""
        index = MemoryIndex(self.quantised.shape[1])
        for number, turn in enumerate(self.dialogue.turns):
            texts = () if number in deleted else (turn.dated,)
            index.append(self.quantised[number : number + len(texts)], texts, is_input=turn.is_first_speaker)
        return index

    def biased(self, question: int, bias: Bias) -> recall.Scores:
        text = self.dialogue.questions[question].text
        return adjusted(self.scores[question], self.index, self.count, text, self.queries[question], bias)

    def best_under(self, question: int, bias: Bias) -> Order:
        return in_order(self.biased(question, bias))[:BEST]

    def best_of(self, index: MemoryIndex, question: int) -> list[int]:
        """The best turns (from 0) in another index of this dialogue."""
        return [index.place(int(memory))[0] - 1 for memory in in_order(self._scored(index, question))[:BEST]]

    def wrong_passage(self, question: int) -> int:
        taken = frozenset().union(*self.evidence)
        return next(int(memory) for memory in in_order(self.scores[question]) if memory not in taken)

    def _scored(self, index: MemoryIndex, question: int) -> recall.Scores:
        text = self.dialogue.questions[question].text
        return recall.scores(index, index.memories(), text, self.queries[question])


def in_order(scores: recall.Scores) -> Order:
    return np.argsort(-np.round(scores, recall.SCORE_DECIMALS), kind="stable")


def found(best: Sequence[int] | Order, wanted: frozenset[int]) -> float:
    return len(wanted.intersection(int(turn) for turn in best)) / len(wanted)


@dataclass(frozen=True, slots=True)
class Row:
    """A measured figure without and with the bias, and whether it is as promised."""

    way: str
    figure: str
    off: float
    on: float
    held: bool


class Means:
    """Pairs of figures, without and with; their means."""

    def __init__(self) -> None:
        self._pairs: list[tuple[float, float]] = []

    def add(self, off: float, on: float) -> None:
        self._pairs.append((float(off), float(on)))

    def row(self, way: str, figure: str, promised: Callable[[float, float], bool]) -> Row:
        off, on = (fmean(side) for side in zip(*self._pairs, strict=True))
        return Row(way, f"{figure} ({len(self._pairs):,})", off, on, promised(off, on))


def mean(rows: Floats) -> Floats:
    total: Floats = rows.sum(axis=0)
    return (total / np.linalg.norm(total)).astype(np.float32)


def keyword_of(log: Log, text: str) -> str | None:
    """The rarest content word of a text that stands in enough memories, if there is one."""
    held = {word: holding(log.index, log.count, word).sum() for word in words(text) if word not in STOP_WORDS}
    frequent = [word for word, count in held.items() if count >= KEYWORD_MEMORIES_MIN]
    return min(frequent, key=lambda word: held[word], default=None)


def holding(index: MemoryIndex, count: int, word: str) -> NDArray[np.bool_]:
    rows = [index.frequencies(term, count) for term in terms(word)]
    held: NDArray[np.bool_] = np.logical_and.reduce(
        [np.zeros(count, np.bool_) if row is None else row > 0 for row in rows]
    )
    return held
