"""Memory that was freed, back to the system: loading a model and a vocabulary leaves some 100 MB that glibc keeps."""

import ctypes
import gc


def give_back() -> None:
    """Does nothing where the C library is another."""
    gc.collect()
    gc.freeze()  # what is loaded stays: no later collection needs to look at it again
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return
    trim(0)
