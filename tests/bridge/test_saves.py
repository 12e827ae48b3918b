"""How often the broker saves, which is what the hub may believe about it."""

from __future__ import annotations

from itertools import pairwise
from statistics import median

from hub.bridge.acks import SAVED_WITHIN_SECONDS
from tests.servers.mosquitto import Mosquitto
from tests.waiting import wait_until


async def test_mosquitto_saves_more_often_than_the_hub_takes_an_answered_ping_for_saved(mosquitto: Mosquitto) -> None:
    file = mosquitto.file
    saved: set[int] = set()

    def has_saved_again() -> bool:
        if file.exists():
            saved.add(file.stat().st_mtime_ns)
        return len(saved) >= 4

    await wait_until(has_saved_again)
    usual = median((late - soon) / 1e9 for soon, late in pairwise(sorted(saved)))
    assert 1.0 < usual < SAVED_WITHIN_SECONDS  # it is not the second that autosave_interval 1 seems to mean
