"""What the wire feels of the proxy: added latency, requests a second, streams side by side; each against direct.

    python -m benchmarks.wire

The proxy is a process of its own, alone on one core; client and upstream share the other. Direct and proxied requests
alternate, so that a slow spell of the machine hits both; a bare proxy (wire_bare.py) tells what the machine itself
takes. Quote differences and ratios of one run. Fails where a bar is missed.
"""

import asyncio
import sys
import time
from collections.abc import Mapping, Sequence
from statistics import median, quantiles

import uvloop

from benchmarks.wire_client import Connection, Heard
from benchmarks.wire_latency import Make, chat, measure_latency, said
from benchmarks.wire_places import OTHER_CORE, PROXY_CORE, Place, bare, isocost, mock, pin

SPAN_S = 2.0
SPANS = 3
STREAMS = 256
MIDDLE_EXCHANGES = 72
"""Some 9,000 tokens."""

RATE_MIN, COMPACT_RATE_MIN = 1_500, 100
"""Requests a second, with 64 connections and with 16."""

FIRST_MS_MAX, GAP_MS_MAX = 15, 60
"""Of streams side by side: added to the first event, and between events (99th percentile)."""


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


async def measure_rates(direct: Place, least: Place, proxy: Place) -> list[str]:
    """Requests a second with 64 connections; the bars that are missed."""
    same, fresh = chat(1), [chat(1, name=f"{place}: ") for place in range(64)]
    cases = {"the same request again": [lambda _: same(0)] * 64, "a new conversation each": fresh}
    print("\n| 64 at a time, short JSON, a second | direct | a bare proxy | isocost | processor ms a request |")
    print("|---|---:|---:|---:|---:|")
    missed = []
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
        if median(rates[2]) < RATE_MIN:
            missed.append(f"{name}: {cells[2]} a second, {RATE_MIN:,} wanted")
    return missed


async def measure_streams(places: Mapping[str, Place]) -> list[str]:
    """Paced streams side by side, direct first and ours last; the bars that are missed."""
    print(f"\n| {STREAMS} streams, an event each 20 ms | first event ms, p50 | gap ms, p99 |\n|---|---:|---:|")
    heard: dict[str, list[tuple[float, float]]] = {}
    for name, place in [*places.items()] * 3:
        said(f"{STREAMS} streams, {name}")
        to_first, gap = await side_by_side(place.port, STREAMS)
        heard.setdefault(name, []).append((to_first * 1e3, gap * 1e3))
        print(f"| {name} | {to_first * 1e3:.1f} | {gap * 1e3:.1f} |", flush=True)
    direct, *_, ours = [[median(each) for each in zip(*measured, strict=True)] for measured in heard.values()]
    missed = []
    if ours[0] - direct[0] > FIRST_MS_MAX:
        missed.append(
            f"the first event of {STREAMS} streams: {ours[0] - direct[0]:.1f} ms added, {FIRST_MS_MAX} allowed"
        )
    if ours[1] > GAP_MS_MAX:
        missed.append(f"gaps of {STREAMS} streams: {ours[1]:.1f} ms, {GAP_MS_MAX} allowed")
    return missed


async def measure_compact(upstream: Place) -> list[str]:
    """Requests a second where history is replaced, on both cores; the bar if it is missed."""
    makes = [chat(MIDDLE_EXCHANGES, mode="compact", name=f"{place}: ") for place in range(16)]
    async with isocost(upstream.port, (PROXY_CORE, OTHER_CORE)) as proxy:
        await throughput(proxy.port, makes, 10.0)
        rate = await throughput(proxy.port, makes, 5.0)
    print(f"\ncompact, 16 at a time, on two cores: {rate:,.0f} requests a second")
    return [f"compact: {rate:,.0f} a second, {COMPACT_RATE_MIN} wanted"] if rate < COMPACT_RATE_MIN else []


async def measure() -> list[str]:
    """All of it; the bars that are missed."""
    pin((OTHER_CORE,))
    async with mock() as upstream:
        async with bare(upstream.port) as least, isocost(upstream.port) as proxy:
            missed = await measure_latency((upstream, least, proxy))
            missed += await measure_rates(upstream, least, proxy)
            missed += await measure_streams({"direct": upstream, "a bare proxy": least, "isocost": proxy})
            print(f"\nmemory at the end: {proxy.rss_mb:.0f} MB")
        return missed + await measure_compact(upstream)


def main() -> bool:
    """Measure and print; True if all bars are held."""
    missed = uvloop.run(measure())
    print("\n" + ("\n".join(["Missed:", *missed]) if missed else "All bars are held."))
    return not missed


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
