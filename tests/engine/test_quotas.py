"""Quotas: what a device that says too much loses, and what it never does."""

from __future__ import annotations

from collections import Counter

import orjson
import pytest

from hub.engine.hearing import Ear
from hub.engine.meters import Meter, Quota
from hub.engine.quotas import EVERY
from hub.model.heard import Publish
from tests.counting import counted
from tests.engine.desk import ALARM, NORMAL, SECOND, START, Desk, device, documents, smoke
from tests.engine.flooding import SMALL, TOWN, flood, named, points, room, town
from tests.engine.foreign import CAMERA, RAW


def test_where_nobody_has_a_quota_nobody_is_looked_up_and_who_then_gets_one_is(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up: Counter[str] = Counter()
    counted(monkeypatch, Ear, "_speaker", looked_up)
    desk, said = Desk(town(Quota())), 10 * EVERY
    flood(desk, 1, each=said)
    assert looked_up["_speaker"] == 0
    desk.revise(TOWN)
    flood(desk, 1, each=said)
    assert looked_up["_speaker"] == said // EVERY


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


def test_a_profile_may_let_its_devices_say_more_or_less_than_others() -> None:
    key = "profile/milesight/gs524n"
    generous = orjson.loads(TOWN[key]) | {"quota": {"per_second": 100, "burst": 1_000}}
    for wanted, is_over in ((TOWN, True), ({**TOWN, key: orjson.dumps(generous)}, False)):
        desk = Desk(wanted)
        for _ in range(40):
            desk.hear(*(smoke(NORMAL) for _ in range(40)))
            desk.tick(1)
        assert bool(named(desk, "device.over_quota")) is is_over


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


def test_a_name_that_no_device_of_a_foreign_network_can_have_costs_its_message_alone() -> None:
    camera = documents(RAW, CAMERA)
    desk = Desk({key: body for key, body in camera.items() if not key.startswith(("rule/", "scene/"))})
    desk.hear(*[Publish("vendor/s1/cam\t1/up", b"x")] * EVERY)
    assert desk.engine.state.ledger.dead_letter_codes == {"bad_name": EVERY}


def test_no_bucket_takes_longer_than_a_year_to_fill() -> None:
    found = [Meter().spend(count, START, Quota(0.001, burst=10**12)) for count in (31_000, 32_000)]
    assert found == [True, False]
