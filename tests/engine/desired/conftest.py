"""The desk of these tests: a water meter whose valve is open."""

from __future__ import annotations

import pytest

from tests.engine.desired.wishes import meter, reports
from tests.engine.desk import Desk


@pytest.fixture(scope="package")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return meter(tmp_path_factory.mktemp("rules"))


@pytest.fixture
def desk(written: dict[str, bytes]) -> Desk:
    found = Desk(written)
    reports(found, valve="open")
    return found
