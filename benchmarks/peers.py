"""The same requests through another gateway, in the same run on the same cores: `make bench-peers`.

    .venv/bin/python -m benchmarks.peers --litellm .venv-peers/bin/litellm

LiteLLM's proxy as it is fastest: one worker, no database, no callbacks, no retries.
"""

import argparse
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median

import uvloop

from benchmarks.wire import throughput
from benchmarks.wire_client import KEY
from benchmarks.wire_latency import Case, chat, end, first, one_by_one, said
from benchmarks.wire_places import OTHER_CORE, PROXY_CORE, Place, free_port, isocost, mock, pin, running

ROUNDS = 150
SPAN_S = 3.0
SPANS = 3

LATENCY_SHARE_MAX = 0.2
"""Of what the peer adds, so much at most may we add."""

RATE_FACTOR_MIN = 5.0
"""So many times its requests a second we should hold."""

CASES = (
    Case("JSON, short", chat(1), end),
    Case("SSE, short, first event", chat(1, model="first"), first),
    Case("SSE, short, 53 events at once, the last", chat(1, model="burst"), end),
)


@asynccontextmanager
async def litellm(command: Path, upstream: int) -> AsyncIterator[Place]:
    """LiteLLM's proxy in front of the mock."""
    models = "".join(
        f"  - model_name: {name}\n    litellm_params:\n      model: openai/{name}\n"
        f"      api_base: http://127.0.0.1:{upstream}/v1\n      api_key: bench\n"
        for name in ("json", "first", "burst")
    )
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.yaml"
        config.write_text(f"model_list:\n{models}litellm_settings:\n  num_retries: 0\n  telemetry: false\n")
        port = free_port()
        arguments = [str(command), "--config", str(config), "--port", str(port), "--host", "127.0.0.1"]
        environment = {"LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MASTER_KEY": KEY}
        async with running(
            [*arguments, "--num_workers", "1"], environment, (PROXY_CORE,), port, "/health/liveliness"
        ) as place:
            yield place


async def measure(command: Path) -> bool:
    """Both, alternating; True if the bars are held."""
    pin((OTHER_CORE,))
    held = True
    async with mock() as upstream, isocost(upstream.port) as ours, litellm(command, upstream.port) as theirs:
        print("| one at a time | direct ms | isocost adds ms | LiteLLM adds ms | ratio |\n|---|---:|---:|---:|---:|")
        for case in CASES:
            said(case.name)
            direct, own = await one_by_one(case, upstream.port, ours.port, ROUNDS)
            again, other = await one_by_one(case, upstream.port, theirs.port, ROUNDS)
            added, peer = median(own) - median(direct), median(other) - median(again)
            held = held and added <= LATENCY_SHARE_MAX * peer
            cells = [f"{value * 1e3:.2f}" for value in (median(direct), added, peer)]
            print(f"| {case.name} | " + " | ".join(cells) + f" | {added / peer:.3f} |", flush=True)
        rates: tuple[list[float], list[float]] = ([], [])
        for _ in range(SPANS):
            for place, into in zip((ours, theirs), rates, strict=True):
                said("64 at a time")
                into.append(await throughput(place.port, [chat(1)] * 64, SPAN_S))
        factor = median(rates[0]) / median(rates[1])
        held = held and factor >= RATE_FACTOR_MIN
        print(f"\n64 at a time, requests a second: {median(rates[0]):,.0f} and {median(rates[1]):,.0f}, {factor:.1f} x")
        print(f"memory: {ours.rss_mb:.0f} and {theirs.rss_mb:.0f} MB")
    return held


def main() -> int:
    """0 if the bars are held, else 1."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers")
    parser.add_argument("--litellm", type=Path, required=True, help="its command")
    return 0 if uvloop.run(measure(parser.parse_args().litellm)) else 1


if __name__ == "__main__":
    sys.exit(main())
