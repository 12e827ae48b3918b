"""What keeps people alive stays wanted of a device that sleeps: an escape door is opened whenever it speaks."""

from __future__ import annotations

import orjson
import pytest

from hub.engine.device import Device
from hub.model.records import Started
from hub.rules.rule import Rule, write_rule
from tests.engine.desk import SECOND, Desk
from tests.engine.foreign import ask, foreign
from tests.engine.sleepers import ESCAPE, HOUR, LOCK, burns, content, frames, last, reports, spoke, told


@pytest.fixture
def desk() -> Desk:
    return Desk(content())


@pytest.fixture
def escape() -> Desk:
    kept = {key: body for key, body in content().items() if not key.startswith("rule/")}
    desk = Desk({**kept, "rule/smoke-opens": write_rule(Rule.model_validate(ESCAPE))})
    reports(desk, LOCK, fire="normal")
    desk.tick(60)
    return desk


def test_an_escape_door_that_sleeps_is_refused_with_a_reason_and_opened_whenever_it_speaks(escape: Desk) -> None:
    assert burns(escape).transmissions == []
    why = "it listens only after it spoke, every 1h, and this is worth 30s"
    refused = last(escape, "command.rejected")
    assert refused.data["detail"] == (
        f"device_asleep: {why}: it cannot be held, and is sent whenever the device has spoken while the alarm lasts"
    )
    assert "报警期间设备每次上报后即下发" in refused.label["zh"]
    assert [frames(escape.tick(30)) for _ in range(100)] == [[]] * 100
    for _ in range(2):
        assert reports(escape, LOCK, fire="normal") == ["hold_door"]
        assert reports(escape, LOCK, fire="normal") == []
        assert [frames(escape.tick(30)) for _ in range(100)] == [[]] * 100
    resumed = last(escape, "command.resumed")
    assert (resumed.rule, resumed.data["detail"]) == ("smoke-opens", "the device has spoken")
    assert told(escape).count(("command.rejected", "hold_door")) == 1


def test_a_wall_clock_that_is_set_back_keeps_no_escape_door_from_being_opened_again(escape: Desk) -> None:
    burns(escape)
    assert reports(escape, LOCK, fire="normal") == ["hold_door"]
    escape.wall -= HOUR * SECOND
    escape.tick(120)
    assert reports(escape, LOCK, fire="normal") == ["hold_door"]


def test_an_uplink_looks_only_at_what_is_held_of_its_own_device(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {key: body for key, body in content().items() if not key.startswith("rule/")}
    doors: dict[str, bytes] = {}
    for number in range(20):
        doors |= foreign(f"door-{number}", "access_controller", "test/model", "lora", f"24e124ffffffff{number + 16:x}")
    desk = Desk({**kept, **doors, "rule/smoke-opens": write_rule(Rule.model_validate(ESCAPE))})
    asked: list[Device] = []

    def identity(device: Device) -> tuple[str, str]:
        asked.append(device)
        return device.site, device.device

    monkeypatch.setattr(Device, "identity", property(identity))
    desk.hear(spoke(desk))
    desk.tick(60)
    asked.clear()
    desk.hear(spoke(desk))
    before = len(asked)
    burns(desk)
    assert len(desk.engine._hands.leases) == 21  # noqa: SLF001 -- a lease shows nowhere else
    desk.tick(60)
    asked.clear()
    desk.hear(spoke(desk))
    assert len(asked) <= before + 2


def test_an_escape_door_that_never_spoke_while_it_burned_is_not_told_afterwards(escape: Desk) -> None:
    burns(escape)
    burns(escape, alarm=False)
    assert reports(escape, LOCK, fire="normal") == []
    assert not escape.engine._hands.leases  # noqa: SLF001 -- a lease shows nowhere else


def test_an_escape_door_that_was_opened_is_let_go_when_it_speaks_after_the_fire(escape: Desk) -> None:
    burns(escape)
    assert reports(escape, LOCK, fire="normal") == ["hold_door"]
    escape.tick(600)
    burns(escape, alarm=False)
    escape.tick(3_000)
    assert reports(escape, LOCK, fire="normal") == ["release_door"]


def test_what_waited_for_an_escape_door_gives_way_to_the_fire_and_nobody_locks_it_meanwhile(escape: Desk) -> None:
    ask(escape, "gate-1", "lock")
    burns(escape)
    assert ask(escape, "gate-1", "lock", "c2")[0].code == "outranked"
    assert reports(escape, LOCK, fire="normal") == ["hold_door"]
    assert ("command.superseded", "lock") in told(escape)


def test_an_escape_door_that_sleeps_is_still_wanted_open_after_a_restart(escape: Desk) -> None:
    burns(escape)
    later = escape.restart()
    later.wait(600)
    later.say(Started("test", ("events", "telemetry")))
    later.catch_up(2)
    burns(later, connection=2)
    said = later.hear(spoke(later, orjson.dumps({"fire": "normal"}).hex(), eui=LOCK), connection=2)
    assert frames(said) == [b"hold_door".hex()]


def test_an_escape_door_whose_uplink_tells_of_the_fire_is_opened_in_its_window(escape: Desk) -> None:
    kind = {
        **ESCAPE,
        "for_each": "access_controller",
        "when": "fire_input == 'open_circuit'",
        "clear": {"when": "fire_input == 'normal'"},
    }
    kind["do"] = [{name: value for name, value in ESCAPE["do"][0].items() if name != "to"}]  # type: ignore[index] # a dict
    escape.revise({**escape.engine.content.bodies(), "rule/smoke-opens": write_rule(Rule.model_validate(kind))})
    assert reports(escape, LOCK, fire="open_circuit") == ["hold_door"]
    escape.tick(3_000)
    assert reports(escape, LOCK, fire="open_circuit") == ["hold_door"]
