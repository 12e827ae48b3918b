"""What a foreign network lists: directories go to the rim, and become devices without a profile."""

from __future__ import annotations

import msgspec
import pytest

from hub.bridge import topics
from hub.engine.apply import Engine
from hub.engine.rows import Document
from hub.model.heard import Publish
from hub.normalize.networks.directory import carried_over
from hub.revisions.revision import restored
from tests.engine.desk import JOURNAL, Desk, barred, documents
from tests.engine.foreign import HALL, KITCHEN, WANTED, ZIGBEE, alarming, directed, foreign, letters, listing, said


@pytest.fixture
def desk() -> Desk:
    return Desk(WANTED)


def test_a_directory_goes_to_the_rim_however_long_it_is(desk: Desk) -> None:
    payload = listing().replace(b"[{", b"[" + b" " * 300_000 + b"{", 1)
    effects = desk.hear(Publish("zigbee2mqtt/bridge/devices", payload, retain=True))
    assert effects.directories == [("z2m", payload)]
    assert desk.engine.state.ledger.live == 1


def test_a_directory_that_cannot_be_read_is_a_dead_letter(desk: Desk) -> None:
    effects = desk.hear(Publish("zigbee2mqtt/bridge/devices", b"[{"))
    assert (letters(effects)[0][0], effects.directories) == ("bad_json", [])


def test_a_device_without_a_profile_is_what_the_directory_says_and_what_it_said_before_is_taken_late() -> None:
    wanted = documents(ZIGBEE, HALL)
    desk = Desk(wanted)
    assert letters(desk.hear(said("zigbee2mqtt/hall", {"smoke": True})))[0][0] == "unknown_device"
    told = desk.revise(directed(wanted, listing()))
    assert (alarming(told), desk.engine.state.ledger.replayed) == ([("hall", True)], 1)
    effects = desk.hear(said("zigbee2mqtt/hall", {"smoke": False, "battery": 77}))
    assert [(series.profile[:20], values["battery"]) for series, _, values in effects.points] == [
        ("zigbee2mqtt-auto/jty", 77)
    ]


def test_a_device_that_the_directory_does_not_list_waits_until_it_does() -> None:
    wanted = documents(ZIGBEE, foreign("hall", "smoke_sensor", "", "z2m", "hall"))
    desk = Desk(wanted)
    assert letters(desk.hear(said("zigbee2mqtt/hall", {"smoke": True}))) == [("not_in_directory", "s1", "hall")]
    assert alarming(desk.revise(directed(wanted, listing()))) == [("hall", True)]


def test_a_directory_that_says_another_kind_stops_nothing_but_that_device() -> None:
    wanted = documents(ZIGBEE, KITCHEN, foreign("hall", "gas_detector", "", "z2m", "hall"))
    desk = Desk(directed(wanted, listing()))
    assert letters(desk.hear(said("zigbee2mqtt/hall", {"smoke": True})))[0][0] == "wrong_kind"
    assert alarming(desk.hear(said("zigbee2mqtt/kitchen", {"smoke": True}))) == [("kitchen", True)]


def test_a_directory_outlives_an_upgrade_that_cannot_read_an_old_rule() -> None:
    known = {**directed(documents(ZIGBEE, HALL), listing()), "rule/odd": b'{"rule": 1}'}
    entries = [(f"document/{key}", msgspec.msgpack.encode(Document(body))) for key, body in sorted(known.items())]
    engine, old = restored(lambda: Engine(JOURNAL, topics, lambda _: ()), entries, documents())
    found = engine.content.find("s1", "hall")
    assert found is not None
    assert (found.profile[:17], found.deafness, "rule/odd" in old) == ("zigbee2mqtt-auto/", None, True)


def test_what_a_directory_said_goes_with_its_source_and_stays_with_a_device_that_names_it() -> None:
    wanted = documents(ZIGBEE, HALL)
    known = directed(wanted, listing())
    (made,) = [key.removeprefix("profile/") for key in known if key.startswith("profile/zigbee2mqtt-auto/")]
    assert carried_over(known, [ZIGBEE["source/z2m"]]).keys() == {"directory/z2m", f"profile/{made}"}
    assert carried_over(known, []) == {}
    row = foreign("hall", "smoke_sensor", made, "z2m", "hall")["device/s1/hall"]
    assert carried_over(known, [row]).keys() == {f"profile/{made}"}


REGISTERED_AS_HALL = foreign("hall-2", "smoke_sensor", "aqara/jy-gz-01aq", "z2m", "hall")
"""It has the better claim to the name: the other one is only called so."""


@pytest.mark.parametrize(
    ("newcomer", "ends"),
    [(REGISTERED_AS_HALL, ["hall-2"]), (barred(REGISTERED_AS_HALL, "retired"), [])],
    ids=["registered", "barred"],
)
def test_a_topic_leads_to_who_has_the_better_claim_as_soon_as_that_is_registered(
    newcomer: dict[str, bytes], ends: list[str]
) -> None:
    known = directed(documents(ZIGBEE, HALL), listing())
    desk = Desk(known)
    desk.hear(said("zigbee2mqtt/hall", {"smoke": False}))
    desk.revise({**known, **newcomer})
    later = desk.restart()
    for each in (desk, later):
        found = each.hear(said("zigbee2mqtt/hall", {"smoke": True}))
        assert [series.device for series, _, _ in found.points] == ends
