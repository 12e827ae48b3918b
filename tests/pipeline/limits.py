"""What the parts of a pipeline that is tried alone may hold: as a hub has it, and nothing fails."""

from __future__ import annotations

from datetime import timedelta

from hub.failpoints import NEVER
from hub.pipeline import Limits

LIMITS = Limits(
    checkpoint_messages=1_000,
    checkpoint_every=timedelta(seconds=30),
    retention=timedelta(days=7),
    retention_bytes=2**30,
    failpoints=NEVER,
)
