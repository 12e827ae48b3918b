"""Huge pages: which memory is moved, and that nothing else about it changes."""

from __future__ import annotations

import asyncio
import mmap
import threading
from pathlib import Path

import pytest

from hub.ui.process import huge_pages
from hub.ui.process.huge_pages import HUGE_BYTES, collapse, prefer_huge_pages, ranges

MAPS = """\
00400000-00a00000 r-xp 00000000 08:01 131                               /usr/bin/python3.11
00a00000-01200000 rw-p 00600000 08:01 131                               /usr/bin/python3.11
01300000-01900000 rw-p 00000000 00:00 0                                 [heap]
7f0000000000-7f0000100000 rw-p 00000000 00:00 0
7f0000200000-7f0000700000 rw-p 00000000 00:00 0
7f0000800000-7f0000c00000 r--p 00000000 00:00 0
7ffd00000000-7ffd00800000 rw-p 00000000 00:00 0                         [stack]
"""
"""As proc_pid_maps(5) spells them."""


def test_whole_huge_pages_of_nameless_and_heap_memory_are_moved() -> None:
    assert ranges(MAPS) == [(0x01400000, 2 * HUGE_BYTES), (0x7F0000200000, 2 * HUGE_BYTES)]


@pytest.mark.skipif(not Path("/sys/kernel/mm/transparent_hugepage").exists(), reason="this kernel has no huge pages")
def test_what_memory_holds_survives_the_move() -> None:
    pattern = bytes(range(256)) * (4 * HUGE_BYTES // 256)
    with mmap.mmap(-1, len(pattern), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        memory.write(pattern)
        moved = collapse()
        assert memory[:] == pattern
        assert moved >= 3 * HUGE_BYTES


async def test_what_is_said_later_is_moved_too_each_time_after_twice_as_long(monkeypatch: pytest.MonkeyPatch) -> None:
    moved, loop = list[float](), asyncio.get_running_loop()
    is_enough = asyncio.Event()

    def move() -> int:
        moved.append(loop.time())
        if len(moved) == 5:
            loop.call_soon_threadsafe(is_enough.set)
        return 0

    monkeypatch.setattr(huge_pages, "collapse", move)
    monkeypatch.setattr(huge_pages, "FIRST_SECONDS", 0.01)
    prefer_huge_pages()
    await asyncio.wait_for(is_enough.wait(), timeout=30)
    assert moved[-1] - moved[0] >= 0.08


def test_hubs_of_one_process_move_what_they_hold_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two at once left no rest between."""
    (tmp_path / "maps").write_text("")
    monkeypatch.setattr(huge_pages, "MAPS", tmp_path / "maps")
    second = threading.Thread(target=collapse)
    with huge_pages.MOVING:
        second.start()
        second.join(timeout=0.5)  # with nothing to move it would end at once
        assert second.is_alive()
    second.join(timeout=30)
    assert not second.is_alive()
