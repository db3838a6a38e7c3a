"""Where the wire's processes run."""

import os
import subprocess
import sys

import pytest

STARTED_BY_ONE_THAT_IS_PINNED = """
import asyncio, sys
from benchmarks.wire_places import OTHER_CORE, PROXY_CORE, pin, _started

async def main():
    pin((OTHER_CORE,))
    show = "import os; print(os.sched_getaffinity(0) == {int(core) for core in sys.argv[1:]})"
    command = [sys.executable, "-c", "import sys;" + show, str(PROXY_CORE)]
    process = await _started(command, {}, (PROXY_CORE,), asyncio.subprocess.PIPE)
    print((await process.communicate())[0].decode())

asyncio.run(main())
"""


@pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or not {0, 1} <= os.sched_getaffinity(0), reason="needs cores 0 and 1"
)
def test_a_proxy_has_its_own_core_though_whoever_starts_it_is_pinned_to_another() -> None:
    told = subprocess.run(
        [sys.executable, "-c", STARTED_BY_ONE_THAT_IS_PINNED], capture_output=True, text=True, check=True, timeout=60
    )
    assert told.stdout.split() == ["True"]
