"""Lets a process of ours run for the length of a block; an error of one of its tasks ends the block."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Protocol


class Stoppable(Protocol):
    """Works until it is told to stop, then finishes what it has in hand."""

    def run(self) -> Coroutine[Any, Any, None]: ...

    def stop(self) -> None: ...


@asynccontextmanager
async def running(it: Stoppable) -> AsyncIterator[None]:
    """Run ``it``; at the end stop it and wait until it has ended."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(it.run())
        try:
            yield
        finally:
            it.stop()
            await asyncio.wait([task])
