"""A failpoint at every await: a coroutine whose task is cancelled at the suspension that a test says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator


def _always() -> bool:
    return True


class Interrupted:
    """Awaits ``coroutine`` and cancels the task at its ``at``-th suspension of those at which something ``holds``.

    ``reached``: whether it had so many.
    """

    def __init__(
        self, coroutine: Coroutine[object, None, object], at: int, holds: Callable[[], bool] = _always
    ) -> None:
        self.reached = False
        self._coroutine = coroutine
        self._left = at
        self._holds = holds

    def __await__(self) -> Generator[object, None, None]:
        inner = self._coroutine.__await__()
        thrown: BaseException | None = None
        while True:
            try:
                waiting = next(inner) if thrown is None else inner.throw(thrown)
            except StopIteration:
                return
            if not self.reached and self._holds():
                self._left -= 1
                self.reached = self._left == 0
                if self.reached:
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
