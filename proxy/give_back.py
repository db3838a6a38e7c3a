"""Back to others: memory that was freed, to the system, as loading a model and a vocabulary leaves some 100 MB that
glibc keeps; and the interpreter, to the event loop, by threads that compute.

What asks the C library does nothing where it is another.
"""

import ctypes
import gc
import sys
from contextlib import suppress

_M_ARENA_MAX = -8
"""mallopt(3)."""

_ALLOCATED_MAX = 10_000
"""Objects made since the last look for cycles. Python's own 700 is one or two requests: a twentieth of their time; with
20,000 a look at the middle generation takes 80 ms, in which no stream is relayed."""

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
    gc.set_threshold(_ALLOCATED_MAX, *gc.get_threshold()[1:])
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
