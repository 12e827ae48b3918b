"""What tests of the time series get: an InfluxDB store before a server that says what a test wants."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from hub.sinks.timeseries.influxdb import InfluxStore
from tests.servers.http_stub import HttpStub
from tests.sinks.timeseries.waits import PATIENT


@pytest.fixture
def deadline() -> timedelta:
    """How long an answer may take; a test of a server that hangs has its own."""
    return PATIENT


@pytest.fixture
async def store(http_stub: HttpStub, deadline: timedelta) -> AsyncIterator[InfluxStore]:
    async with InfluxStore(url=http_stub.url + "/", token="secret", org="o", bucket="hub", deadline=deadline) as opened:
        yield opened
