"""Bias, five ways: does each do what it says, on LoCoMo's development half, and does it leave the rest alone?

    python -m benchmarks.bias

Every turn is a memory, every question of categories 1-4 a query; scores are recall's own. "Evidence" is the mean over
questions of the share of a question's evidence turns among the best ten. A wrong passage is the best-ranked turn of a
question that is evidence for no question of its dialogue. No model answers anything here.
"""

import asyncio
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import fmean

import numpy as np

from benchmarks.bias_data import BEST, Log, Means, Row, found, holding, in_order, keyword_of, mean
from benchmarks.embedding import embed_all
from benchmarks.locomo import Dialogue, read_locomo
from benchmarks.serving import DATA
from memory_core import recall
from memory_core.bias import (
    ANCHOR_REACH,
    ANCHORS_MAX,
    DRIFT_THRESHOLD,
    NO_BIAS,
    Anchor,
    Bias,
    NegativeAttractor,
    Trigger,
    adjusted,
    anchor_score,
    auto_anchored,
    filtered,
    salience,
)
from memory_core.index import Floats, MemoryIndex, quantise

TIE = 0.02
"""Scores (0..1) that lie closer together than this are about equal."""

SAMPLE = 7
"""Every so many of the other questions are asked again under a bias that was made for one."""

NOISE = 0.01


def anchors(logs: Sequence[Log]) -> Iterator[Row]:
    """An anchor on the mean of each session in turn, for all questions of the dialogue."""
    theme, rest, ties, clear = Means(), Means(), Means(), Means()
    for log in logs:
        for session in range(int(log.sessions.max()) + 1):
            inside = log.sessions == session
            anchor = Anchor("session", mean(log.index.vectors(log.count)[inside]))
            for number, wanted in enumerate(log.evidence):
                before, after = log.scores[number], log.biased(number, Bias(anchors=(anchor,)))
                here = frozenset(turn for turn in wanted if inside[turn])
                means, asked = (theme, here) if here else (rest, wanted)
                means.add(found(log.best[number], asked), found(in_order(after)[:BEST], asked))
                for turn in here:
                    gap = np.abs(before - before[turn])
                    for other in np.flatnonzero(~inside & (gap < TIE)):
                        ties.add(before[turn] > before[other], after[turn] > after[other])
                    far = np.flatnonzero(gap > ANCHOR_REACH * anchor.boost)
                    overturned = (before[turn] > before[far]) != (after[turn] > after[far])
                    clear.add(0.0, float(overturned.any()))
    yield ties.row("anchor", "evidence in the session wins against equals outside", lambda off, on: on > off + 0.05)
    yield clear.row("anchor", "evidence with a clear order overturned", lambda _, on: on == 0.0)
    yield theme.row("anchor", "evidence in the session", lambda off, on: on > off - NOISE)
    yield rest.row("anchor", "evidence of questions about other sessions", lambda off, on: abs(on - off) < NOISE)


def automatic_anchors(logs: Sequence[Log]) -> Iterator[Row]:
    """An automatic anchor on the first turn of each session, as if it had switched the topic."""
    kept, rest = Means(), Means()
    for log in logs:
        made: tuple[Anchor, ...] = ()
        openings = np.flatnonzero(np.diff(log.sessions, prepend=-1))
        for turn in openings:
            made = auto_anchored(made, log.index.turn_vector(int(turn) + 1), int(turn) + 1, 1.0)
        kept.add(len(openings), len(made))
        for number, wanted in enumerate(log.evidence):
            rest.add(found(log.best[number], wanted), found(log.best_under(number, Bias(made)), wanted))
    yield kept.row("automatic anchors", "sessions opened; anchors kept", lambda _, on: on <= ANCHORS_MAX)
    yield rest.row("automatic anchors", "evidence of all questions", lambda off, on: abs(on - off) < NOISE)


def drift(logs: Sequence[Log], foreign: Floats) -> Iterator[Row]:
    """`anchor_score` of a dialogue's own turns and of foreign questions, with anchors on its first sessions."""
    own, others = Means(), Means()
    for log in logs:
        rows = log.index.vectors(log.count)
        known = tuple(Anchor(f"{n}", mean(rows[log.sessions == n])) for n in range(min(8, log.sessions.max() + 1)))
        for vectors, means in ((rows, own), (foreign, others)):
            for vector in vectors:
                means.add(0.0, (anchor_score(vector, known) or 0.0) < DRIFT_THRESHOLD)
    yield own.row("anchor score", "the dialogue's turns below the drift threshold", lambda _, on: on < 0.05)
    yield others.row("anchor score", "MT-Bench's questions below it", lambda _, on: on > 0.95)


def triggers(logs: Sequence[Log]) -> Iterator[Row]:
    """A trigger on the rarest word of each question that stands in ten memories or more; one on its meaning."""
    lifted, first, silent, evidence, meant = (Means() for _ in range(5))
    for log in logs:
        for number, wanted in enumerate(log.evidence):
            near = log.index.vectors(log.count) @ log.queries[number] >= 0.5
            if near.any():
                by_meaning = Trigger("meaning", vector=log.queries[number], threshold=0.5)
                best = log.best_under(number, Bias(triggers=(by_meaning,)))
                meant.add(near[log.best[number]].mean(), near[best].mean())
            keyword = keyword_of(log, log.dialogue.questions[number].text)
            if keyword is None:
                continue
            holds = holding(log.index, log.count, keyword)
            before = holds[log.best[number]].mean()
            for weight, means in ((1.0, lifted), (5.0, first), (0.0, silent)):
                best = log.best_under(number, Bias(triggers=(Trigger("word", (keyword,), weight=weight),)))
                means.add(before, holds[best].mean())
                if weight == 1.0:
                    evidence.add(found(log.best[number], wanted), found(best, wanted))
    yield lifted.row("trigger", "best ten that hold the keyword, weight 1", lambda off, on: on > off)
    yield first.row("trigger", "the same, weight 5", lambda _, on: on == 1.0)
    yield silent.row("trigger", "the same, weight 0", lambda off, on: on == off)
    yield meant.row("trigger", "best ten of a cosine ≥ .5, trigger by embedding", lambda off, on: on > off)
    yield evidence.row("trigger", "evidence of the questions that hold it, weight 1", lambda off, on: True)


def salient_turns(logs: Sequence[Log]) -> Iterator[Row]:
    """A trigger on one frequent word of each dialogue, heard by all of its turns."""
    salient, others = Means(), Means()
    for log in logs:
        found = (keyword_of(log, question.text) for question in log.dialogue.questions)
        keyword = next(word for word in found if word is not None)
        trigger = (Trigger("word", (keyword,)),)
        holds = holding(log.index, log.count, keyword)
        for number, turn in enumerate(log.dialogue.turns):
            means = salient if holds[number] else others
            means.add(0.0, salience(turn.dated, log.index.turn_vector(number + 1), trigger))
    yield salient.row("trigger", "salience of turns that hold the keyword", lambda _, on: on == 0.5)
    yield others.row("trigger", "salience of the other turns", lambda _, on: on == 0.0)


def negative_attractors(logs: Sequence[Log]) -> Iterator[Row]:
    """One on the wrong passage of each question."""
    wrong, own, rest = Means(), Means(), Means()
    for log in logs:
        for number, wanted in enumerate(log.evidence):
            passage = log.wrong_passage(number)
            bias = Bias(negative_attractors=(NegativeAttractor("wrong", log.index.turn_vector(passage + 1)),))
            best = log.best_under(number, bias)
            wrong.add(passage in log.best[number], passage in best)
            own.add(found(log.best[number], wanted), found(best, wanted))
            for other in range(number % SAMPLE, len(log.evidence), SAMPLE):
                if other != number:
                    asked = log.evidence[other]
                    rest.add(found(log.best[other], asked), found(log.best_under(other, bias), asked))
    yield wrong.row("negative attractor", "wrong passages in the best ten", lambda _, on: on < 0.05)
    yield own.row("negative attractor", "evidence of the same question", lambda off, on: abs(on - off) < NOISE)
    yield rest.row("negative attractor", "evidence of other questions", lambda off, on: abs(on - off) < NOISE)


def filters(logs: Sequence[Log]) -> Iterator[Row]:
    """`meta` names the speaker as source, and what one of the two said is not to be recalled."""
    refused, delivered = Means(), Means()
    for log in logs:
        meta: list[Mapping[str, str]] = [{"source": turn.speaker} for turn in log.dialogue.turns]
        source = meta[0]["source"]
        for number, scores in enumerate(log.scores):
            cut_first = [turn for turn in log.best[number] if meta[turn]["source"] != source]
            kept = list(filtered(in_order(scores).tolist(), lambda t: meta[t]["source"] != source, BEST))  # noqa: B023
            refused.add(1 - len(cut_first) / BEST, fmean(meta[turn]["source"] == source for turn in kept))
            delivered.add(len(cut_first), len(kept))
    yield refused.row("filter by meta", "best ten of the refused source", lambda _, on: on == 0.0)
    yield delivered.row("filter by meta", "recalled, filtered after the cut; before it", lambda _, on: on == BEST)


def deletion(logs: Sequence[Log]) -> Iterator[Row]:
    """The wrong passages of every twentieth question leave the log, and the rest is indexed again."""
    wrong, rest = Means(), Means()
    for log in logs:
        deleted = frozenset(log.wrong_passage(number) for number in range(0, len(log.evidence), 20))
        index = log.without(deleted)
        for number, wanted in enumerate(log.evidence):
            best = log.best_of(index, number)
            wrong.add(not deleted.isdisjoint(log.best[number].tolist()), not deleted.isdisjoint(best))
            rest.add(found(log.best[number], wanted), found(best, wanted))
    yield wrong.row("deletion", "questions that recall a deleted turn", lambda _, on: on == 0.0)
    yield rest.row("deletion", "evidence of all questions", lambda off, on: abs(on - off) < NOISE)


def switched_off(logs: Sequence[Log]) -> Iterator[Row]:
    """No bias, and one that has nothing to say: the same scores, bit for bit."""
    empty, silent = Means(), Means()
    unheard = Bias(triggers=(Trigger("unheard", ("xylophonist",)), Trigger("silent", ("the",), weight=0)))
    for log in logs:
        for number, scores in enumerate(log.scores):
            empty.add(1.0, log.biased(number, NO_BIAS) is scores)
            silent.add(1.0, log.biased(number, unheard).tobytes() == scores.tobytes())
    yield empty.row("off", "scores untouched without a bias", lambda _, on: on == 1.0)
    yield silent.row("off", "scores equal in every bit when nothing fires", lambda _, on: on == 1.0)


WAYS = (
    anchors,
    automatic_anchors,
    triggers,
    salient_turns,
    negative_attractors,
    filters,
    deletion,
    switched_off,
)


def print_times(count: int = 10_000, of_each: int = 8, rounds: int = 50) -> None:
    """What a bias adds to one ranking of made-up memories: the fastest of many rounds, beside recall itself."""
    random = np.random.default_rng(0)
    made = [mean(random.normal(0.05, 1, (1, 384)).astype(np.float32)) for _ in range(3 * of_each)]
    index = MemoryIndex(384)
    for row in quantise(random.normal(0.05, 1, (count, 384)).astype(np.float32)):
        index.append(row[None], (" ".join(f"word{number}" for number in random.integers(0, 200, 20)),))
    names = [f"word{number}" for number in range(of_each)]
    text, vector = " ".join(names), made[0]
    scores = recall.scores(index, count, text, vector)
    full = Bias(
        tuple(Anchor(*pair) for pair in zip(names, made[:of_each], strict=True)),
        tuple(Trigger(name, (name,), row) for name, row in zip(names, made[of_each : 2 * of_each], strict=True)),
        tuple(NegativeAttractor(*pair) for pair in zip(names, made[2 * of_each :], strict=True)),
    )
    by_word = Bias(triggers=tuple(Trigger(name, (name,)) for name in names))
    calls: dict[str, Callable[[], object]] = {
        "recall's scores": lambda: recall.scores(index, count, text, vector),
        "no bias": lambda: adjusted(scores, index, count, text, vector, NO_BIAS),
        f"{of_each} triggers by keyword, all fired": lambda: adjusted(scores, index, count, text, vector, by_word),
        f"{of_each} of each with vectors": lambda: adjusted(scores, index, count, text, vector, full),
    }
    print(f"\n| {count:,} memories | ms |\n|---|---|")
    for name, call in calls.items():
        print(f"| {name} | {1e3 * min(_seconds(call) for _ in range(rounds)):.3f} |")


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def main(dialogues_max: int | None = None) -> bool:
    """Measure and print; False if a bias does not do what it says, True also where the data is missing (said so)."""
    source = DATA / "locomo.json"
    if not source.exists():
        print(f"Bias on LoCoMo: skipped, {source.name} is not beside this checkout\n")
        return True
    foreign = DATA / "mt_bench.jsonl"
    lines = foreign.read_text("utf-8").splitlines() if foreign.exists() else []
    rows = measure(read_locomo(source)[:dialogues_max], [text for line in lines for text in json.loads(line)["turns"]])
    print("| way | figure (cases) | off | on | as promised |\n|---|---|---|---|---|")
    for row in rows:
        print(f"| {row.way} | {row.figure} | {row.off:.4f} | {row.on:.4f} | {'yes' if row.held else 'NO'} |")
    print_times()
    print()
    return all(row.held for row in rows)


def measure(dialogues: Sequence[Dialogue], foreign: Sequence[str]) -> list[Row]:
    """Every figure of every way; `foreign` are texts about other things."""
    texts = [([turn.said for turn in d.turns], [question.text for question in d.questions]) for d in dialogues]
    *parts, others = asyncio.run(embed_all([*(part for pair in texts for part in pair), foreign]))
    vectors = iter(parts)
    logs = [Log(dialogue, next(vectors), next(vectors)) for dialogue in dialogues]
    rows = [row for way in WAYS for row in way(logs)]
    return rows + list(drift(logs, others)) if foreign else rows


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
