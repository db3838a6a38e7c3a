"""What the proxy adds to a request, against talking to the same upstream directly, interleaved in one run.

Each case is asked alternately direct and through the proxy, so that a slow spell of the machine hits both. Quote the
ratios and differences, not the absolute times.
"""

import asyncio
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from statistics import median

import httpx

from benchmarks.serving import proxied
from proxy.demo.script import load_script

ROUNDS = 200


@dataclass(frozen=True, slots=True)
class Case:
    """A request body to repeat, and the mode to ask for."""

    name: str
    mode: str
    exchanges: int


@dataclass(frozen=True, slots=True)
class Timing:
    """Median seconds of one case, direct and through the proxy."""

    case: Case
    body_bytes: int
    direct_s: float
    proxied_s: float


CASES = (
    Case("short, passthrough", "passthrough", 1),
    Case("100 exchanges, passthrough", "passthrough", 100),
    Case("100 exchanges, compact, a new question each", "compact", 100),
)


def messages(exchanges: int, question: str) -> list[dict[str, str]]:
    """A history of so many exchanges from the demo's script, and a question after it."""
    lines = cycle(load_script().turns)
    history = []
    for number in range(exchanges - 1):
        history.append({"role": "user", "content": next(lines).say})
        history.append({"role": "assistant", "content": f"Noted as number {number}. " + "Go on, I am listening. " * 8})
    return [*history, {"role": "user", "content": question}]


async def measure(rounds: int) -> list[Timing]:
    """All cases, one after the other, on one keep-alive connection each way."""
    async with (
        proxied() as (proxy, direct, _),
        httpx.AsyncClient(base_url=proxy, timeout=60) as through,
        httpx.AsyncClient(base_url=direct, timeout=60) as straight,
    ):
        return [await _time(case, straight, through, rounds) for case in CASES]


async def _time(case: Case, straight: httpx.AsyncClient, through: httpx.AsyncClient, rounds: int) -> Timing:
    print(f"  {case.name}", file=sys.stderr)
    times: dict[httpx.AsyncClient, list[float]] = {straight: [], through: []}
    size = 0
    for number in range(rounds + 10):
        body = {"model": "bench", "messages": messages(case.exchanges, f"What was said about number {number}?")}
        for client, taken in times.items():
            request = client.build_request(
                "POST", "/v1/chat/completions", json=body, headers={"x-isocost-mode": case.mode}
            )
            size = len(request.content)
            started = time.perf_counter()
            response = await client.send(request)
            taken.append(time.perf_counter() - started)
            if response.status_code != 200 or "x-isocost-error" in response.headers:
                raise RuntimeError(f"status {response.status_code}, {response.headers.get('x-isocost-error')}")
    return Timing(case, size, median(times[straight][10:]), median(times[through][10:]))


def render(timings: Sequence[Timing]) -> str:
    """The table, in Markdown."""
    titles = ["case", "body kB", "direct ms", "proxied ms", "added ms", "ratio"]
    lines = ["| " + " | ".join(titles) + " |", "|---" * len(titles) + "|"]
    for timing in timings:
        added = timing.proxied_s - timing.direct_s
        numbers = [timing.body_bytes / 1e3, timing.direct_s * 1e3, timing.proxied_s * 1e3, added * 1e3]
        cells = [timing.case.name, *(f"{number:.2f}" for number in numbers)]
        lines.append("| " + " | ".join([*cells, f"{timing.proxied_s / timing.direct_s:.2f}"]) + " |")
    return "\n".join(lines)


def main(rounds: int = ROUNDS) -> bool:
    """Measure and print."""
    timings = asyncio.run(measure(rounds))
    print(
        f"Added by the proxy, one request at a time, median of {rounds}; client, proxy and upstream share one process\n"
    )
    print(render(timings) + "\n")
    return True


if __name__ == "__main__":
    main()
