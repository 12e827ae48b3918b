"""The round through the dwellings: the loop stands still for it, so it is made every few seconds, not for each page."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

from hub.app import Hub
from hub.ui.pages.observing import ROUND_NS, Rounds
from tests.clocks import ManualClock
from tests.engine.desk import NORMAL, START, Desk, device, documents, smoke

DWELLING = {"place/s1/b1": b'{"site": "s1", "place": "b1", "type": "dwelling", "parent": "", "building": ""}'}


def test_the_dwellings_are_looked_at_every_few_seconds_and_at_once_after_a_revision() -> None:
    desk, clock = Desk(documents(device("smoke-1", "smoke_sensor", "milesight/gs524n"), DWELLING)), ManualClock(START)
    rounds = Rounds(cast(Hub, SimpleNamespace(engine=desk.engine, clock=clock)))

    def covered() -> list[tuple[int, int]]:
        made = rounds.made()
        return [(made.covered[site], dwellings) for site, dwellings in made.dwellings.items()]

    assert covered() == [(0, 1)]
    desk.hear(smoke(NORMAL))
    assert covered() == [(0, 1)]
    clock.advance(ROUND_NS / 1e9)
    assert covered() == [(1, 1)]
    desk.revise(documents(device("smoke-1", "smoke_sensor", "milesight/gs524n")))
    assert covered() == []
