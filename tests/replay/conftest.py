"""What tests of doing it again begin with: the tape of two fires."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.replay.tape import JournalTape
from tests.replay.tapes import burning, written


@pytest.fixture
async def tape(tmp_path: Path) -> JournalTape:
    return JournalTape(await written(tmp_path, burning().records))
