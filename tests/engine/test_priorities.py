"""Who has a door: rules and people at one gate, from messages to what is told and sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.model.records import Outcome, OutcomeKind, Started
from hub.model.values import Scalar
from tests.engine.contested import PROPPED, ask, rings, sent
from tests.engine.desk import ALARM, COMMUNITY, NORMAL, SESSIONS, UNLOCKS, Desk, documents, native, smoke


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    (tmp_path / "rules.yaml").write_text(f"{UNLOCKS}---{PROPPED}", encoding="utf-8")
    found, mine = documents(*COMMUNITY, rules=[tmp_path]), {"rule/smoke-unlocks", "rule/door-propped"}
    return Desk({key: body for key, body in found.items() if not key.startswith("rule/") or key in mine})


def lost(desk: Desk) -> list[tuple[str, Scalar, Scalar]]:
    """Return who lost what, and to whom."""
    found = [event for event in desk.events if event.name == "command.superseded"]
    return [(event.rule, event.data["command"], event.data["detail"]) for event in found]


def test_a_fire_takes_the_door_over_and_what_stood_before_has_it_again_afterwards(desk: Desk) -> None:
    rings(desk)
    desk.hear(smoke(ALARM))
    assert sent(desk) == ["hold_door", "release_door", "unlock"]
    assert lost(desk) == [("door-propped", "hold_door", "smoke-unlocks (life_safety) has it")]
    desk.hear(smoke(NORMAL))
    assert sent(desk)[3:] == ["lock", "hold_door"]
    assert "occurred command.resumed" in desk.told()


def test_a_hold_that_ends_while_it_waits_is_not_taken_up_again(desk: Desk) -> None:
    rings(desk)
    for each in desk.hear(smoke(ALARM)).transmissions:
        desk.say(Outcome(each.command, OutcomeKind.DELIVERED))
    desk.hear(native("door-1", {"part": "door-1", "values": {"door": "closed"}}, "telemetry"))
    desk.hear(smoke(NORMAL))
    assert sent(desk) == ["hold_door", "release_door", "unlock", "lock"]
    assert not desk.engine.has_leases


def test_what_a_fire_has_is_not_let_go_because_the_release_of_another_hold_was_refused(desk: Desk) -> None:
    rings(desk)
    for each in desk.hear(smoke(ALARM)).transmissions:
        desk.say(Outcome(each.command, OutcomeKind.DELIVERED))
        if b"release_door" in each.payload:
            desk.hear(native("door-1", {"id": each.command, "ok": False, "code": "busy"}, "response"))
    desk.hear(native("door-1", {"part": "door-1", "values": {"door": "closed"}}, "telemetry"))
    for _ in range(60):
        desk.tick(1)
    assert set(sent(desk)[2:]) == {"unlock"}
    desk.hear(smoke(NORMAL))
    for _ in range(5):
        desk.tick(1)
    assert [each for each in sent(desk)[2:] if each != "unlock"] == ["lock", "release_door"]


def test_what_a_hold_that_waits_still_owes_is_let_go_when_its_door_is_taken_away(desk: Desk) -> None:
    ask(desk, "hold_door", part="door-1", ttl="5m")
    for each in desk.hear(smoke(ALARM)).transmissions:
        desk.say(Outcome(each.command, OutcomeKind.DELIVERED))
        if b"release_door" in each.payload:
            desk.hear(native("door-1", {"id": each.command, "ok": False, "code": "busy"}, "response"))
    before = len(sent(desk))
    desk.revise({key: body for key, body in desk.engine.content.bodies().items() if key != "device/s1/door-1"})
    assert sorted(sent(desk)[before:]) == ["lock", "release_door"]


def test_what_is_wanted_while_a_fire_has_the_door_waits_for_its_end(desk: Desk) -> None:
    desk.hear(smoke(ALARM))
    rings(desk)
    assert sent(desk) == ["unlock"]
    assert lost(desk) == [("door-propped", "hold_door", "smoke-unlocks (life_safety) has it")]
    later = desk.restart()
    later.hear(smoke(NORMAL))
    assert sent(later) == ["lock", "hold_door"]


@pytest.mark.parametrize("command", ["lock", "release_door", "hold_door"])
def test_nobody_takes_a_door_from_a_fire_and_whoever_tries_is_told_so(desk: Desk, command: str) -> None:
    desk.hear(smoke(ALARM))
    reply = ask(desk, command)
    assert (reply.code, reply.detail) == ("outranked", "smoke-unlocks has it, with priority life_safety")
    assert sent(desk) == ["unlock"]


def test_whoever_wants_what_a_fire_has_done_is_in_nobodys_way(desk: Desk) -> None:
    desk.hear(smoke(ALARM))
    desk.hear(smoke(NORMAL))
    rings(desk)
    assert ask(desk, "lock", part="door-1").ok
    assert ask(desk, "lock", "id-2", part="door-1").ok
    assert sent(desk) == ["unlock", "lock", "hold_door", "release_door", "lock", "lock"]


def test_a_person_who_lets_a_door_go_has_the_last_word_on_a_hold_of_a_rule(desk: Desk) -> None:
    rings(desk)
    assert ask(desk, "release_door", part="door-1").ok
    desk.say(Outcome("id-1", OutcomeKind.DELIVERED))
    desk.tick(120)
    assert sent(desk) == ["hold_door", "release_door"]
    assert lost(desk) == [("door-propped", "hold_door", "operator li (operator) has it")]


def test_a_persons_hold_ends_by_itself_and_is_over_after_a_restart_too(desk: Desk) -> None:
    assert ask(desk, "hold_door", ttl="20s").ok
    later = desk.restart()
    assert later.engine.has_leases
    later.tick(19)
    assert sent(later) == []
    later.tick(2)
    assert sent(later) == ["release_door"]


def test_a_release_that_did_not_leave_is_sent_again_until_it_has(desk: Desk) -> None:
    desk.hear(smoke(ALARM))
    desk.hear(smoke(NORMAL))
    for _ in range(3):
        release = [one for one in desk.effects[-1].transmissions if "door-1" in one.topic][-1]
        desk.say(Outcome(release.command, OutcomeKind.FAILED, "broker_gone"))
        desk.tick(60)
    assert sent(desk) == ["unlock", "lock", "lock", "lock", "lock"]
    release = [one for one in desk.effects[-1].transmissions if "door-1" in one.topic][-1]
    desk.say(Outcome(release.command, OutcomeKind.DELIVERED))
    desk.tick(600)
    assert sent(desk)[5:] == []


def test_a_device_that_is_taken_away_is_let_go_first(desk: Desk) -> None:
    rings(desk)
    kept = {key: body for key, body in desk.engine.content.bodies().items() if key != "device/s1/door-1"}
    assert [one.topic for one in desk.revise(kept).transmissions] == ["hub/s1/door-1/command"]
    assert sent(desk) == ["hold_door", "release_door"]


def test_a_hold_that_had_not_left_leaves_before_its_release_at_a_start(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(
        UNLOCKS.replace("30s", "5s").replace("life_safety", "automatic"), encoding="utf-8"
    )
    desk = Desk(documents(*COMMUNITY, rules=[tmp_path]))
    desk.hear(smoke(ALARM))
    later = desk.restart()
    later.wait(6)
    later.say(Started("test", SESSIONS))
    assert sent(later) == ["unlock", "lock"]
