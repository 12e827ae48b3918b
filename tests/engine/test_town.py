"""What real messages of doors, vehicles, water and charging come to, with every rule that ships at work.

The messages are those of the profiles' own examples, where their sources are named.
"""

from __future__ import annotations

import orjson
import pytest

from hub.model.heard import Publish
from hub.model.records import Outcome, OutcomeKind
from tests.engine.desk import Desk, device, documents

UNTELLABLE = "occurred command.failed medium"
"""Neither camera's profile says how it is told to take a picture."""
DEVICES = {
    "zk": ("access_controller", "zkteco/c3-400"),
    "camera": ("plate_reader", "hikvision/anpr"),
    "pole": ("charging_port", "tuya/charging_pole"),
    "vias": ("ai_camera", "huawei/vias"),
    "facade": ("ai_camera", "proposal/thrown_object"),
    "cover": ("manhole", "milesight/em310-tilt"),
    "bin": ("manhole", "milesight/em400-mud"),
    "cellar": ("leak_sensor", "milesight/em300-sld"),
}
BLOCKED = {"site": "s1", "list": "block", "entries": {"浙AX2P12": True}}
PASSAGE = (
    "<EventNotificationAlert><eventType>ANPR</eventType><ANPR><licensePlate>蓝浙AX2P12</licensePlate><line>2</line>"
    "{more}</ANPR><UUID>u-1</UUID></EventNotificationAlert>"
)


@pytest.fixture
def desk() -> Desk:
    found = documents(*(device(name, kind, profile) for name, (kind, profile) in DEVICES.items()))
    building = {"site": "s1", "place": "b1", "type": "building", "parent": "s1", "building": "b1"}
    return Desk({**found, "list/s1/block": orjson.dumps(BLOCKED), "place/s1/b1": orjson.dumps(building)})


def told(desk: Desk, name: str, payload: bytes) -> list[str]:
    """Return the events and commands that a message of a device comes to."""
    effects = desk.hear(Publish(f"hub/s1/{name}/telemetry", payload))
    assert effects.dead_letters == []
    events = [f"{each.transition} {each.name} {each.severity} {each.part}".strip() for each in effects.events]
    return [*events, *(f"to {sent.topic.split('/')[2]}" for sent in effects.transmissions)]


FRAMES: dict[str, tuple[str, str | dict[str, object], list[str]]] = {
    "a forced door (ZKTeco 102)": (
        "zk",
        "0000000000000000c8016602328fae21",
        ["raised security.door_forced high door-1"],
    ),
    "a card (ZKTeco 0)": ("zk", "17306412e2b1040004010000742caf21", ["occurred access.passage info door-1"]),
    "a finger under duress (ZKTeco 103), of which only cameras hear": (
        "zk",
        "000000000500000001016700328fae21",
        ["raised security.duress critical door-1", UNTELLABLE, "to facade"],
    ),
    "two bad ports of a pole, each of which is cut": (
        "pole",
        {
            "result": [
                {"port": "2", "port_switch": 0, "fault_status": 7},
                {"port": "3", "port_switch": 0, "fault_status": 9},
            ]
        },
        [
            "raised utility.charging_overheat high port-2",
            "raised utility.charging_leakage high port-3",
            "to pole",
            "to pole",
        ],
    ),
    "a port that charges, one that is full and one that was switched off": (
        "pole",
        {"result": [{"port": str(port), "port_switch": 0, "fault_status": port} for port in (1, 3, 5)]},
        [],
    ),
    "a fight": (
        "vias",
        {"event_type": 917504, "message_id": "m-1", "data": {"event_set": [{"confidence": 0.75}]}},
        ["occurred security.fight medium", UNTELLABLE],
    ),
    "smoke of an algorithm that does not say how sure it is": (
        "vias",
        {"event_type": 393216, "message_id": "m-2", "data": {"event_set": [{"state": 2}]}},
        ["occurred fire.camera_review high", UNTELLABLE],
    ),
    "a bottle": (
        "facade",
        {"type": "camera.object_thrown", "id": "7f3a-0012", "facade": "south", "review": "pending"},
        ["occurred security.object_thrown medium", "to facade"],
    ),
    "a bird": ("facade", {"type": "camera.object_thrown", "id": "7f3a-0013", "review": "rejected"}, []),
    "a cover that tilts (EM310)": ("cover", "03CF00000000282307", ["raised utility.manhole_moved high"]),
    "a box in a manhole that tilts (EM400)": (
        "bin",
        "01755C0367010104824408050001",
        ["raised utility.manhole_moved high"],
    ),
    "water in the cellar": ("cellar", "050001", ["raised utility.water_leak high"]),
}


@pytest.mark.parametrize("what", FRAMES)
def test_a_real_message_comes_to_what_it_means(desk: Desk, what: str) -> None:
    name, said, expected = FRAMES[what]
    assert told(desk, name, bytes.fromhex(said) if isinstance(said, str) else orjson.dumps(said)) == expected


def test_a_blocked_vehicle_is_told_once_though_its_camera_tells_of_it_twice(desk: Desk) -> None:
    assert told(desk, "camera", PASSAGE.format(more="<hasMoreData>true</hasMoreData>").encode()) == [
        "occurred vehicle.plate_blocked high lane-2",
        "occurred vehicle.passage info lane-2",
    ]
    assert told(desk, "camera", PASSAGE.format(more="<direction>forward</direction>").encode()) == []


def test_a_door_that_opens_without_anybody_is_told_and_one_that_somebody_opened_is_not(desk: Desk) -> None:
    opened = "0000000000000000c8{door}c802{second}8fae21"
    card = "1730641200000000040100003{second}8fae21"
    told(desk, "zk", bytes.fromhex(card.format(second="2")))
    told(desk, "zk", bytes.fromhex(opened.format(door="01", second="33")))
    told(desk, "zk", bytes.fromhex(opened.format(door="02", second="34")))
    desk.tick(10)
    forced = [event.part for event in desk.events if event.name == "security.door_forced"]
    assert forced == ["door-2"]


def test_a_hot_port_is_cut_when_its_switch_says_so_and_not_while_it_only_says_how_hot_it_is(desk: Desk) -> None:
    burning = b'{"result": [{"port": "3", "port_switch": 1, "fault_status": 7}]}'
    told(desk, "pole", burning)
    (command,) = desk.effects[-1].transmissions
    desk.say(Outcome(command.command, OutcomeKind.DELIVERED))
    still_on = told(desk, "pole", burning)
    assert "occurred command.verified info port-3" not in still_on
    off = told(desk, "pole", burning.replace(b'"port_switch": 1', b'"port_switch": 0'))
    assert "occurred command.verified info port-3" in off
