"""A broker that says what a test wants."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.bridge.scripted_broker import ScriptedBroker


@pytest.fixture
async def broker() -> AsyncIterator[ScriptedBroker]:
    async with ScriptedBroker().serve() as scripted:
        yield scripted
