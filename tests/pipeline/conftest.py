"""What tests of checkpoints are given: a community, and where a hub has its files."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.desk import UNLOCKS, Desk, with_rule


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A community in which smoke unlocks a door."""
    (tmp_path / "rules").mkdir()
    return with_rule(tmp_path / "rules", UNLOCKS)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Where a hub has its files."""
    (tmp_path / "data").mkdir()
    return tmp_path / "data"
