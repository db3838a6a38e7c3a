"""Requests one at a time, direct and through the proxy: what it adds, stage by stage, in the quietest rounds.

A machine that is shared changes its speed within seconds, by a third and for all alike. So each case has eleven rounds,
and the three in which the bare proxy was fastest are taken, for all that is told of it: how fast ours was in them
decides nothing.
"""

import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean, median, quantiles

import httpx

from benchmarks.overhead import messages
from benchmarks.wire_client import Connection, Heard, post
from benchmarks.wire_places import Place

ROUNDS, QUIET_ROUNDS = 11, 3
REQUESTS = 50
"""In each round, of ours; the bare proxy has half as many."""
WARM_UP = 20
SETTLED_S = 0.2
LONG_EXCHANGES = 180
"""Some 100 kB of history."""

LEARNER_STAGES = {"learn", "ledger", "read ahead"}
"""Nobody waits for these."""

Make = Callable[[int], bytes]
"""The n-th request, as bytes."""


@dataclass(frozen=True, slots=True)
class Case:
    """Requests to repeat, one at a time. `timed` takes the time from an answer; `bar_ms` is what may be added, if that
    is bounded, beside the embedder's own time where it `embeds`."""

    name: str
    make: Make
    timed: Callable[[Heard], float]
    bar_ms: float | None = None
    embeds: bool = False


def chat(exchanges: int, *, model: str = "json", mode: str = "auto", name: str = "") -> Make:
    """Requests with so much history, a new question each."""
    history = messages(exchanges, "")[:-1]

    def make(number: int) -> bytes:
        question = {"role": "user", "content": f"{name}What was said about number {number}, and why?"}
        body = json.dumps({"model": model, "stream": model != "json", "messages": [*history, question]}).encode()
        return post(body, {"x-isocost-mode": mode})

    return make


def end(heard: Heard) -> float:
    """Until the whole answer was there."""
    return heard.end


def first(heard: Heard) -> float:
    """Until the first event was there."""
    return heard.first


def long(model: str, *, mode: str = "passthrough", name: str = "") -> Make:
    """With a long history."""
    return chat(LONG_EXCHANGES, model=model, mode=mode, name=name)


CASES = (
    Case("JSON, short", chat(1), end, 1.0),
    Case("JSON, 100 kB, passthrough", long("json"), end, 1.0),
    Case("SSE, short, the first event", chat(1, model="burst"), first, 1.0),
    Case("SSE, 100 kB, passthrough, the first event", long("burst"), first, 1.0),
    Case("SSE, short, 53 events, the last", chat(1, model="burst"), end),
    Case("SSE, short, the first event, after a pause", chat(1, model="first"), first),
    Case("SSE, 100 kB, passthrough, the first event, after a pause", long("first"), first),
    Case(
        "JSON, 100 kB, compact, a new question", chat(LONG_EXCHANGES, mode="compact", name="Compact: "), end, 3.0, True
    ),
)
"""What is asked for at once after the last answer finds all cores awake. "After a pause" of 5 ms they sleep, and waking
them four times is in the time, with any proxy."""


@dataclass(frozen=True, slots=True)
class Round:
    """Milliseconds: direct, what the bare proxy adds, what ours adds to the median and to the 90th percentile, the
    processor time of the model's thread a request, and the stages' means a request."""

    direct: float
    bare: float
    added: float
    late: float
    model: float
    stages: dict[str, float]


async def one_by_one(
    case: Case, direct: int, proxied: int, rounds: int, *, begin: int = 0
) -> tuple[list[float], list[float]]:
    """Seconds of each request, direct and proxied, numbered from `begin` and without those that warm up."""
    straight, through = await Connection.open(direct), await Connection.open(proxied)
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(begin, begin + rounds + WARM_UP):
        request = case.make(number)
        for connection, taken in zip((straight, through), times, strict=True):
            heard = await connection.ask(request)
            if heard.status != 200:
                raise RuntimeError(f"{case.name}: status {heard.status}")
            taken.append(case.timed(heard))
    straight.close()
    through.close()
    return times[0][WARM_UP:], times[1][WARM_UP:]


async def stages(port: int) -> dict[str, float]:
    """Of each stage of the proxy: seconds so far."""
    async with httpx.AsyncClient() as client:
        text = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
    lines = [line for line in text.splitlines() if line.startswith("isocost_stage_seconds_sum")]
    return {line.split('"')[1]: float(line.rsplit(" ", 1)[1]) for line in lines}


async def one_round(case: Case, places: Sequence[Place], requests: int, begin: int) -> Round:
    """`places` are the upstream, the bare proxy and ours."""
    direct, least, proxy = places
    again, bare_times = await one_by_one(case, direct.port, least.port, requests // 2)
    before, threads = await stages(proxy.port), proxy.threads_s
    straight, through = await one_by_one(case, direct.port, proxy.port, requests, begin=begin)
    after, asked = await stages(proxy.port), requests + WARM_UP
    busiest = max(spent - threads.get(thread, 0.0) for thread, spent in proxy.threads_s.items())
    return Round(
        median(straight) * 1e3,
        (median(bare_times) - median(again)) * 1e3,
        (median(through) - median(straight)) * 1e3,
        (quantiles(through, n=10)[8] - quantiles(straight, n=10)[8]) * 1e3,
        busiest / asked * 1e3,
        {stage: (seconds - before.get(stage, 0.0)) / asked * 1e3 for stage, seconds in after.items()},
    )


async def settled(proxy: Place) -> None:
    """Wait until what the case before left to be learned is learned: it is in nobody's way who asks at another time."""
    spent = -1.0
    while proxy.cpu_s - spent > SETTLED_S / 10:
        spent = proxy.cpu_s
        await asyncio.sleep(SETTLED_S)


def quietest(rounds: Sequence[Round]) -> list[Round]:
    """Those in which the bare proxy was fastest, the earlier ones of equal ones."""
    return sorted(rounds, key=lambda each: each.bare)[:QUIET_ROUNDS]


def exceeded(case: Case, quiet: Sequence[Round]) -> str:
    """Which bar the case misses; "" where it holds it, or has none."""
    added = median(each.added - (each.stages.get("embed", 0.0) if case.embeds else 0.0) for each in quiet)
    if case.bar_ms is None or added <= case.bar_ms:
        return ""
    besides = " beside the embedder's own time" if case.embeds else ""
    return f"{case.name}: {added:.2f} ms added{besides}, {case.bar_ms} allowed"


def said(text: str) -> None:
    """Progress, on the standard error."""
    print(f"  {text}", file=sys.stderr, flush=True)


async def model_alone() -> str:
    """Milliseconds that the model takes for a question, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.wire_model"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    heard, _ = await process.communicate()
    return heard.decode().strip()


async def measure_latency(places: Sequence[Place], requests: int = REQUESTS) -> list[str]:
    """Print what is added, and where the time goes; the bars that are missed."""
    for case in CASES:  # what is caught up with first is no stage's mean
        said(f"{case.name}: warm-up")
        await one_by_one(case, places[0].port, places[2].port, 0)
    rounds: dict[str, list[Round]] = {case.name: [] for case in CASES}
    for number in range(ROUNDS):  # those of one case far apart, as a slow spell may last
        said(f"one at a time, round {number + 1} of {ROUNDS}")
        for case in CASES:
            begin = WARM_UP + number * (requests + WARM_UP)
            await settled(places[2])
            rounds[case.name].append(await one_round(case, places, requests, begin))
    quiet = {name: quietest(measured) for name, measured in rounds.items()}
    print("| one at a time | direct ms | a bare proxy adds ms | isocost adds ms, p50 | p90 | p50 of all rounds |")
    print("|---|---:|---:|---:|---:|---:|")
    for name, chosen in quiet.items():
        cells = [median(getattr(each, column) for each in chosen) for column in ("direct", "bare", "added", "late")]
        cells.append(median(each.added for each in rounds[name]))
        print(f"| {name} | " + " | ".join(f"{cell:.2f}" for cell in cells) + " |", flush=True)
    last = quiet[CASES[-1].name]
    own, on_it = median(each.stages["embed"] for each in last), median(each.model for each in last)
    beside = median(each.added for each in last) - own
    print(f"\nMedians of the {QUIET_ROUNDS} of {ROUNDS} rounds in which the bare proxy was fastest. The last spends")
    print(f"{own:.2f} ms (mean) in the embedder, {beside:.2f} beside it. The embedder's thread has the processor for")
    print(f"{on_it:.2f}; in a process of its own, one question after the other, it takes {await model_alone()} (p50).")
    print_split({name: [each.stages for each in chosen] for name, chosen in quiet.items()})
    return [missed for case in CASES if (missed := exceeded(case, quiet[case.name]))]


def print_split(split: dict[str, list[dict[str, float]]]) -> None:
    """The stages of each case that a request waits for, their means over its rounds."""
    names = sorted({stage for rounds in split.values() for each in rounds for stage in each} - LEARNER_STAGES)
    print("\n| stage, mean ms a request | " + " | ".join(names) + " |\n|---" + "|---:" * len(names) + "|")
    for name, rounds in split.items():
        cells = [f"{mean(each.get(stage, 0.0) for each in rounds):.2f}" for stage in names]
        print(f"| {name} | " + " | ".join(cells) + " |")
