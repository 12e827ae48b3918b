"""What a broker remembers of devices: no sign of life, no lesson of a clock, and nothing again that was heard."""

from __future__ import annotations

import orjson
import pytest

from hub.engine.known import DeviceState
from hub.model.heard import Publish
from hub.model.records import Control, SessionConnected
from tests.engine.desk import SECOND, START, Desk, device, documents
from tests.engine.foreign import KITCHEN, ZIGBEE

WEEK = 7 * 86_400
CONTENT = documents(
    device("smoke-1", "smoke_sensor"), device("door-1", "access_controller"), device("sos-1", "panic_button"),
    ZIGBEE, KITCHEN,
)  # fmt: skip
CALL: dict[str, object] = {"signals": [{"name": "sos.pressed"}]}


@pytest.fixture
def desk() -> Desk:
    return Desk(CONTENT)


def says(desk: Desk, name: str, ago: float | None, words: dict[str, object], *, kept: bool = False) -> list[str]:
    """Let a device say something that it measured so many seconds ago; return the events."""
    at = {} if ago is None else {"t": (desk.wall - round(ago * SECOND)) // 1_000_000}
    effects = desk.hear(Publish(f"hub/s1/{name}/telemetry", orjson.dumps({**at, **words}), retain=kept))
    return [f"{event.name}{' late' if event.late else ''}" for event in effects.events]


def known(desk: Desk, name: str) -> DeviceState:
    found = desk.engine.content.find("s1", name)
    assert found is not None
    return found.state


@pytest.mark.parametrize("ago", [None, 0.1, WEEK])
def test_what_a_broker_remembers_does_not_end_a_silence(desk: Desk, ago: float | None) -> None:
    closed: dict[str, object] = {"values": {"door": "closed"}}
    says(desk, "door-1", 0.1, closed)
    for _ in range(20 * 12):
        desk.tick(5)
    assert desk.told() == ["raised device.offline"]
    says(desk, "door-1", ago, closed, kept=True)
    assert desk.told() == ["raised device.offline"]
    says(desk, "door-1", 0.1, closed)
    assert desk.told() == ["raised device.offline", "cleared device.offline"]


@pytest.mark.parametrize("before", [1, 3, 12])
def test_nor_does_it_where_it_is_like_the_messages_before_it(desk: Desk, before: int) -> None:
    for number in range(before):
        desk.wait(10)
        says(desk, "door-1", 0.1, {"seq": number, "values": {"door": "closed"}})
    heard = known(desk, "door-1").heard_at
    desk.wait(10)
    says(desk, "door-1", 0.05, {"seq": before, "values": {"door": "closed"}}, kept=True)
    assert (known(desk, "door-1").heard_at, known(desk, "door-1").taught) == (heard, min(before, 10))


@pytest.mark.parametrize(
    ("ago", "told"), [(5, "fire.smoke_alarm"), (3_600, "fire.smoke_alarm late"), (WEEK, "fire.smoke_alarm late")]
)
def test_a_remembered_alarm_of_which_nobody_has_heard_is_as_late_as_it_is(desk: Desk, ago: float, told: str) -> None:
    assert says(desk, "smoke-1", ago, {"values": {"alarm": True}}, kept=True) == [told]
    assert (known(desk, "smoke-1").taught, known(desk, "smoke-1").clock_error) == (0, 0)


@pytest.mark.parametrize("ago", [5, 3_600, WEEK])
def test_a_remembered_alarm_that_is_over_is_none(desk: Desk, ago: float) -> None:
    says(desk, "smoke-1", 0.1, {"values": {"alarm": False}})
    assert says(desk, "smoke-1", ago, {"values": {"alarm": True}}, kept=True) == []


@pytest.mark.parametrize("ago", [5, 3_600, WEEK])
@pytest.mark.parametrize("before", [1, 12])
def test_a_call_for_help_that_was_heard_is_not_told_again_from_memory(desk: Desk, ago: float, before: int) -> None:
    for _ in range(before):
        desk.wait(10)
        says(desk, "sos-1", 0.1, {"values": {"battery": 90.0}})
    assert says(desk, "sos-1", ago, CALL, kept=True) == []


@pytest.mark.parametrize("is_new", [True, False])
def test_one_that_nobody_has_heard_is_told(desk: Desk, is_new: bool) -> None:  # noqa: FBT001 -- a row of the table
    if not is_new:
        says(desk, "sos-1", 0.1, {"values": {"battery": 90.0}})
    desk.wait(600)
    assert says(desk, "sos-1", 500, CALL, kept=True) == ["care.sos late"]


def clears(desk: Desk) -> None:
    """Let somebody put the call for help away, after ten minutes."""
    desk.tick(600)
    order = Control("1-0", f"id-{desk.t}", "li", "clear", desk.wall + SECOND, {"rule": "sos", "key": "s1/sos-1"})
    assert desk.say(order).replies[0].ok


def test_one_that_was_told_from_memory_is_not_told_again_by_the_next_subscription(desk: Desk) -> None:
    first, second = ({**CALL, "t": START // 1_000_000 + ms} for ms in (0, 1))
    desk.tick(600)
    assert says(desk, "sos-1", None, first, kept=True) == ["care.sos late"]
    clears(desk)
    assert says(desk, "sos-1", None, first, kept=True) == []
    desk.write_down()
    later = desk.restart()
    assert says(later, "sos-1", None, first, kept=True) == []
    assert says(later, "sos-1", None, second, kept=True) == ["care.sos late"]
    clears(later)
    assert [says(later, "sos-1", None, each, kept=True) for each in (first, second)] == [[], []]


def test_what_a_zigbee_bridge_left_with_the_broker_is_no_sign_of_life_either(desk: Desk) -> None:
    said = orjson.dumps({"smoke": True, "last_seen": (START - WEEK * SECOND) // 1_000_000})
    effects = desk.hear(Publish("zigbee2mqtt/kitchen", said, retain=True))
    assert ([event.late for event in effects.events], known(desk, "kitchen").heard_at) == ([True], 0)


def test_what_it_says_outlives_a_restart(desk: Desk) -> None:
    says(desk, "smoke-1", 0.1, {"values": {"battery": 90.0}})
    desk.write_down()
    says(desk, "smoke-1", None, {"values": {"alarm": True}}, kept=True)
    (twin,) = (twin for twin in desk.restart().engine.twins_of("s1") if twin.name == "smoke-1")
    assert {name: value for name, (value, *_) in twin.reported.items()} == {"alarm": True, "battery": 90}


@pytest.mark.parametrize(("was", "keeps"), [("offline", "online"), ("online", "offline"), ("offline", None)])
def test_whether_a_device_is_online_is_what_the_broker_keeps_once_it_has_forgotten_what_it_queued(
    desk: Desk, was: str, keeps: str | None
) -> None:
    topic = "hub/s1/door-1/availability"
    desk.hear(Publish(topic, was.encode()))
    desk.say(SessionConnected("telemetry", 2, session_present=False))
    desk.say(SessionConnected("events", 2, session_present=True))
    assert known(desk, "door-1").availability == was
    desk.say(SessionConnected("events", 3, session_present=False))
    if keeps is not None:
        desk.hear(Publish(topic, keeps.encode(), retain=True), connection=3)
    assert known(desk, "door-1").availability == (keeps or "unknown")


def test_so_it_is_of_a_foreign_network_by_the_session_that_hears_it(desk: Desk) -> None:
    desk.hear(Publish("zigbee2mqtt/kitchen/availability", b'{"state": "offline"}'), session="telemetry")
    desk.say(SessionConnected("events", 2, session_present=False))
    assert known(desk, "kitchen").availability == "offline"
    desk.say(SessionConnected("telemetry", 2, session_present=False))
    assert known(desk, "kitchen").availability == "unknown"
