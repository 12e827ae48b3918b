"""Quotas: what a device that says too much loses, what it never does, and that a restart changes nothing of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.engine.meters import Meter, Quota, write_quota
from hub.engine.quotas import EVERY
from hub.model.heard import Publish
from hub.model.values import Scalar
from tests.engine.desk import ALARM, NORMAL, SECOND, START, Desk, device, documents, encoded, smoke
from tests.engine.foreign import CAMERA, RAW

SMALL = Quota(per_second=5, burst=100)
DEVICES = (
    device("smoke-1", "smoke_sensor", "milesight/gs524n"),
    device("door-1", "access_controller"),
    device("room-1", "environment_sensor"),
    device("room-2", "environment_sensor"),
)
OURS = {"profile/milesight/gs524n", "rule/smoke-alarm", "rule/access-duress"}


def town(quota: Quota) -> dict[str, bytes]:
    """Return the documents of a few devices; what has nothing to say there would be compiled each time."""
    found = documents(*DEVICES, write_quota(quota))
    return {
        key: body for key, body in found.items() if key in OURS or not key.startswith(("profile/", "rule/", "scene/"))
    }


TOWN = town(SMALL)


def room(number: int, *, name: str = "room-1", **words: Scalar) -> Publish:
    said = {"values": {"temperature": number / 10}, **words}
    return Publish(f"hub/s1/{name}/telemetry", orjson.dumps(said))


def flood(desk: Desk, seconds: int, *, each: int = 40, garbage: bool = False) -> None:
    """Let room-1 say something else ``each`` times a second, in five batches, between ticks."""
    for second in range(seconds):
        for part in range(5):
            numbers = range(second * each + part * each // 5, second * each + (part + 1) * each // 5)
            if garbage:
                desk.hear(*(Publish("hub/s1/room-1/telemetry", b"{%d" % number) for number in numbers))
            else:
                desk.hear(*(room(number % 500) for number in numbers), session="telemetry")
            desk.wait(0.2)
        desk.tick()


def points(desk: Desk, name: str = "room-1") -> list[Mapping[str, Scalar]]:
    found = [point for effects in desk.effects for point in effects.points]
    return [values for series, _, values in found if series.device == name]


def named(desk: Desk, name: str) -> list[Mapping[str, Scalar]]:
    return [event.data for event in desk.events if event.name == name]


def test_who_says_no_more_than_its_quota_loses_nothing() -> None:
    desk = Desk(TOWN)
    flood(desk, 120, each=5)
    assert len(points(desk)) == desk.engine.state.ledger.heard == 600
    assert named(desk, "device.over_quota") == []


def test_of_what_is_over_only_the_newest_of_a_second_is_stored_and_all_of_it_is_judged() -> None:
    desk = Desk(TOWN)
    flood(desk, 60)
    ledger = desk.engine.state.ledger
    assert (ledger.live, ledger.refused, ledger.points) == (2_400, 0, len(points(desk)))
    found = len(points(desk))
    most = SMALL.burst * 2 + EVERY * 4 + 60 * (SMALL.per_second + 1)
    assert 60 * SMALL.per_second < found <= most
    assert ledger.thinned >= 2_400 - found
    assert points(desk)[-1] == {"temperature": (2_399 % 500) / 10}
    twins = {twin.name: twin.reported for twin in desk.engine.twins_of("s1")}
    assert twins["room-1"]["temperature"][0] == (2_399 % 500) / 10
    assert ledger.is_balanced


def test_a_device_that_is_over_is_told_of_once_in_both_languages_and_again_when_it_is_not() -> None:
    desk = Desk(TOWN)
    flood(desk, 30)
    (event,) = [event for event in desk.events if event.name == "device.over_quota"]
    assert (event.key, event.site, event.building, event.device) == ("s1/room-1", "s1", "b1", "room-1")
    assert event.data == {"per_second": 5, "burst": 100}
    assert "5" in event.label["en"]
    assert "5" in event.label["zh"]
    thinned = desk.engine.state.ledger.thinned
    desk.tick(SMALL.burst / SMALL.per_second + 1)
    (back,) = [event for event in desk.events if event.name == "device.within_quota"]
    assert (back.key, back.data["thinned"], back.data["refused"]) == ("s1/room-1", thinned, 0)
    assert set(back.label) == {"en", "zh"}
    assert desk.engine.state.meters.by_device == {}
    before = len(points(desk))
    flood(desk, 5, each=4)
    assert len(points(desk)) == before + 20


def test_its_neighbours_notice_nothing() -> None:
    desk = Desk(TOWN)
    for second in range(60):
        flood(desk, 1)
        desk.hear(room(second, name="room-2"))
    assert len(points(desk, "room-2")) == 60


def test_an_alarm_of_a_device_far_over_its_quota_is_raised_and_cleared() -> None:
    desk = Desk(TOWN)
    for _ in range(40):
        desk.hear(*(smoke(NORMAL) for _ in range(40)))
        desk.tick(1)
    assert len(named(desk, "device.over_quota")) == 1
    assert "raised fire.smoke_alarm" not in desk.told()
    desk.hear(*(smoke(NORMAL) for _ in range(40)), smoke(ALARM))
    assert desk.told()[-1] == "raised fire.smoke_alarm"
    desk.hear(*(smoke(NORMAL) for _ in range(40)))
    desk.tick(11)
    assert "cleared fire.smoke_alarm" in desk.told()


def test_signals_are_never_over_a_quota() -> None:
    desk = Desk(TOWN)
    duress = Publish("hub/s1/door-1/signal", b'{"part": "door-1", "signals": [{"name": "access.duress"}]}')
    for _ in range(20):
        desk.hear(*[duress] * 40)
        desk.tick(1)
    assert (desk.engine.state.ledger.live, desk.engine.state.ledger.thinned) == (800, 0)


def test_garbage_over_a_quota_is_refused_so_that_it_crowds_out_nobodys_dead_letters() -> None:
    desk = Desk(TOWN)
    flood(desk, 60, garbage=True)
    ledger = desk.engine.state.ledger
    letters = sum(len(effects.dead_letters) for effects in desk.effects)
    assert ledger.dead_lettered == letters <= SMALL.burst * 2 + EVERY * 4 + 60 * SMALL.per_second
    assert ledger.refused_codes == {"over_quota": 2_400 - letters}
    assert ledger.is_balanced
    flood(desk, 1, each=5)
    desk.tick(60)
    assert named(desk, "device.within_quota")[0]["refused"] == 2_400 - letters


def test_what_nobody_registered_is_refused_over_its_quota_and_still_waits_to_be_adopted() -> None:
    desk = Desk(TOWN)
    for second in range(60):
        desk.hear(*(room(number, name="stranger") for number in range(second * 40, second * 40 + 40)))
        desk.tick(1)
    ledger = desk.engine.state.ledger
    assert ledger.refused_codes["over_quota"] > 1_000
    assert (ledger.is_balanced, len(named(desk, "device.over_quota"))) == (True, 1)
    desk.revise({**TOWN, **device("stranger", "environment_sensor")})
    assert points(desk, "stranger")[-1] == {"temperature": 239.9}


def test_what_a_device_kept_and_brings_later_is_stored_whole() -> None:
    desk = Desk(TOWN)
    for number in range(20):
        desk.hear(room(number, t=(START + number * SECOND) // 1_000_000))
        desk.tick(1)
    flood(desk, 30)
    before = len(points(desk))
    then = (desk.wall - 7_200 * SECOND) // 1_000_000
    desk.hear(*(room(number % 500, t=then + number) for number in range(2_000)))
    assert len(points(desk)) == before + 2_000
    assert desk.engine.state.ledger.late == 2_000


def test_what_the_broker_kept_while_the_hub_was_away_is_stored_whole() -> None:
    desk = Desk(TOWN)
    flood(desk, 30)
    before = len(points(desk))
    desk.lose()
    desk.wait(3_600)
    desk.hear(*(room(number % 500) for number in range(2_000)), connection=2)
    assert len(points(desk)) == before + 2_000


def test_where_nobody_set_a_quota_every_reading_is_stored() -> None:
    desk = Desk(town(Quota()))
    flood(desk, 30, each=500)
    assert (len(points(desk)), desk.engine.state.ledger.thinned) == (15_000, 0)
    assert not desk.engine.state.meters.by_device


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


def test_a_profile_may_let_its_devices_say_more_or_less_than_others() -> None:
    key = "profile/milesight/gs524n"
    generous = orjson.loads(TOWN[key]) | {"quota": {"per_second": 100, "burst": 1_000}}
    for wanted, is_over in ((TOWN, True), ({**TOWN, key: orjson.dumps(generous)}, False)):
        desk = Desk(wanted)
        for _ in range(40):
            desk.hear(*(smoke(NORMAL) for _ in range(40)))
            desk.tick(1)
        assert bool(named(desk, "device.over_quota")) is is_over


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


def test_a_device_that_says_each_property_in_a_message_of_its_own_has_the_newest_of_each_stored() -> None:
    desk = Desk(town(Quota(per_second=1, burst=100)))

    def say(second: int) -> None:
        each = {"humidity": 50.0 + second % 7, "temperature": 20.0 + second % 5, "co2": 400 + second % 9}
        said = [Publish("hub/s1/room-1/telemetry", orjson.dumps({"values": {name: each[name]}})) for name in each]
        desk.hear(*said * 10)
        desk.tick(1)

    for second in range(30):
        say(second)
    before = len(points(desk))
    for second in range(30):
        say(second)
    found = [name for values in points(desk)[before:] for name in values]
    assert min(found.count(name) for name in ("humidity", "temperature", "co2")) >= 30
    assert len(found) < 30 * 5


def test_of_what_is_over_the_newest_by_the_clock_of_the_device_is_stored_as_the_twin_has_it() -> None:
    desk = Desk(TOWN)
    flood(desk, 60)
    now = desk.wall // 1_000_000
    said = [(now - 2_000 + number, 300) for number in range(30)] + [(now - 5, 770), (now - 1_500, 110)]
    desk.hear(*(room(number, t=time) for time, number in said))
    desk.tick(1)
    twins = {twin.name: twin.reported for twin in desk.engine.twins_of("s1")}
    assert points(desk)[-1] == {"temperature": twins["room-1"]["temperature"][0]} == {"temperature": 77.0}


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


def test_a_name_that_no_device_of_a_foreign_network_can_have_costs_its_message_alone() -> None:
    camera = documents(RAW, CAMERA)
    desk = Desk({key: body for key, body in camera.items() if not key.startswith(("rule/", "scene/"))})
    desk.hear(*[Publish("vendor/s1/cam\t1/up", b"x")] * EVERY)
    assert desk.engine.state.ledger.dead_letter_codes == {"bad_name": EVERY}


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


def test_no_bucket_takes_longer_than_a_year_to_fill() -> None:
    found = [Meter().spend(count, START, Quota(0.001, burst=10**12)) for count in (31_000, 32_000)]
    assert found == [True, False]


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
