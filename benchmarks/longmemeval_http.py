"""LongMemEval-S through the proxy over HTTP: histories of some 490 turns and 103k tokens, one question each.

    python -m benchmarks.longmemeval_http [--rows N]

A row's sessions follow one another in the order of their dates. Every user turn carries its session's date in front,
"[2023/05/25 (Thu) 10:04] ", and so does the question: a chat client sends no dates, and without any nobody could
answer the temporal questions. Assistant turns are sent as they are. Each question follows its history in `compact`
mode. Rows without evidence (their right answer is that nothing was said) are left out.

An evidence turn counts as found if it is in the verbatim window, or if 40 characters of it in a row (all of it, if
it is shorter) stand elsewhere in the prompt, in a piece of text that no other turn of the history holds. The date
is no part of the turn here, the question's own words are no part of the prompt, and white space is not compared.
"""

import argparse
import asyncio
import gzip
import json
import re
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from benchmarks.locomo_http import PATIENCE, Messages, ask
from benchmarks.serving import DATA, proxied

BARS = {512: 0.80, 1024: 0.90, 2048: 0.95}
"""Context tokens, and the least share of evidence turns that has to be found; held by a run over all rows."""

KIND_TOKENS = 1024
KIND_BARS = {"multi-session": 0.70, "single-session-preference": 0.70}
ANSWER_BAR = 0.95
"""Of the answers that stand verbatim in the evidence, the least share in the prompt, at KIND_TOKENS."""

RUN_CHARS = 40
COMPANY_CHARS = 20
"""An answer counts with this many of the characters before or after it in the evidence: "2" alone is everywhere."""

SAMPLE_ROWS = 6
"""One of each type; a history takes its embedding, so all rows take the better part of an hour on two cores."""


@dataclass(frozen=True, slots=True)
class Row:
    """A history and its question as they are sent; `evidence` and `others` are the turns' own words."""

    kind: str
    history: Messages
    question: str
    answer: str
    evidence: tuple[str, ...]
    others: str


@dataclass(frozen=True, slots=True)
class Found:
    """The outcome of one question. `answered` is None where the answer stands in no evidence turn verbatim."""

    kind: str
    turns: int
    found: int
    in_window: int
    answered: bool | None
    full_tokens: int
    sent_tokens: int


def read_rows(path: Path) -> list[Row]:
    """The rows with evidence, a row of each type in turn, so that the first few are a fair sample."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [read_row(json.loads(line)) for line in lines]
    kinds = dict.fromkeys(row.kind for row in rows)
    columns = [[row for row in rows if row.kind == kind and row.evidence] for kind in kinds]
    return [row for row in chain.from_iterable(zip_longest(*columns)) if row is not None]


def read_row(source: Mapping[str, Any]) -> Row:
    """One row of the file."""
    sessions = sorted(
        zip(source["haystack_dates"], source["haystack_sessions"], strict=True), key=lambda dated: dated[0]
    )
    history: Messages = []
    evidence: list[str] = []
    others: list[str] = []
    for date, session in sessions:
        for turn in session:
            prefix = f"[{date}] " if turn["role"] == "user" else ""
            history.append({"role": turn["role"], "content": prefix + turn["content"]})
            (evidence if turn.get("has_answer") else others).append(spaced(turn["content"]))
    question = f"[{source['question_date']}] {source['question']}"
    answer = spaced(str(source["answer"]))
    return Row(source["question_type"], history, question, answer, tuple(evidence), "\n".join(others))


def spaced(text: str) -> str:
    """The text with every run of white space as one space."""
    return " ".join(text.split())


def window_of(row: Row, prompt: str) -> str:
    """What stands verbatim at the prompt's end: the longest suffix of the history, and the question after it."""
    window = row.question
    for message in reversed(row.history):
        longer = f"{message['content']}\n{window}"
        if longer not in prompt:
            break
        window = longer
    return window


def judge(row: Row, prompt: str, full_tokens: int, sent_tokens: int) -> Found:
    """Which evidence, and whether the answer, stands in the prompt."""
    verbatim = window_of(row, prompt)
    window = spaced(verbatim.removesuffix(row.question))
    added = spaced(prompt.replace(verbatim, " ", 1))
    in_window = [turn in window for turn in row.evidence]
    found = [
        here or is_quoted(turn, added, elsewhere(row, turn)) for turn, here in zip(row.evidence, in_window, strict=True)
    ]
    passages = [passage for turn in row.evidence for passage in around(row.answer, turn)]
    answered = any(passage in text for passage in passages for text in (added, window)) if passages else None
    return Found(row.kind, len(found), sum(found), sum(in_window), answered, full_tokens, sent_tokens)


def elsewhere(row: Row, turn: str) -> str:
    """What all other turns say."""
    return "\n".join([row.others, *(other for other in row.evidence if other != turn)])


def is_quoted(turn: str, context: str, others: str) -> bool:
    """A run of RUN_CHARS characters of the turn, or all of it, stands in the context and in no other turn."""
    runs = (turn[start : start + RUN_CHARS] for start in range(max(1, len(turn) - RUN_CHARS + 1)))
    return any(run in context and run not in others for run in runs)


def around(answer: str, turn: str) -> list[str]:
    """The answer, as a whole word, wherever it stands in a turn: once with what precedes it, once with what follows."""
    matches = list(re.finditer(rf"(?<!\w){re.escape(answer)}(?!\w)", turn))
    passages = [turn[max(0, match.start() - COMPANY_CHARS) : match.end()] for match in matches]
    passages += [turn[match.start() : match.end() + COMPANY_CHARS] for match in matches]
    return [passage for passage in passages if passage != answer] or passages


async def measure(rows: Sequence[Row]) -> dict[int, list[Found]]:
    """All rows at each budget; the first budget meets a history that nobody has seen."""
    found: dict[int, list[Found]] = {tokens: [] for tokens in BARS}
    async with proxied(**PATIENCE) as (proxy, _, upstream), httpx.AsyncClient(base_url=proxy, timeout=660) as client:
        for number, row in enumerate(rows, start=1):
            started = time.monotonic()
            for tokens, outcomes in found.items():
                response = await ask(client, upstream, row.history, row.question, tokens)
                sizes = (int(response.headers[f"x-isocost-{name}-tokens"]) for name in ("full", "sent"))
                outcomes.append(judge(row, upstream.prompt(), *sizes))
            print(f"  row {number}/{len(rows)}, {row.kind}, {time.monotonic() - started:.0f} s", file=sys.stderr)
    return found


def coverage(rows: Iterable[Found]) -> float:
    """The share of all evidence turns that was found."""
    counts = [(row.found, row.turns) for row in rows]
    return sum(found for found, _ in counts) / sum(turns for _, turns in counts)


def answered(rows: Iterable[Found]) -> list[bool]:
    """For each answer that stands verbatim in the evidence, whether it reached the prompt."""
    return [row.answered for row in rows if row.answered is not None]


def render(found: dict[int, list[Found]]) -> str:
    """The table, in Markdown."""
    kinds = list(dict.fromkeys(row.kind for rows in found.values() for row in rows))
    titles = ["context tokens", "evidence turns in the prompt", "bar", *kinds, "in the window", "verbatim answers"]
    titles += ["sent tokens, median", "full tokens, median"]
    lines = ["| " + " | ".join(titles) + " |", "|---" * len(titles) + "|"]
    for tokens, rows in found.items():
        by_kind = [f"{coverage(row for row in rows if row.kind == kind):.3f}" for kind in kinds]
        turns, answers = sum(row.turns for row in rows), answered(rows)
        cells = [f"{tokens:,}", f"{coverage(rows):.3f}", f"{BARS[tokens]:.2f}", *by_kind]
        cells += [f"{sum(row.in_window for row in rows)} of {turns}", f"{sum(answers)} of {len(answers)}"]
        medians = [median(row.sent_tokens for row in rows), median(row.full_tokens for row in rows)]
        lines.append("| " + " | ".join([*cells, *(f"{x:,.0f}" for x in medians)]) + " |")
    return "\n".join(lines)


def missed(found: dict[int, list[Found]]) -> list[str]:
    """The bars that are not held, each as a sentence."""
    sentences = [
        f"{tokens:,} tokens: under {BARS[tokens]}" for tokens in BARS if coverage(found[tokens]) < BARS[tokens]
    ]
    rows = found[KIND_TOKENS]
    for kind, bar in KIND_BARS.items():
        if coverage(row for row in rows if row.kind == kind) < bar:
            sentences.append(f"{KIND_TOKENS:,} tokens, {kind}: under {bar}")
    answers = answered(rows)
    if answers and sum(answers) < ANSWER_BAR * len(answers):
        sentences.append(f"{KIND_TOKENS:,} tokens, verbatim answers: under {ANSWER_BAR}")
    return sentences


def main(rows_max: int | None = None) -> bool:
    """Measure and print; False if a bar is missed by all rows, True also where the data is missing (said so)."""
    source = DATA / "longmemeval_s.jsonl.gz"
    if not source.exists():
        print(f"LongMemEval-S through the proxy: skipped, {source.name} is not beside this checkout\n")
        return True
    rows = read_rows(source)
    asked = rows[:rows_max]
    found = asyncio.run(measure(asked))
    print(f"LongMemEval-S through the proxy over HTTP, {len(asked)} of {len(rows)} rows with evidence\n")
    print(render(found) + "\n")
    if len(asked) < len(rows):
        print("A sample: its shares are too coarse to be held to the bars.\n")
        return True
    sentences = missed(found)
    print("\n".join(f"- missed at {sentence}" for sentence in sentences) or "All bars are held.", end="\n\n")
    return not sentences


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.longmemeval_http")
    parser.add_argument("--rows", type=int, help="ask only the first so many")
    sys.exit(0 if main(parser.parse_args().rows) else 1)
