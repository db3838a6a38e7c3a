"""The built-in model alone, on the core that the proxy has: what of a compact request is the embedder's own time.

    python -m benchmarks.wire_model

prints the median in milliseconds for questions like the benchmark's, one after the other.
"""

import asyncio
import time
from statistics import median

from benchmarks.wire_places import PROXY_CORE, pin
from embedders.onnx import OnnxEmbedder
from proxy.give_back import give_back, share_one_arena

WARM_UP, ROUNDS = 20, 200


async def measure() -> float:
    """Median seconds a question."""
    embedder = await OnnxEmbedder.open(threads=1)
    give_back()
    times = []
    for number in range(WARM_UP + ROUNDS):
        started = time.perf_counter()
        await embedder.embed([f"Compact: What was said about number {number}, and why?"])
        times.append(time.perf_counter() - started)
    await embedder.aclose()
    return median(times[WARM_UP:])


def main() -> bool:
    """Measure and print."""
    share_one_arena()
    pin((PROXY_CORE,))
    print(f"{asyncio.run(measure()) * 1e3:.2f}")
    return True


if __name__ == "__main__":
    main()
