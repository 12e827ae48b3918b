"""The shortest history that is still wrong: steps are dropped, many at once and then one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def shrink(history: Sequence[T], is_wrong: Callable[[Sequence[T]], bool]) -> Sequence[T]:
    """Return what is left of ``history``, which is wrong, when no step can be dropped of it."""
    size = len(history) // 2
    while size:
        at, before = 0, len(history)
        while at < len(history):
            without = [*history[:at], *history[at + size :]]
            if is_wrong(without):
                history = without
            else:
                at += size
        if size > 1 or len(history) == before:
            size //= 2
    return history
