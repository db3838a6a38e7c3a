"""Does the conversation give an elliptical question ("what about the second one?") its subject? TREC CAsT, 75 topics.

    python -m benchmarks.cast

A topic is one conversation of some nine questions, of which CAsT's assessors rewrote those that cannot be understood
alone: these are asked here, as they were said. The memory holds what was said before of the question's own topic and
of 50 others, topic after topic, and recall ranks it. Three conversations are tried:

- continued: the 50 others, then the topic up to the question; ranked is all that was said.
- returned: the topic's first five turns, the 50 others, then the topic again from its sixth turn on up to the
  question, at least one turn later; ranked is what was said before the return, as the rest is still in the window.
- elsewhere: the topic, then the 50 others, then each of its questions as it stands alone; ranked is all that was
  said. The last turns are of another topic there, and what is borrowed of them can only do harm.

Reported is the precision at five: the share of the best five memories that are of the question's topic (of the best
n, where only n < 5 can be). `bare` is the question alone, `contextual` the question with the state and the last turns,
`rewrite` the assessors' stand-alone question alone. Where the topic goes on, contextual can do better than the
rewrite, since the turns before are of the topic; where it returns it cannot come near, since what has been said since
the return seldom names the subject.
"""

import asyncio
import csv
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from benchmarks.embedding import embed_all
from benchmarks.serving import DATA
from memory_core.ellipsis import CONTEXT_TURNS, Said
from memory_core.fold import Fold
from memory_core.index import Floats, quantise
from memory_core.lexical import query_terms, terms
from memory_core.recall import rank
from memory_core.state import Capacities, MemoryState

DISTRACTORS = 50
BEST = 5
RETURN_AFTER_TURNS = 5
ELSEWHERE_LOSS_MAX = 0.05
"""What context may take from questions that stand alone: .030 of them all, .041 of the few with at most two terms."""
FEW_TERMS = 2
"""Questions with at most so many content terms are reported apart: "What are its symptoms?"."""

QUERIES = ("bare", "contextual", "rewrite")


@dataclass(frozen=True, slots=True)
class Utterance:
    """A question as it was said, and as it stands alone."""

    said: str
    rewrite: str

    @property
    def is_elliptical(self) -> bool:
        """The assessors changed more than punctuation."""
        return terms(self.said) != terms(self.rewrite)


Topic = tuple[Utterance, ...]
Vectors = Mapping[str, Floats]


@dataclass(frozen=True, slots=True)
class Asked:
    """One question in one conversation: the precision at five of each of QUERIES."""

    conversation: str
    few_terms: bool
    precision: Mapping[str, float]


def read_topics(folder: Path) -> list[Topic]:
    """CAsT 2019, whose rewrites lie in a table, and 2020."""
    with (folder / "2019_rewrites.tsv").open(encoding="utf-8", newline="") as table:
        rewrites = dict(csv.reader(table, delimiter="\t", quoting=csv.QUOTE_NONE))
    topics = []
    for name in ("2019.json", "2020.json"):
        for topic in json.loads((folder / name).read_text("utf-8")):
            turns = []
            for turn in topic["turn"]:
                rewrite = turn.get("manual_rewritten_utterance") or rewrites[f"{topic['number']}_{turn['number']}"]
                turns.append(Utterance(turn["raw_utterance"].strip(), rewrite.strip()))
            topics.append(tuple(turns))
    return topics


async def embed(topics: Sequence[Topic]) -> Vectors:
    """The unit vector of every utterance and rewrite."""
    texts = list(dict.fromkeys(text for topic in topics for turn in topic for text in (turn.said, turn.rewrite)))
    return dict(zip(texts, (await embed_all([texts]))[0], strict=True))


class Conversation:
    """Utterances folded one by one, and the turns (from 1) that are of the topic that is asked about."""

    def __init__(self, vectors: Vectors) -> None:
        self._vectors = vectors
        self._fold = Fold(next(iter(vectors.values())).shape[0], Capacities())
        self._own: set[int] = set()
        self._last: list[Said] = []

    @property
    def turns(self) -> int:
        """How many were said."""
        return self._fold.turns

    def say(self, topic: Topic, *, is_own: bool) -> None:
        """Add a topic's turns."""
        for turn in topic:
            digest = self.turns.to_bytes(8, "big")
            vector = self._vectors[turn.said]
            self._fold.append(digest, quantise(vector[None]), (turn.said,), is_input=True)
            self._last = [*self._last, Said(turn.said, vector)][-CONTEXT_TURNS:]
            if is_own:
                self._own.add(self.turns)

    def precisions(self, question: Utterance, turns: int) -> dict[str, float]:
        """The precision at five over the first `turns` turns, for each of QUERIES: what each may know is said here."""
        state = self._fold.state_at(self.turns)
        nothing = MemoryState.empty(state.vector.shape[0])
        asked = {
            "bare": (nothing, (), question.said),
            "contextual": (state, self._last, question.said),
            "rewrite": (nothing, (), question.rewrite),
        }
        return {name: self._precision(*query, turns) for name, query in asked.items()}

    def _precision(self, state: MemoryState, context: Sequence[Said], text: str, turns: int) -> float:
        limit = min(BEST, sum(turn <= turns for turn in self._own))
        vector = self._vectors[text]
        best = rank(self._fold.index, state, text, vector, turns=turns, limit=limit, context=context)
        return fmean(memory.turn in self._own for memory in best)


def ask(topics: Sequence[Topic], vectors: Vectors, distractors: int = DISTRACTORS) -> Iterator[Asked]:
    """Every elliptical question, and elsewhere every question; a topic's distractors follow it, in a circle."""
    for number, topic in enumerate(topics):
        others = [*topics[number + 1 :], *topics[:number]][:distractors]
        yield from _continued(topic, others, vectors)
        yield from _returned(topic, others, vectors)
        yield from _elsewhere(topic, others, vectors)


def _continued(topic: Topic, others: Sequence[Topic], vectors: Vectors) -> Iterator[Asked]:
    conversation = Conversation(vectors)
    for other in others:
        conversation.say(other, is_own=False)
    for place, question in enumerate(topic):
        if place > 0 and question.is_elliptical:
            yield _asked("continued", conversation, question, conversation.turns)
        conversation.say((question,), is_own=True)


def _returned(topic: Topic, others: Sequence[Topic], vectors: Vectors) -> Iterator[Asked]:
    conversation = Conversation(vectors)
    conversation.say(topic[:RETURN_AFTER_TURNS], is_own=True)
    for other in others:
        conversation.say(other, is_own=False)
    before = conversation.turns
    for question in topic[RETURN_AFTER_TURNS:]:
        if conversation.turns > before and question.is_elliptical:
            yield _asked("returned", conversation, question, before)
        conversation.say((question,), is_own=True)


def _elsewhere(topic: Topic, others: Sequence[Topic], vectors: Vectors) -> Iterator[Asked]:
    conversation = Conversation(vectors)
    conversation.say(topic, is_own=True)
    for other in others:
        conversation.say(other, is_own=False)
    for question in topic:
        yield _asked("elsewhere", conversation, Utterance(question.rewrite, question.rewrite), conversation.turns)


def _asked(name: str, conversation: Conversation, question: Utterance, turns: int) -> Asked:
    few_terms = len(query_terms(question.said)) <= FEW_TERMS
    return Asked(name, few_terms, conversation.precisions(question, turns))


def columns(asked: Sequence[Asked]) -> dict[str, list[Asked]]:
    """Each conversation's questions, all and those with few terms, by the column's title."""
    found: dict[str, list[Asked]] = {}
    for name in dict.fromkeys(row.conversation for row in asked):
        rows = [row for row in asked if row.conversation == name]
        few = [row for row in rows if row.few_terms]
        found |= {f"{name}, {len(rows)} questions": rows, f"{name}, {len(few)} of at most {FEW_TERMS} terms": few}
    return {title: rows for title, rows in found.items() if rows}


def render(found: Mapping[str, Sequence[Asked]]) -> str:
    """The table, in Markdown."""
    lines = ["| query | " + " | ".join(found) + " |", "|---" * (1 + len(found)) + "|"]
    for name in QUERIES:
        cells = (f"{fmean(row.precision[name] for row in rows):.3f}" for rows in found.values())
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> bool:
    """Measure and print; False if context does not help, or harms elsewhere; True without the data (said so)."""
    folder = DATA / "cast"
    if not folder.exists():
        print(f"Elliptical questions: skipped, {folder.name} is not beside this checkout\n")
        return True
    topics = read_topics(folder)
    found = columns(list(ask(topics, asyncio.run(embed(topics)))))
    print(f"Elliptical questions of TREC CAsT, {DISTRACTORS} other topics in memory: same-topic precision at {BEST}\n")
    print(render(found) + "\n")
    return all(map(_held, found.values()))


def _held(rows: Sequence[Asked]) -> bool:
    gain = fmean(row.precision["contextual"] - row.precision["bare"] for row in rows)
    return gain >= -ELSEWHERE_LOSS_MAX if rows[0].conversation == "elsewhere" else gain > 0


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
