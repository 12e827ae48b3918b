"""Huge pages: the memory that the process has by now, on pages of 2 MiB where Linux gives them."""

from __future__ import annotations

import asyncio
import ctypes
import threading
import time
from contextlib import suppress
from pathlib import Path

MAPS = Path("/proc/self/maps")
HUGE_BYTES = 2 * 1024 * 1024
MADV_COLLAPSE = 25  # madvise(2), since Linux 6.1; not in Python's mmap

FIRST_SECONDS = 10.0
MOVING = threading.Lock()
"""Each hub of a process moves what it holds: two at once would leave no rest between."""


def prefer_huge_pages(worked: float = 0.0) -> None:
    """Move the memory onto huge pages now, and again whenever the hub has ``worked`` (s) for twice as long.

    What was loaded, and what the devices have said since: some speak all the time, some once a day. A thread that
    nobody waits for does it, 0.23 s of CPU for 86 MiB; what was moved before costs nothing.
    """
    threading.Thread(target=collapse, name="hub.huge_pages", daemon=True).start()
    wait = max(FIRST_SECONDS, worked)
    asyncio.get_running_loop().call_later(wait, prefer_huge_pages, worked + wait)


def collapse() -> int:
    """Move the heap and Python's arenas onto huge pages, one by one; return how many bytes the kernel moved.

    What 1,000 devices hold lies on more small pages than the processor remembers the addresses of: applying a message
    took 3.4 us instead of 4.4 without rules, 5.5 instead of 6.3 with four (medians, ``make bench``'s desk, a virtual
    machine). An older kernel, or one that has no huge page to give, refuses, and nothing changes. Whoever touches what
    is being moved waits, so there is a rest behind each: a loop was held for 124 ms without, for 8 to 16 with it.
    """
    advise = getattr(ctypes.CDLL(None), "madvise", None)
    if advise is None or not MAPS.exists():
        return 0
    advise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    moved = 0
    with MOVING:
        for first, size in ranges(MAPS.read_text(encoding="utf-8")):
            for start in range(first, first + size, HUGE_BYTES):
                began = time.perf_counter()
                if advise(start, HUGE_BYTES, MADV_COLLAPSE) == 0:
                    moved += HUGE_BYTES
                time.sleep(2 * (time.perf_counter() - began))
    return moved


def ranges(maps: str) -> list[tuple[int, int]]:
    """Return (start, bytes) of the whole huge pages in writable memory that is no file's and no stack."""
    found = []
    for line in maps.splitlines():
        span, rights, _, _, _, *name = line.split(maxsplit=5)
        if rights != "rw-p" or name not in ([], ["[heap]"]):
            continue
        with suppress(ValueError):
            first, beyond = (int(address, 16) for address in span.split("-"))
            first = -(-first // HUGE_BYTES) * HUGE_BYTES
            if beyond // HUGE_BYTES * HUGE_BYTES > first:
                found.append((first, beyond // HUGE_BYTES * HUGE_BYTES - first))
    return found
