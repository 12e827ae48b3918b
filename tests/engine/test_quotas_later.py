"""Quotas later: a restart changes nothing of them, and one that is taken away or changed is forgotten."""

from __future__ import annotations

from collections.abc import Sequence

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.engine.meters import Quota, write_quota
from hub.model.heard import Publish
from tests.engine.desk import ALARM, NORMAL, Desk, device, documents, encoded, smoke
from tests.engine.flooding import SMALL, TOWN, flood, named, points, room, town
from tests.engine.foreign import CAMERA, RAW


def test_a_quota_that_is_taken_away_lets_the_loud_one_say_all_again() -> None:
    desk = Desk(TOWN)
    flood(desk, 30)
    before = len(points(desk))
    assert desk.engine.state.ledger.thinned
    desk.revise(town(Quota()))
    flood(desk, 10)
    assert len(points(desk)) - before == 400


def test_a_checkpoint_says_something_of_meters_only_while_there_are_some_so_that_a_former_version_can_read_it() -> None:
    desk = Desk(TOWN)
    desk.write_down()
    assert "meters" not in desk.checkpoint
    flood(desk, 30)
    desk.write_down()
    assert "meters" in desk.checkpoint
    later = desk.restart()
    later.tick(60)
    later.write_down()
    assert "meters" not in later.checkpoint


CHANGES = {
    "profile": "test/changes", "version": "1.0.0", "kind": "environment_sensor", "label": {"en": "c"},
    "payload": {"format": "json"}, "time": {"from": "none"}, "properties": {"temperature": {"path": "t"}},
    "store": {"on_change": True},
}  # fmt: skip


def test_what_a_tick_stored_is_what_was_stored_last_also_after_a_restart() -> None:
    found = documents(device("room-1", "environment_sensor", "test/changes"), write_quota(SMALL))
    alone = {key: body for key, body in found.items() if not key.startswith(("profile/", "rule/", "scene/"))}
    desk = Desk({**alone, "profile/test/changes": orjson.dumps(CHANGES)})

    def say(desk: Desk, *degrees: float) -> None:
        desk.hear(*(Publish("hub/s1/room-1/telemetry", orjson.dumps({"t": each})) for each in degrees))

    for _ in range(40):
        say(desk, *(number % 7 + 1.0 for number in range(40)))
        desk.tick(1)
    say(desk, *[1.0, 2.0] * 60)
    stored = points(desk)[-1]["temperature"]
    desk.write_down()
    desk.tick(1)
    assert (stored, points(desk)[-1]) == (1.0, {"temperature": 2.0})
    desk.write_down()
    desk.tick(300)
    later = desk.restart()
    for each in (desk, later):
        say(each, 1.0)
        assert points(each)[-1:] == [{"temperature": 1.0}]


def test_a_device_of_a_foreign_network_is_charged_from_its_first_message_after_a_restart_on() -> None:
    camera = documents(RAW, CAMERA, write_quota(Quota(per_second=5, burst=2_000)))
    desk = Desk({key: body for key, body in camera.items() if not key.startswith(("rule/", "scene/"))})
    said = [Publish("vendor/s1/cam-1/up", bytes.fromhex(ALARM))] * 100
    desk.hear(*said)
    later = desk.restart()
    start = len(desk.effects)
    for each in (desk, later):
        for _ in range(25):
            each.hear(*said)
            each.hear(*said)
            each.tick(1)
    assert desk.engine.state.ledger.thinned > 0
    assert encoded(later.effects) == encoded(desk.effects[start:])


@pytest.mark.parametrize("was_there", [True, False], ids=["removed and added again", "adopted"])
def test_who_comes_while_it_is_over_is_counted_on_as_after_a_restart(*, was_there: bool) -> None:
    without = {key: body for key, body in TOWN.items() if key != "device/s1/room-1"}
    desk = Desk(TOWN if was_there else without)
    flood(desk, 60)
    if was_there:
        desk.hear(room(1))
        desk.revise(without)
    desk.revise(TOWN)
    later = desk.restart()
    start = len(desk.effects)
    for each in (desk, later):
        flood(each, 3)
    assert encoded(later.effects) == encoded(desk.effects[start:])
    assert len(points(later)) < 60


def test_who_was_over_a_quota_that_is_taken_away_is_over_it_no_longer() -> None:
    desk = Desk(TOWN)
    flood(desk, 60)
    desk.revise(town(Quota()))
    desk.tick(1)
    assert len(named(desk, "device.within_quota")) == 1
    assert desk.engine.state.meters.by_device == {}


@pytest.mark.parametrize("quota", [Quota(1e-300), Quota(1e-9)])
def test_a_quota_that_nobody_means_stops_nobody_and_can_be_written_down(quota: Quota) -> None:
    desk = Desk(town(quota))
    flood(desk, 10)
    assert len(points(desk)) == 400
    later = desk.restart()
    flood(later, 1)
    assert len(points(later)) == 40


SAYINGS = st.lists(
    st.tuples(
        st.sampled_from(["room-1", "room-1", "room-1", "garbage", "smoke", "stranger", "tick", "lose", "catch up"]),
        st.integers(1, 90),
    ),
    max_size=40,
)


def _say(desk: Desk, words: Sequence[tuple[str, int]]) -> None:
    for what, count in words:
        match what:
            case "tick":
                desk.tick(count / 30)
            case "lose":
                desk.lose()
            case "catch up":
                desk.catch_up(len(desk.records))
            case "smoke":
                desk.hear(*(smoke(ALARM if count % 2 else NORMAL) for _ in range(count)))
            case "garbage":
                desk.hear(*(Publish("hub/s1/room-1/telemetry", b"{") for _ in range(count)))
            case name:
                desk.hear(*(room(number, name=name) for number in range(count)))


def _restarted(before: Sequence[tuple[str, int]], after: Sequence[tuple[str, int]]) -> Desk:
    """Return a desk that was restarted between the two; what came of it is what came of one that was not."""
    desk = Desk(TOWN)
    _say(desk, before)
    other = desk.restart()
    others_start = len(desk.effects)
    _say(desk, after)
    _say(other, after)
    assert encoded(other.effects) == encoded(desk.effects[others_start:])
    assert other.engine.state.meters == desk.engine.state.meters
    ledger = desk.engine.state.ledger
    assert (ledger.is_balanced, other.engine.state.ledger) == (True, ledger)
    return other


def test_a_restart_amid_a_flood_comes_to_the_same_bytes() -> None:
    flooded = [("room-1", 90), ("tick", 30)] * 9
    desk = _restarted(flooded, [("room-1", 90), ("tick", 30), ("garbage", 90), ("smoke", 5), ("tick", 90)])
    assert (desk.engine.state.ledger.thinned > 0, desk.engine.state.ledger.refused > 0) == (True, True)


@settings(max_examples=30)
@given(before=SAYINGS, after=SAYINGS)
def test_the_ledger_adds_up_and_a_restart_comes_to_the_same_bytes_whatever_is_said(
    before: Sequence[tuple[str, int]], after: Sequence[tuple[str, int]]
) -> None:
    _restarted(before, after)


def test_what_was_kept_of_one_that_is_another_thing_now_becomes_no_point() -> None:
    desk = Desk(TOWN)
    flood(desk, 20)
    desk.hear(*(room(number) for number in range(40)), session="telemetry")
    assert desk.engine.state.meters.by_device["s1/room-1"].kept
    desk.revise({**TOWN, **device("room-1", "access_controller")})
    later = desk.tick(1)
    assert [(series.kind, values) for series, _, values in later.points if series.device == "room-1"] == []
