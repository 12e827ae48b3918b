"""The desk of these tests, unless a file has one of its own: the community, with every rule that ships."""

from __future__ import annotations

import pytest

from tests.engine.desk import COMMUNITY, Desk, documents, unheard


@pytest.fixture
def desk() -> Desk:
    return Desk(unheard(documents(*COMMUNITY)))
