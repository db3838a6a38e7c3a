"""Back to others: memory that was freed, to the system, as loading a model and a vocabulary leaves some 100 MB that
glibc keeps; and the interpreter, to the event loop, by threads that compute.

What asks the C library does nothing where it is another.
"""

import asyncio
import ctypes
import gc
import sys
from collections.abc import Callable
from contextlib import suppress

_M_ARENA_MAX = -8
"""mallopt(3)."""

_ALLOCATED_MAX = 3_000
"""Objects made since the last look for cycles. Python's own 700 is one or two requests: a twentieth of their time. With
10,000 a look beside a backlog took up to 55 ms, and found nothing: we make next to no cycles."""

_LOOKS_MAX = 3
"""Looks at the young before one at the middle-aged, which takes one to two microseconds an object beside a backlog."""

_NEVER = 1_000_000
"""Of those before a look at all objects, which takes 40 to 100 ms: it is for a moment when nobody is served."""

SWEEP_EVERY_S = 1.0
SWEEP_LOOKS_MIN = 30
"""So many looks at the middle-aged, some 300,000 objects made, before it is worth one at all."""
SWEEP_OVERDUE = 60
"""Seconds without such a moment."""

_SWITCH_S = 0.0005
"""Python's own 5 ms is what an event may wait for the learner's thread: with 256 streams and a backlog to learn the
first event came after 126 to 200 ms instead of 5 to 13."""


def share_one_arena() -> None:
    """Before any thread is started: by default glibc gives each its own arena, and what one frees no other uses."""
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def give_back() -> None:
    """Once all is loaded."""
    gc.collect()
    gc.freeze()  # what is loaded stays: no later collection needs to look at it again
    sys.setswitchinterval(_SWITCH_S)
    gc.set_threshold(_ALLOCATED_MAX, _LOOKS_MAX, _NEVER)
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


async def sweep_on(is_idle: Callable[[], bool], every_s: float = SWEEP_EVERY_S) -> None:
    """For ever: look for cycles among all objects when nobody is served, or when it is overdue."""
    due = 0
    while True:
        await asyncio.sleep(every_s)
        due = due + 1 if gc.get_count()[2] >= SWEEP_LOOKS_MIN else 0
        if due and (is_idle() or due >= SWEEP_OVERDUE):
            gc.collect()
