"""Freed memory leaves the process where glibc is the C library."""

import asyncio
import gc
import subprocess
import sys
import weakref

import pytest

from proxy.give_back import SWEEP_LOOKS_MIN, sweep_on

SCRIPT = """
import ctypes
from proxy.give_back import give_back, share_one_arena
def rss_kb():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS"))
share_one_arena()
kept = [[bytes([n % 256]) * 2000 for n in range(100)] for _ in range(500)]  # more than Python's own allocator takes
pins = [each.pop() for each in kept]  # the last of each hundred stays, and so the heap keeps its height
full = rss_kb()
del kept
give_back()
print(full, rss_kb())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_what_was_freed_is_given_back():
    ended = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    full, after = map(int, ended.stdout.split())
    assert full - after > 50_000


class Knot:
    """One of a cycle."""

    def __init__(self):
        self.own = self


async def test_cycles_among_what_is_old_go_when_nobody_is_served():
    busy, before = True, gc.get_threshold()
    gc.collect()
    gc.set_threshold(100, 1, 1_000_000)  # no look at all objects but the sweeper's
    sweeping = asyncio.create_task(sweep_on(lambda: not busy, every_s=0.01))
    try:
        knot = Knot()
        old = weakref.ref(knot)
        gc.collect(1)  # it grows old, and only then is let go
        gc.collect(1)
        del knot
        while gc.get_count()[2] < SWEEP_LOOKS_MIN:
            gc.collect(1)
        await asyncio.sleep(0.1)
        assert old() is not None
        busy = False
        async with asyncio.timeout(5):
            while old() is not None:
                await asyncio.sleep(0.01)
    finally:
        gc.set_threshold(*before)
        sweeping.cancel()
