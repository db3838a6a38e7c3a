"""Memory that was freed, back to the system: loading a model and a vocabulary leaves some 100 MB that glibc keeps.

What asks the C library does nothing where it is another.
"""

import ctypes
import gc
from contextlib import suppress

_M_ARENA_MAX = -8
"""mallopt(3)."""

_ALLOCATED_MAX = 20_000
"""Objects made since the last look for cycles. Python's own 700 is one or two requests: a fifteenth of their time."""


def share_one_arena() -> None:
    """Before any thread is started: by default glibc gives each its own arena, and what one frees no other uses."""
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def give_back() -> None:
    """Once all is loaded."""
    gc.collect()
    gc.freeze()  # what is loaded stays: no later collection needs to look at it again
    gc.set_threshold(_ALLOCATED_MAX, *gc.get_threshold()[1:])
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
