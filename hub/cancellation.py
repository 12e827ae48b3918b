"""Cancellation: whoever was cancelled ends, also when something else has taken its place."""

from __future__ import annotations

import asyncio


def heed_cancellation() -> None:
    """Raise CancelledError where this task has been cancelled: a loop that goes on would go on for ever.

    A failure of what puts something back takes the place of the cancellation, a TaskGroup that fails while it is
    cancelled tells of its failure alone, and before Python 3.12 ``wait_for`` loses one that comes with the result.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
