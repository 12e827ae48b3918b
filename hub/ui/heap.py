"""The heap: what is large is given back to the system as soon as nobody needs it any more."""

from __future__ import annotations

import ctypes

LARGE_BYTES = 1024 * 1024
M_MMAP_THRESHOLD = -3  # mallopt(3)


def give_back_what_is_large() -> bool:
    """Let the C library map memory of its own for everything of a megabyte or more; False where it cannot be told.

    By itself glibc does that until the first such piece is freed, and from then on takes as much from the heap, which
    shrinks only from its end: after the checkpoints of 100,000 devices 60 MB of it were holes.
    """
    tell = getattr(ctypes.CDLL(None), "mallopt", None)
    return tell is not None and bool(tell(M_MMAP_THRESHOLD, LARGE_BYTES))
