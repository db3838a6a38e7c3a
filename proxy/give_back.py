"""Memory that was freed, back to the system: loading a model and a vocabulary leaves some 100 MB that glibc keeps.

Both calls do nothing where the C library is another.
"""

import ctypes
import gc
from contextlib import suppress

_M_ARENA_MAX = -8
"""mallopt(3)."""


def share_one_arena() -> None:
    """Before any thread is started: by default glibc gives each its own arena, and what one frees no other uses."""
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def give_back() -> None:
    """Once all is loaded."""
    gc.collect()
    gc.freeze()  # what is loaded stays: no later collection needs to look at it again
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
