"""What the wire feels of the proxy: added latency, requests a second, streams side by side; each against direct.

    python -m benchmarks.wire

The proxy is a process of its own, alone on one core; client and upstream share the other. Direct and proxied requests
alternate, so that a slow spell of the machine hits both; a bare proxy (wire_bare.py) tells what the machine itself
takes. Quote differences and ratios of one run.
"""

import asyncio
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles

import httpx
import uvloop

from benchmarks.overhead import messages
from benchmarks.wire_client import Connection, Heard, post
from benchmarks.wire_places import OTHER_CORE, PROXY_CORE, Place, bare, isocost, mock, pin

ROUNDS = 300
WARM_UP = 20
SPAN_S = 2.0
SPANS = 3
STREAMS = 256
LONG_EXCHANGES = 180
"""Some 100 kB of history."""
MIDDLE_EXCHANGES = 72
"""Some 9,000 tokens."""

Make = Callable[[int], bytes]
"""The n-th request, as bytes."""


@dataclass(frozen=True, slots=True)
class Case:
    """Requests to repeat, one at a time. `timed` takes the time from an answer."""

    name: str
    make: Make
    timed: Callable[[Heard], float]


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


CASES = (
    Case("JSON, short", chat(1), end),
    Case("JSON, 100 kB, passthrough", chat(LONG_EXCHANGES, mode="passthrough"), end),
    Case("SSE, short, first event", chat(1, model="first"), first),
    Case("SSE, 100 kB, passthrough, first event", chat(LONG_EXCHANGES, model="first", mode="passthrough"), first),
    Case("SSE, short, 53 events at once, the first", chat(1, model="burst"), first),
    Case(
        "SSE, 100 kB, passthrough, 53 events at once, the first",
        chat(LONG_EXCHANGES, model="burst", mode="passthrough"),
        first,
    ),
    Case("SSE, short, 53 events at once, the last", chat(1, model="burst"), end),
    Case("JSON, 100 kB, compact, a new question", chat(LONG_EXCHANGES, mode="compact", name="Compact: "), end),
)
"""A "first event" is followed by a pause of some milliseconds, so that all cores sleep before each request, and waking
them is in its time; what comes at once is asked for again at once, as JSON is."""


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


async def throughput(port: int, makes: Sequence[Make], span_s: float = SPAN_S) -> float:
    """Requests a second, one connection for each of `makes`."""
    connections = [await Connection.open(port) for _ in makes]
    until = time.perf_counter() + span_s
    done = 0

    async def ask(connection: Connection, make: Make) -> None:
        nonlocal done
        number = 0
        while time.perf_counter() < until:
            if (await connection.ask(make(number))).status != 200:
                raise RuntimeError("an answer that is not 200")
            number += 1
            done += 1

    started = time.perf_counter()
    await asyncio.gather(*map(ask, connections, makes))
    rate = done / (time.perf_counter() - started)
    for connection in connections:
        connection.close()
    return rate


async def side_by_side(port: int, streams: int) -> tuple[float, float]:
    """Paced streams begun within a second: median seconds to the first event, 99th percentile of the gaps."""
    request = chat(1, model="paced")
    connections = [await Connection.open(port) for _ in range(streams)]

    async def ask(number: int) -> Heard:
        await asyncio.sleep(number / streams)
        return await connections[number].ask(request(number))

    heard = await asyncio.gather(*map(ask, range(streams)))
    for connection in connections:
        connection.close()
    gaps = [gap for each in heard for gap in each.gaps]
    return median(each.first for each in heard), quantiles(gaps, n=100)[98]


async def stages(port: int) -> dict[str, tuple[float, float]]:
    """Of each stage of the proxy: seconds and times so far."""
    async with httpx.AsyncClient() as client:
        text = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
    found: dict[str, list[float]] = {}
    for line in text.splitlines():
        for place, name in enumerate(("isocost_stage_seconds_sum", "isocost_stage_seconds_count")):
            if line.startswith(name):
                found.setdefault(line.split('"')[1], [0.0, 0.0])[place] = float(line.rsplit(" ", 1)[1])
    return {stage: (sums[0], sums[1]) for stage, sums in found.items()}


def said(text: str) -> None:
    """Progress, on the standard error."""
    print(f"  {text}", file=sys.stderr, flush=True)


async def model_alone() -> str:
    """Milliseconds that the model takes for a question, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.wire_model"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    heard, _ = await process.communicate()
    return heard.decode().strip()


async def measure_latency(direct: Place, least: Place, proxy: Place, rounds: int) -> None:
    """The first table, and where the time goes."""
    print(
        "| one at a time | direct ms | a bare proxy adds ms | isocost adds ms, p50 | p90 |\n|---|---:|---:|---:|---:|"
    )
    split: dict[str, dict[str, float]] = {}
    for case in CASES:
        said(case.name)
        again, bare_times = await one_by_one(case, direct.port, least.port, rounds // 2)
        await one_by_one(case, direct.port, proxy.port, 0)  # what the first request catches up with is no stage's mean
        before, threads = await stages(proxy.port), proxy.threads_s
        straight, through = await one_by_one(case, direct.port, proxy.port, rounds, begin=WARM_UP)
        after = await stages(proxy.port)
        busiest = max(spent - threads.get(thread, 0.0) for thread, spent in proxy.threads_s.items())
        split[case.name] = {
            stage: (after[stage][0] - before.get(stage, (0, 0))[0]) / (rounds + WARM_UP) * 1e3 for stage in after
        }
        added = (
            median(straight),
            median(bare_times) - median(again),
            median(through) - median(straight),
            quantiles(through, n=10)[8] - quantiles(straight, n=10)[8],
        )
        print(f"| {case.name} | " + " | ".join(f"{value * 1e3:.2f}" for value in added) + " |", flush=True)
    model = f"{busiest / (rounds + WARM_UP) * 1e3:.2f}"
    print(f"\nOf the last the model's thread has the processor for {model} ms (mean); in a process of its own,")
    print(f"one question after the other on the same core, it takes {await model_alone()} ms (p50).")
    names = sorted({name for stage in split.values() for name in stage})
    print("\n| stage, mean ms a request | " + " | ".join(names) + " |\n|---" + "|---:" * len(names) + "|")
    for name, spent in split.items():
        print(f"| {name} | " + " | ".join(f"{spent.get(stage, 0.0):.2f}" for stage in names) + " |")


async def measure_rates(direct: Place, least: Place, proxy: Place) -> None:
    """Requests a second with 64 connections."""
    same, fresh = chat(1), [chat(1, name=f"{place}: ") for place in range(64)]
    cases = {"the same request again": [lambda _: same(0)] * 64, "a new conversation each": fresh}
    print("\n| 64 at a time, short JSON, a second | direct | a bare proxy | isocost | processor ms a request |")
    print("|---|---:|---:|---:|---:|")
    for name, makes in cases.items():
        said(name)
        rates: tuple[list[float], list[float], list[float]] = ([], [], [])
        spent = asked = 0.0
        for _ in range(SPANS):
            for place, into in zip((direct, least, proxy), rates, strict=True):
                before = proxy.cpu_s
                into.append(await throughput(place.port, makes))
            spent += proxy.cpu_s - before
            asked += rates[2][-1] * SPAN_S
        cells = [f"{median(rate):,.0f}" for rate in rates]
        print(f"| {name} | " + " | ".join(cells) + f" | {spent / asked * 1e3:.2f} |", flush=True)


async def measure_streams(places: Mapping[str, Place]) -> None:
    """Paced streams side by side."""
    print(f"\n| {STREAMS} streams, an event each 20 ms | first event ms, p50 | gap ms, p99 |\n|---|---:|---:|")
    for name, place in [*places.items()] * 3:
        said(f"{STREAMS} streams, {name}")
        to_first, gap = await side_by_side(place.port, STREAMS)
        print(f"| {name} | {to_first * 1e3:.1f} | {gap * 1e3:.1f} |", flush=True)


async def measure_compact(upstream: Place) -> None:
    """Requests a second where history is replaced, on both cores."""
    makes = [chat(MIDDLE_EXCHANGES, mode="compact", name=f"{place}: ") for place in range(16)]
    async with isocost(upstream.port, (PROXY_CORE, OTHER_CORE)) as proxy:
        await throughput(proxy.port, makes, 10.0)
        rate = await throughput(proxy.port, makes, 5.0)
    print(f"\ncompact, 16 at a time, on two cores: {rate:,.0f} requests a second")


async def measure(rounds: int = ROUNDS) -> None:
    """All of it."""
    pin((OTHER_CORE,))
    async with mock() as upstream:
        async with bare(upstream.port) as least, isocost(upstream.port) as proxy:
            await measure_latency(upstream, least, proxy, rounds)
            await measure_rates(upstream, least, proxy)
            await measure_streams({"direct": upstream, "a bare proxy": least, "isocost": proxy})
            print(f"\nmemory at the end: {proxy.rss_mb:.0f} MB")
        await measure_compact(upstream)


def main() -> bool:
    """Measure and print."""
    uvloop.run(measure())
    return True


if __name__ == "__main__":
    main()
