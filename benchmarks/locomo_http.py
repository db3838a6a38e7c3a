"""LoCoMo through the proxy over HTTP: is the evidence for a question in the prompt that the upstream receives?

The first speaker is the user, the second the assistant; each text is prefixed with its date and speaker. The history
is sent once, then each question of categories 1-4 follows it as the next user message, a fork each, in `compact` mode.
Reported is the mean over questions of the share of its evidence turns whose text stands in the forwarded messages.
"""

import asyncio
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

import httpx

from benchmarks.serving import DATA, SilentUpstream, proxied

BUDGETS_TOKENS = (512, 1024)
BARS = {512: 0.70, 1024: 0.78}
CATEGORIES = {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop"}


@dataclass(frozen=True, slots=True)
class Question:
    """A question, its category, and the texts of its evidence turns."""

    text: str
    category: int
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Dialogue:
    """One conversation as chat messages, and its questions."""

    messages: tuple[dict[str, str], ...]
    questions: tuple[Question, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """The outcome of one question."""

    category: int
    share: float
    full_tokens: int
    sent_tokens: int
    overhead_ms: float


def read_dialogues(samples: list[dict[str, Any]]) -> Iterator[Dialogue]:
    """LoCoMo's JSON as dialogues."""
    for sample in samples:
        conversation = sample["conversation"]
        messages, texts = [], {}
        for number in range(1, 100):
            for turn in conversation.get(f"session_{number}", []):
                role = "user" if turn["speaker"] == conversation["speaker_a"] else "assistant"
                date = conversation[f"session_{number}_date_time"]
                messages.append({"role": role, "content": f"[{date}] {turn['speaker']}: {turn['text']}"})
                texts[turn["dia_id"]] = turn["text"]
        yield Dialogue(tuple(messages), tuple(_questions(sample["qa"], texts)))


def _questions(rows: list[dict[str, Any]], texts: dict[str, str]) -> Iterator[Question]:
    for row in rows:
        places = dict.fromkeys(re.findall(r"D\d+:\d+", " ".join(row.get("evidence", []))))
        evidence = tuple(texts[place] for place in places if place in texts)
        if row["category"] in CATEGORIES and evidence:
            yield Question(row["question"], row["category"], evidence)


async def ask(
    client: httpx.AsyncClient,
    upstream: SilentUpstream,
    messages: tuple[dict[str, str], ...],
    question: Question,
    tokens: int,
) -> Found:
    """Send one question after the history and look at what arrived."""
    body = {"model": "bench", "messages": [*messages, {"role": "user", "content": question.text}]}
    headers = {"x-isocost-mode": "compact", "x-isocost-context-tokens": str(tokens)}
    response = await client.post("/v1/chat/completions", json=body, headers=headers)
    response.raise_for_status()
    if "x-isocost-error" in response.headers:
        raise RuntimeError(f"memory stood aside: {response.headers['x-isocost-error']}")
    prompt = upstream.prompt()
    return Found(
        question.category,
        fmean(text in prompt for text in question.evidence),
        int(response.headers["x-isocost-full-tokens"]),
        int(response.headers["x-isocost-sent-tokens"]),
        float(response.headers["x-isocost-overhead-ms"]),
    )


async def measure(dialogues: list[Dialogue], questions_max: int) -> dict[int, list[Found]]:
    """All questions at each budget."""
    found: dict[int, list[Found]] = {tokens: [] for tokens in BUDGETS_TOKENS}
    async with proxied() as (proxy, _, upstream), httpx.AsyncClient(base_url=proxy, timeout=120) as client:
        for number, dialogue in enumerate(dialogues, start=1):
            for tokens in BUDGETS_TOKENS:
                for question in dialogue.questions[:questions_max]:
                    found[tokens].append(await ask(client, upstream, dialogue.messages, question, tokens))
                print(f"  conversation {number}/{len(dialogues)} at {tokens} tokens", file=sys.stderr)
    return found


def render(found: dict[int, list[Found]]) -> str:
    """The table, in Markdown."""
    titles = ["context tokens", "evidence in the prompt", "bar", *CATEGORIES.values()]
    titles += ["sent tokens, median", "full tokens, median", "own ms, median"]
    lines = ["| " + " | ".join(titles) + " |", "|---" * len(titles) + "|"]
    for tokens, rows in found.items():
        by_category = [fmean(row.share for row in rows if row.category == category) for category in CATEGORIES]
        cells = [f"{fmean(row.share for row in rows):.3f}", f"{BARS[tokens]:.2f}", *(f"{x:.3f}" for x in by_category)]
        medians = [median(row.sent_tokens for row in rows), median(row.full_tokens for row in rows)]
        cells += [*(f"{x:,.0f}" for x in medians), f"{median(row.overhead_ms for row in rows):.1f}"]
        lines.append(f"| {tokens:,} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(questions_max: int = 10_000) -> bool:
    """Measure and print; False if a bar is missed, True also where the data is missing (said so)."""
    source = DATA / "locomo.json"
    if not source.exists():
        print(f"LoCoMo through the proxy: skipped, {source.name} is not beside this checkout")
        return True
    dialogues = list(read_dialogues(json.loads(source.read_text())))
    found = asyncio.run(measure(dialogues, questions_max))
    total = sum(len(rows) for rows in found.values()) // len(found)
    print(f"LoCoMo through the proxy over HTTP, {len(dialogues)} conversations, {total} questions\n")
    print(render(found) + "\n")
    return all(fmean(row.share for row in rows) >= BARS[tokens] for tokens, rows in found.items())


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
