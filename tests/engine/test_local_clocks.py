"""Clocks that tell a local time without its zone, in the hour that comes twice when summer ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import orjson
import pytest

from hub.model.heard import Publish
from tests.engine.desk import SECOND, Desk, device, documents

BERLIN = ZoneInfo("Europe/Berlin")
FIRST, SECOND_PASS = datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
"""Half past two there, once in summer time and once not."""
FORCED = bytes.fromhex("0000000000000000c8016602")
"""An alarm of a ZKTeco C3-400, without its time (tests/engine/test_town.py)."""


def zk(moment: datetime) -> bytes:
    """Return how such a controller there writes a moment: local, and in months of 31 days."""
    there = moment.astimezone(BERLIN)
    days = ((there.year - 2000) * 12 + there.month - 1) * 31 + there.day - 1
    return (((days * 24 + there.hour) * 60 + there.minute) * 60 + there.second).to_bytes(4, "little")


def at(desk: Desk, moment: datetime) -> None:
    desk.tick(moment.timestamp() - desk.wall / SECOND)


@pytest.mark.parametrize("moment", [FIRST, SECOND_PASS], ids=["first", "second"])
def test_an_alarm_in_the_hour_that_comes_twice_is_of_now(moment: datetime) -> None:
    ((key, body),) = device("zk", "access_controller", "zkteco/c3-400").items()
    found = documents({key: orjson.dumps(orjson.loads(body) | {"zone": "Europe/Berlin"})})
    desk = Desk({key: body for key, body in found.items() if key != "rule/device-offline"})
    for minute in range(80, 60, -1):  # the first ten messages only teach its clock
        at(desk, FIRST - timedelta(minutes=minute))
        desk.hear(
            Publish(
                "hub/s1/zk/telemetry", FORCED[:8] + bytes.fromhex("c8010000") + zk(FIRST - timedelta(minutes=minute))
            )
        )
    at(desk, moment)
    before = len(desk.events)
    desk.hear(Publish("hub/s1/zk/telemetry", FORCED + zk(moment)))
    assert [(event.name, event.late) for event in desk.events[before:]] == [("security.door_forced", False)]
