"""Waiting for a fact in tests, instead of sleeping and hoping."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable

POLL_SECONDS = 0.01
PATIENCE_SECONDS = 60
"""What must come is waited for so long, on a machine that others use too: it costs time only where a test fails."""


async def wait_until(check: Callable[[], object | Awaitable[object]], *, seconds: float = PATIENCE_SECONDS) -> object:
    """Return the first truthy value of ``check``, asked every 10 ms; AssertionError after ``seconds``.

    What takes longer to ask rests for as long as that took: who is waited for needs the processor, too.
    """
    deadline = time.perf_counter() + seconds
    while True:
        asked = time.perf_counter()
        value = check()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        now = time.perf_counter()
        if now > deadline:
            message = f"after {seconds} s still {value!r}: {_name(check)}"
            raise AssertionError(message)
        await asyncio.sleep(max(POLL_SECONDS, now - asked))  # noqa: TID251 -- the one place where tests let time pass


def _name(check: Callable[[], object]) -> str:
    try:
        return inspect.getsource(check).strip()
    except (OSError, TypeError):
        return repr(check)
