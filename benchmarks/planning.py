"""What lineage and planning take at 10 turns and at 10,000: processor time, round trips and bytes of the store.

    python -m benchmarks.planning

The proxy's own composer on SQLite, a request at a time, once everything before is learned. Parsing and hashing the
body are O(body) and shown apart; all else must not know how long the conversation is. The embedder answers at once:
it is no part of this. Before each request, short or long, another conversation's 10,000 messages are parsed: to read
4 MB empties the processor's caches, and what follows takes a third longer whoever's messages these were.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.embedding import SilentEmbedder
from benchmarks.replay import as_request, player
from config.prices import Price
from memory_core.stores import Store, open_store
from proxy.message import read_message
from proxy.options import Options
from proxy.plan import Budget

SHORT, LONG = 10, 10_000
REQUESTS = 60
WARM_UP = 10
CPU_RATIO_MAX = 1.3
STAGES = ("lineage", "count", "stand", "plan")
BUDGET = Budget(window_tokens=300, epoch_tokens=400, context_tokens=400, block_tokens=0, recall_tokens_max=400)
WORDS = [f"word{number}" for number in range(997)]
"""A prime: turns differ."""

CASES = {
    # a row by which 10 turns are worth compacting, and one by which nothing ever is
    "compact": Price("dear", "*", 1.0, "input", read=0.9, write=1.0, cacheable_min=64, step=16, ttl_s=1e9),
    "passthrough": Price("free", "*", 1.0, "input", read=1e-6, write=1.0, cacheable_min=64, step=16, ttl_s=1e9),
}


@dataclass(slots=True)
class CountedStore:
    """Counts calls, and bytes both ways, of a real store."""

    store: Store
    calls: int = 0
    bytes: int = 0
    names: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.store, name)

        async def counted(*arguments: Any) -> Any:
            answer = await method(*arguments)
            self.calls += 1
            self.bytes += _size(arguments[1:]) + _size(answer)
            self.names.append(name)
            return answer

        return counted


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one request, the median: the loop thread's ms, ours and to parse and hash; the store's calls and bytes."""

    ours_ms: float
    body_ms: float
    calls: int
    bytes: int
    mode: str


def _size(value: Any) -> int:
    if isinstance(value, bytes | str):
        return len(value)
    if isinstance(value, list | tuple):
        return sum(map(_size, value))
    return 8 if isinstance(value, int | float) else sum(_size(getattr(value, name)) for name in _fields(value))


def _fields(value: Any) -> Sequence[str]:
    return getattr(value, "__slots__", ())


def said(number: int) -> dict[str, str]:
    """A turn of some 60 tokens."""
    words = " ".join(WORDS[(number * 31 + step * 7) % len(WORDS)] for step in range(20))
    return {"role": "assistant" if number % 2 else "user", "content": f"{number}: {words}"}


async def measure(case: str, turns: int, folder: Path) -> Cost:
    """Requests that follow a conversation of so many turns, each with a new exchange."""
    price = CASES[case]
    counted = CountedStore(await open_store(f"sqlite:///{folder}/{case}{turns}.sqlite", timeout_s=60.0))
    proxy = await player(SilentEmbedder(), price, budget=BUDGET, store=counted)
    history: list[dict[str, str]] = [said(number) for number in range(turns)]
    other = [said(number) for number in range(LONG)]
    ours, bodies, calls, sizes, mode = [], [], [], [], ""
    for number in range(turns, turns + 2 * (WARM_UP + REQUESTS), 2):
        history.append(said(number))
        as_request(other)
        began = time.thread_time()
        request = as_request(history)
        parsed = time.thread_time() - began
        before, traced = [proxy.spent(stage) for stage in STAGES], proxy.spent("trace")
        counted.calls = counted.bytes = 0
        made = await proxy.composer.compose(request, Options("", None, None, ""), float(number))
        if made.error:
            raise RuntimeError(made.error)
        ours.append(sum(proxy.spent(stage) for stage in STAGES) - sum(before))
        bodies.append(parsed + proxy.spent("trace") - traced)
        calls.append(counted.calls)
        sizes.append(counted.bytes)
        mode = made.mode
        history.append(said(number + 1))
        assert made.lineage is not None
        while not await proxy.remember.learn(made.lineage, [read_message(_json(history[-1]))], float(number)):
            pass
    await proxy.composer.aclose()
    await counted.store.aclose()
    steady = slice(WARM_UP, None)
    return Cost(
        median(ours[steady]) * 1000,
        median(bodies[steady]) * 1000,
        int(median(calls[steady])),
        int(median(sizes[steady])),
        mode,
    )


def _json(message: dict[str, str]) -> bytes:
    return str(message).replace("'", '"').encode()


def main() -> bool:
    """Print the table; False if length shows."""
    held = True
    print("| case | turns | ours, ms | parse and hash, ms | store calls | store bytes | ours ÷ at 10 turns |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        for case in CASES:
            costs = [asyncio.run(measure(case, turns, Path(folder))) for turns in (SHORT, LONG)]
            for turns, cost in zip((SHORT, LONG), costs, strict=True):
                ratio = cost.ours_ms / costs[0].ours_ms
                print(
                    f"| {case} | {turns:,} | {cost.ours_ms:.3f} | {cost.body_ms:.2f} | {cost.calls} | {cost.bytes:,} |"
                    f" {ratio:.2f} |"
                )
            short, long = costs
            same = (short.calls, short.bytes) == (long.calls, long.bytes)
            held = held and same and long.ours_ms <= CPU_RATIO_MAX * short.ours_ms and short.mode == long.mode == case
    print("\nLength does not show." if held else "\nLength shows.")
    return held


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
