"""What a real engine says: one chat of 100 turns straight to it and once through isocost, both resending all they know.

    python -m benchmarks.real_model --direct http://127.0.0.1:8081 --proxy http://127.0.0.1:8400 \\
        --store sqlite:///memory.sqlite --rows rows.csv --plot plot.svg

`examples/real_model.sh` starts both. One conversation has the engine's only slot to itself, so its prefix cache stays
warm: the rival is cached full history. Each path keeps its own answers, as clients do. That favours direct, whose
answers lie in the cache as they were generated, while isocost's stand behind a recall that the next prompt lacks.

The user pastes about 390 tokens a turn and gets 24 back. Why so many: a token at position p takes this engine about
6.5 + .00175 p ms (one thread, no flash attention: with it 6.2 + .00213 p, the slower one from p = 800 on). Direct pays
that for each pasted token at an ever higher p, isocost for paste, last answer and up to 440 tokens of recall at p below
5,000, and rewrites some 2,000 tokens every ten turns. From this follows that isocost becomes the faster one near turn
90 with pastes of 200 tokens, 60 with 250, 35 with 350: the more is prefilled a turn, the dearer is depth.
Answers beyond 8,192 tokens are nonsense, since the model was trained for no more; what is measured is time.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from benchmarks.real_model_client import Turn, Way, ask, ask_cold, chat, messages_at
from benchmarks.real_model_notes import pastes
from benchmarks.real_model_plot import draw
from benchmarks.real_model_rows import (
    Sample,
    agreement,
    cold_table,
    late,
    of_path,
    remark,
    warm_table,
    with_estimates,
    write_rows,
)
from memory_core.stores import open_store
from proxy.ledger import Row, decode_row

PASTE_CHARS = 1_100

RUN_TIMEOUT_S = 7_200.0
"""Four times what the chats should take: an engine that swaps or shares its core must not hold a machine for a day."""

LEDGER_TIMEOUT_S = 20.0
"""The ledger is written after the answer, by a worker of its own."""


@dataclass(slots=True)
class Run:
    """One run: the two ways, what the user says, and what has been measured so far, kept in `file` turn by turn."""

    ways: tuple[Way, Way]
    says: Sequence[str]
    answer_tokens: int
    file: Path | None
    samples: list[Sample] = field(default_factory=list)

    async def play(self, client: httpx.AsyncClient, way: Way) -> list[Turn]:
        """The whole chat on one way."""
        # both chats begin alike: without another prompt between, the second would find the first's prefix cached
        await ask(client, self.ways[0], [{"role": "user", "content": "Hello"}], {"max_tokens": 1})
        turns: list[Turn] = []
        began = time.monotonic()
        async with aclosing(chat(client, way, self.says, answer_tokens=self.answer_tokens)) as answers:
            async for turn in answers:
                turns.append(turn)
                self.samples.append(Sample.of(way.name, len(turns), turn))
                self.keep()
                tokens, seconds = turn.usage.prompt_tokens, time.monotonic() - began
                _progress(f"{way.name}: turn {len(turns)} of {len(self.says)}, {tokens:,} tokens, {seconds:.0f} s")
        print(file=sys.stderr)
        return turns

    def keep(self) -> None:
        """Write what there is: half an hour is too long to lose it."""
        if self.file is not None:
            write_rows(self.samples, self.file)

    def report(self) -> str:
        """Tables and sentences about both chats."""
        direct, proxied = (of_path(self.samples, way.name) for way in self.ways)
        parts = (warm_table(direct, proxied), late(direct, proxied), agreement(proxied), remark(direct, proxied))
        return "\n\n".join(part for part in parts if part)

    async def cold(self, client: httpx.AsyncClient, chats: Sequence[Sequence[Turn]], numbers: Sequence[int]) -> str:
        """Those turns of both chats again, without the engine's prefix cache."""
        again: list[list[Sample]] = []
        for way, turns in zip(self.ways, chats, strict=True):
            again.append([])
            answers = [turn.text for turn in turns]
            for number in numbers:
                turn = await ask_cold(client, way, messages_at(self.says, answers, number))
                again[-1].append(Sample.of(way.name, number, turn))
                _progress(f"{way.name}, cold: turn {number}, {turn.first_token_ms / 1000:.1f} s")
            print(file=sys.stderr)
        return cold_table(*again)


async def ledger(store_url: str, conversation: str, turns: int, timeout_s: float = LEDGER_TIMEOUT_S) -> list[Row]:
    """The conversation's rows, once that of its last turn is among them; raises TimeoutError if it does not come."""
    store = await open_store(store_url)
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                found = [decode_row(row) for row in await store.rows(conversation, 2 * turns)]
                if any(row.turn == 2 * turns - 1 for row in found):
                    return found
                await asyncio.sleep(0.2)
    finally:
        await store.aclose()


def _progress(line: str) -> None:
    print(f"\r{line:<72}", end="", file=sys.stderr, flush=True)


async def measure(run: Run, args: argparse.Namespace) -> None:
    """Both chats, what the ledger says of the second, the report on stdout, the drawing; then turns cold, if asked."""
    # trust_env off: a proxy from the environment must not stand between the client and its own machine
    # a new connection each: see TRIES
    limits = httpx.Limits(max_keepalive_connections=0)
    async with (
        asyncio.timeout(RUN_TIMEOUT_S),
        httpx.AsyncClient(timeout=args.timeout_s, trust_env=False, limits=limits) as client,
    ):
        chats = [await run.play(client, way) for way in run.ways]
        conversation = chats[1][-1].isocost.get("conversation", "")
        if args.store and conversation:
            rows = await ledger(args.store, conversation, len(run.says))
            run.samples = with_estimates(run.samples, {row.turn: row.cached_tokens for row in rows if row.status < 400})
            run.keep()
        print(run.report(), flush=True)
        if args.plot is not None:
            draw(run.samples, args.plot)
        if args.cold:
            print(f"\n{await run.cold(client, chats, args.cold)}")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.real_model", description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--direct", required=True, metavar="URL", help="the engine, without /v1")
    add("--proxy", required=True, metavar="URL", help="isocost in front of it, without /v1")
    add("--store", metavar="URL", help="isocost's store, for its own estimate of what was cached")
    add("--mode", choices=("auto", "compact"), default="auto", help="of isocost (auto)")
    add("--turns", type=int, default=100, help="user turns to play (100)")
    add("--paste-chars", type=int, default=PASTE_CHARS, help=f"length of what the user pastes ({PASTE_CHARS})")
    add("--answer-tokens", type=int, default=24, help="the most that the model answers (24)")
    add("--cold", type=int, nargs="*", default=[], metavar="TURN", help="ask these turns again without the cache")
    add("--rows", type=Path, metavar="FILE.csv", help="keep the figures of each turn, as they come")
    add("--plot", type=Path, metavar="FILE.svg", help="draw them, too")
    add("--timeout-s", type=float, default=1_200.0, help="longest silence of an answer, in seconds (1,200)")
    args = parser.parse_args()
    if args.turns < 1 or any(not 1 <= number <= args.turns for number in args.cold):
        parser.error("turns count from 1, and only those that were played can be asked again")
    ways = (
        Way("direct", args.direct.rstrip("/"), {}),
        Way("isocost", args.proxy.rstrip("/"), {"x-isocost-mode": args.mode}),
    )
    asyncio.run(measure(Run(ways, pastes(args.turns, args.paste_chars), args.answer_tokens, args.rows), args))


if __name__ == "__main__":
    main()
