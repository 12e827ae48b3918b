"""The desk of these tests: a car, a lane and a gate that interlocks watch over."""

from __future__ import annotations

import pytest

from tests.engine.desk import Desk
from tests.engine.interlocks.interlocked import content


@pytest.fixture
def desk() -> Desk:
    return Desk(content())
