"""`python -m benchmarks`: every quick measurement that needs nothing but this checkout and its data, in one go.

`--full` runs LongMemEval-S over all its rows and replays every conversation, which takes hours. The measurement of a
real model and the soak are commands of their own.
"""

import argparse
import platform
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial

Measurement = Callable[[], bool]
"""Prints its table; False if a bar is missed."""


def measurements(*, full: bool) -> Mapping[str, Measurement]:
    """All, by their headings, the quickest first."""
    # imported here, so that --help answers at once
    from benchmarks import (
        bias,
        cast,
        coverage_plot,
        literals,
        locomo_http,
        longmemeval_http,
        memory,
        overhead,
        phases_plot,
        planning,
        recall_ablation,
        replay,
        retention,
        routing,
        snapshot,
        wire,
    )

    rows = None if full else longmemeval_http.SAMPLE_ROWS
    return {
        "What the proxy adds": overhead.main,
        "What the wire feels": wire.main,
        "What memory costs a turn": memory.main,
        "What lineage and planning take": planning.main,
        "Literals": literals.main,
        "Bias": bias.main,
        "Phases": phases_plot.main,
        "Routing": routing.main,
        "Retention": retention.main,
        "Snapshots": snapshot.main,
        "Elliptical questions": cast.main,
        "Evidence by tokens": coverage_plot.main,
        "Ablation of recall": recall_ablation.main,
        "LoCoMo": locomo_http.main,
        "What a conversation costs": partial(replay.main, full=full),
        "LongMemEval-S": partial(longmemeval_http.main, rows),
    }


def run(named: Mapping[str, Measurement]) -> list[str]:
    """Print each under its heading; the headings of those that missed a bar."""
    missed = []
    for heading, measure in named.items():
        print(f"## {heading}\n", flush=True)
        started = time.monotonic()
        if not measure():
            missed.append(heading)
        print(f"{time.monotonic() - started:.0f} s\n", flush=True)
    return missed


def main() -> int:
    """0 if every bar is held, else 1."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--full", action="store_true", help="all rows and conversations, not a sample")
    arguments = parser.parse_args()
    print(f"{platform.machine()}, Python {platform.python_version()}\n")
    missed = run(measurements(full=arguments.full))
    print(f"Bars missed: {', '.join(missed)}" if missed else "Every bar is held.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
