"""How long tests of the time series wait for an answer."""

from __future__ import annotations

from datetime import timedelta

from tests.waiting import PATIENCE_SECONDS

SOON, PATIENT = timedelta(seconds=1), timedelta(seconds=PATIENCE_SECONDS)
