"""LoCoMo through the proxy over HTTP: is the evidence for a question in the prompt that the upstream receives?

    python -m benchmarks.locomo_http [--questions N]

The first speaker is the user, the second the assistant; each text is "[date] speaker: text [photo: caption]". Every
question of categories 1-4 follows the whole history as the next user message, a fork each, in `compact` mode, once at
each budget of `x-isocost-context-tokens`. Reported is the mean over questions of the share of its evidence turns
whose own text, without date, name and caption, stands in the forwarded messages whole.
"""

import argparse
import asyncio
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, median

import httpx

from benchmarks.locomo import CATEGORIES, Dialogue, Question, read_locomo
from benchmarks.serving import DATA, SilentUpstream, proxied

BARS = {256: 0.70, 512: 0.80, 1024: 0.87, 2048: 0.92}
"""Context tokens, and the least share of the evidence that has to be in the prompt."""

PATIENCE = {"compact_timeout_s": 600.0, "embedder_threads": 2}
"""A history that was never seen is embedded before its first prompt leaves, on however slow a machine."""

Messages = list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Found:
    """The outcome of one question."""

    category: int
    share: float
    full_tokens: int
    sent_tokens: int
    overhead_ms: float


def chat(dialogue: Dialogue) -> Messages:
    """The dialogue as chat messages."""
    return [
        {"role": "user" if turn.is_first_speaker else "assistant", "content": turn.dated} for turn in dialogue.turns
    ]


async def ask(
    client: httpx.AsyncClient, upstream: SilentUpstream, history: Messages, question: str, tokens: int
) -> httpx.Response:
    """Send one question after the history; what was forwarded is then the upstream's prompt."""
    body = {"model": "bench", "messages": [*history, {"role": "user", "content": question}]}
    headers = {"x-isocost-mode": "compact", "x-isocost-context-tokens": str(tokens)}
    response = await client.post("/v1/chat/completions", json=body, headers=headers)
    response.raise_for_status()
    if "x-isocost-error" in response.headers:
        raise RuntimeError(f"memory stood aside: {response.headers['x-isocost-error']}")
    return response


def judge(dialogue: Dialogue, question: Question, prompt: str, response: httpx.Response) -> Found:
    """Which evidence stands in the prompt."""
    return Found(
        question.category,
        fmean(dialogue.turns[turn].text in prompt for turn in question.evidence),
        int(response.headers["x-isocost-full-tokens"]),
        int(response.headers["x-isocost-sent-tokens"]),
        float(response.headers["x-isocost-overhead-ms"]),
    )


async def measure(dialogues: Sequence[Dialogue], questions_max: int | None = None) -> dict[int, list[Found]]:
    """The first `questions_max` questions of each dialogue, all if None, at each budget."""
    found: dict[int, list[Found]] = {tokens: [] for tokens in BARS}
    async with proxied(**PATIENCE) as (proxy, _, upstream), httpx.AsyncClient(base_url=proxy, timeout=660) as client:
        for number, dialogue in enumerate(dialogues, start=1):
            history = chat(dialogue)
            for tokens, rows in found.items():
                for question in dialogue.questions[:questions_max]:
                    response = await ask(client, upstream, history, question.text, tokens)
                    rows.append(judge(dialogue, question, upstream.prompt(), response))
                print(f"  conversation {number}/{len(dialogues)} at {tokens} tokens", file=sys.stderr)
    return found


def render(found: dict[int, list[Found]]) -> str:
    """The table, in Markdown."""
    titles = ["context tokens", "evidence in the prompt", "bar", *CATEGORIES.values()]
    titles += ["sent tokens, median", "full tokens, median", "own ms, median"]
    lines = ["| " + " | ".join(titles) + " |", "|---" * len(titles) + "|"]
    for tokens, rows in found.items():
        by_category = [share(row for row in rows if row.category == category) for category in CATEGORIES]
        medians = [median(row.sent_tokens for row in rows), median(row.full_tokens for row in rows)]
        cells = [f"{tokens:,}", share(rows), f"{BARS[tokens]:.2f}", *by_category, *(f"{x:,.0f}" for x in medians)]
        lines.append("| " + " | ".join([*cells, f"{median(row.overhead_ms for row in rows):.1f}"]) + " |")
    return "\n".join(lines)


def share(rows: Iterable[Found]) -> str:
    """Their mean share; a dash for none, as a sample may hold no question of a category."""
    shares = [row.share for row in rows]
    return f"{fmean(shares):.3f}" if shares else "–"


def main(questions_max: int | None = None) -> bool:
    """Measure and print; False if a bar is missed, True also where the data is missing (said so)."""
    source = DATA / "locomo.json"
    if not source.exists():
        print(f"LoCoMo through the proxy: skipped, {source.name} is not beside this checkout\n")
        return True
    dialogues = read_locomo(source)
    found = asyncio.run(measure(dialogues, questions_max))
    total = sum(len(rows) for rows in found.values()) // len(found)
    sample = "" if questions_max is None else f", the first {questions_max} of each conversation"
    print(f"LoCoMo through the proxy over HTTP, {len(dialogues)} conversations, {total} questions{sample}\n")
    print(render(found) + "\n")
    return all(fmean(row.share for row in rows) >= BARS[tokens] for tokens, rows in found.items())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.locomo_http")
    parser.add_argument("--questions", type=int, help="ask only the first so many of each conversation")
    sys.exit(0 if main(parser.parse_args().questions) else 1)
