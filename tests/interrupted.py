"""A failpoint at every await: a coroutine whose task is cancelled at the suspension that a test says."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine, Generator


class Interrupted:
    """Awaits ``coroutine`` and cancels the task at its ``at``-th suspension; ``reached``: whether it had so many."""

    def __init__(self, coroutine: Coroutine[object, None, object], at: int) -> None:
        self.reached = False
        self._coroutine = coroutine
        self._at = at

    def __await__(self) -> Generator[object, None, None]:
        inner = self._coroutine.__await__()
        thrown: BaseException | None = None
        for count in itertools.count(1):
            try:
                waiting = next(inner) if thrown is None else inner.throw(thrown)
            except StopIteration:
                return
            if count == self._at:
                self.reached = True
                here().cancel()
            try:
                thrown = None
                yield waiting
            except asyncio.CancelledError as error:
                thrown = error


def here() -> asyncio.Task[object]:
    """Return the task that asks."""
    task = asyncio.current_task()
    assert task is not None
    return task
