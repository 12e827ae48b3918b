"""What no rule and no person may do to a door, a barrier or a car; and what is seen to be done."""

from __future__ import annotations

import pytest

from tests.engine.desk import Desk, device, place, stands
from tests.engine.interlocks.interlocked import ask, content, done, says, sent, told
from tests.engine.weight import calls

# ------------------------------------------------------------------------------------------------------------- elevator


@pytest.mark.parametrize("mode", ["fire_operation", "firefighter", "inspection"])
def test_a_held_door_is_let_go_in_a_fire_or_an_inspection_and_held_again_afterwards(desk: Desk, mode: str) -> None:
    assert ask(desk, "board-1", "hold_door", ttl="5m").ok
    says(desk, "box-1", mode=mode)  # another box of the same elevator
    assert sent(desk, "board-1") == ["hold_door", "release_door"]
    (event,) = told(desk, "interlocked")
    assert (event.rule, event.data["command"]) == ("operator li", "hold_door")
    assert event.data["detail"] == event.label["en"]
    assert event.label["zh"] == "电梯处于禁止保持开门的模式"
    done(desk)
    desk.tick(30)
    assert sent(desk, "board-1") == ["hold_door", "release_door"]
    says(desk, "box-1", mode="normal")
    desk.tick(1.1)
    assert sent(desk, "board-1") == ["hold_door", "release_door", "hold_door"]
    assert len(told(desk, "resumed")) == 1


def test_nobody_holds_the_door_of_a_car_in_which_somebody_is_trapped(desk: Desk) -> None:
    says(desk, "box-1", entrapment_level=True)
    reply = ask(desk, "board-1", "hold_door", ttl="60s")
    why = {"en": "somebody is trapped in the car", "zh": "轿厢内有人被困"}
    assert (reply.code, reply.detail) == ("interlocked", f"{why['en']} / {why['zh']}")
    assert sent(desk, "board-1") == []
    (event,) = told(desk, "rejected")
    assert (event.data["detail"], event.label) == (f"interlocked: {why['en']}", why)
    assert ask(desk, "board-1", "release_door").ok


def test_an_elevator_elsewhere_is_nobodys_business(desk: Desk) -> None:
    desk.revise({**content(), **place("lift-2", "elevator", "b1"), **stands("box-2", "elevator", "lift-2")})
    says(desk, "box-2", mode="fire_operation")
    assert ask(desk, "board-1", "hold_door", ttl="60s").ok


def test_a_held_door_costs_the_same_whatever_else_stands_at_the_site(desk: Desk) -> None:
    def cost(sensors: int) -> int:
        others = (device(f"env-{number}", "environment_sensor") for number in range(sensors))
        desk.revise({key: body for each in (content(), *others) for key, body in each.items()})
        assert ask(desk, "board-1", "hold_door", ttl="5m").ok
        says(desk, "box-1", floor=sensors)
        return calls(lambda: says(desk, "box-1", floor=1 + sensors))

    assert cost(100) < cost(10) + 100


# ----------------------------------------------------------------------------------------------------------------- gate


def test_what_a_fire_input_opens_is_not_locked_while_it_speaks(desk: Desk) -> None:
    says(desk, "gate-1", fire_button=True)
    assert ask(desk, "gate-1", "lock", part="door-1").code in {"interlocked", "outranked"}
    assert "lock" not in sent(desk, "gate-1")


# --------------------------------------------------------------------------------------------------------- what is seen


def test_a_command_is_verified_when_what_its_device_reports_shows_it(desk: Desk) -> None:
    says(desk, "gate-1", part="door-1", lock="unlocked")  # before it: that shows nothing
    ask(desk, "gate-1", "unlock", part="door-1", ttl="60s")
    done(desk, ok=True)
    assert [event.name for event in desk.events][-1] == "command.executed"
    says(desk, "gate-1", part="door-2", lock="unlocked")  # another door
    assert told(desk, "verified") == []
    says(desk, "gate-1", part="door-1", lock="unlocked")
    assert [event.data["command"] for event in told(desk, "verified")] == ["unlock"]


def test_a_device_that_answers_nothing_is_verified_by_what_it_shows(desk: Desk) -> None:
    ask(desk, "gate-1", "unlock", part="door-1", ttl="60s")
    done(desk)
    later = desk.restart()
    says(later, "gate-1", part="door-1", lock="unlocked")
    assert len(told(later, "verified")) == 1
    later.tick(20)
    assert told(later, "timeout") == []


def test_a_device_that_lies_is_told_of(desk: Desk) -> None:
    ask(desk, "gate-1", "unlock", part="door-1", ttl="60s")
    done(desk, ok=True)
    says(desk, "gate-1", part="door-1", lock="locked")
    desk.tick(41)
    assert [event.data["command"] for event in told(desk, "unverified")] == ["unlock"]
    assert told(desk, "verified") == []
