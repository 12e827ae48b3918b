"""`hub rules explain --at` of a moment at which no hub had worked yet: that is said, and no rule is called unknown."""

from __future__ import annotations

import asyncio

import pytest

from hub.ui.words import moment as told
from tests.engine.desk import START
from tests.replay.tapes import LOUD, SMOKE, Script, written
from tests.ui.office import Office

FIRST, BURNING = "2026-03-01T08:00:00+00:00", "2026-03-01T08:00:15+00:00"
BEGINS = f"its journal begins at {told(START)}"


@pytest.fixture
def young(office: Office) -> Office:
    """The office with the whole journal of a hub that began at eight."""
    asyncio.run(written(office.directory / "data", Script().hear(10, (LOUD, SMOKE)).tick(20).records))
    return office


@pytest.mark.parametrize("moment", ["2026-03-01T06:00:00+00:00", FIRST])
@pytest.mark.parametrize("where", [("--device", "s1/smoke-1"), ()])
def test_before_the_hub_began_no_rule_is_unknown(young: Office, moment: str, where: tuple[str, ...]) -> None:
    said = young.refused("rules", "explain", "smoke-alarm", *where, "--at", moment)
    assert ("[before_beginning]" in said, BEGINS in said, "hub rules apply" in said) == (True, True, False)


def test_once_it_has_begun_a_rule_that_is_none_is_unknown(young: Office) -> None:
    assert "unknown_rule" in young.refused("rules", "explain", "smoke-alram", "--at", BURNING)
    (found,) = young.json("rules", "explain", "smoke-alarm", "--device", "s1/smoke-1", "--at", BURNING)
    assert found["phase"] == "active"
