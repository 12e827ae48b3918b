"""The heap: what is large is given back to the system as soon as nobody needs it any more, what is small is kept."""

from __future__ import annotations

import ctypes

LARGE_BYTES = 1024 * 1024
SPARE_BYTES = 4 * 1024 * 1024
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # mallopt(3)


def give_back_what_is_large() -> bool:
    """Let the C library map memory of its own for everything of a megabyte or more; False where it cannot be told.

    By itself glibc does that until the first such piece is freed, and from then on takes as much from the heap, which
    shrinks only from its end: after the checkpoints of 100,000 devices 60 MB of it were holes.

    Once told that it shrinks for each 128 KiB, and a read of a socket asks for 256: two system calls and as many page
    faults, 6 of its 9 us. So it keeps a few megabytes.
    """
    tell = getattr(ctypes.CDLL(None), "mallopt", None)
    return tell is not None and bool(tell(M_MMAP_THRESHOLD, LARGE_BYTES) and tell(M_TRIM_THRESHOLD, SPARE_BYTES))
