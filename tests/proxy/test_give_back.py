"""Freed memory leaves the process where glibc is the C library."""

import subprocess
import sys

import pytest

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
