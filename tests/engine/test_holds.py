"""What alarms hold while they last: renewed, let go, owed by late ones; over restarts and blind time."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.model.records import Control, SessionCaughtUp, SessionConnected, Started
from tests.engine.desk import (
    ALARM,
    COMMUNITY,
    HOUR,
    NORMAL,
    SECOND,
    SESSIONS,
    UNLOCKS,
    Desk,
    device,
    documents,
    smoke,
    transmitted,
    with_rule,
)


def down_for_an_hour(desk: Desk) -> Desk:
    """Return the desk of the next process, an hour after its last word."""
    later = desk.restart()
    later.wait(HOUR)
    later.say(Started("test", SESSIONS))
    return later


def alarmed_meanwhile(desk: Desk) -> Desk:
    """Return it with a detector's alarm of that hour, which the broker had kept."""
    later = down_for_an_hour(desk)
    for session in SESSIONS:
        later.say(SessionConnected(session, 2, session_present=True))
    later.hear(smoke(ALARM), connection=2)
    return later


def test_a_late_alarm_sends_its_command_when_it_is_known_to_be_still_true(tmp_path: Path) -> None:
    desk = with_rule(tmp_path, UNLOCKS)
    later = alarmed_meanwhile(desk)
    assert transmitted(later) == []
    later.catch_up(2)
    assert transmitted(later) == [("hub/s1/door-1/command", "unlock"), ("hub/s1/gate-1/command", "unlock")]


@pytest.mark.parametrize(
    ("priority", "sent"), [("life_safety", ["unlock"]), ("entrapment", ["unlock"]), ("automatic", [])]
)
def test_what_is_done_once_to_keep_people_alive_is_done_late_rather_than_never(
    tmp_path: Path, priority: str, sent: list[str]
) -> None:
    once = UNLOCKS.replace(",\n     until: cleared", "").replace("args: {ttl: 30s}, ", "")
    desk = with_rule(tmp_path, once.replace("life_safety", priority))
    later = alarmed_meanwhile(desk)
    assert to_gate(later) == []
    later.catch_up(2)
    assert to_gate(later) == sent
    later = later.start_again(3)
    later.hear(smoke(ALARM), connection=3)
    assert to_gate(later) == []


def test_what_a_restored_hub_sends_has_no_id_of_what_was_sent_in_the_time_it_lost(tmp_path: Path) -> None:
    """A device does nothing for an id that it knows, and answers as then: a release that never was is told as done."""
    desk = with_rule(tmp_path, UNLOCKS)
    desk.hear(smoke(ALARM))
    saved = desk.restart()
    desk.tick(20)
    saved.say(Started("test", SESSIONS, began=99))
    saved.catch_up(2)
    saved.hear(smoke(NORMAL), connection=2)
    first, lost, since = (
        [one.command for effects in effects for one in effects.transmissions]
        for effects in (desk.effects[:-1], desk.effects[-1:], saved.effects)
    )
    assert len(first) == len(lost) == 2
    assert since
    assert not {*since} & {*first, *lost}


def test_a_late_alarm_that_ended_in_the_backlog_sends_nothing(tmp_path: Path) -> None:
    desk = with_rule(tmp_path, UNLOCKS)
    later = desk.restart()
    later.say(Started("test", SESSIONS))
    for session in SESSIONS:
        later.say(SessionConnected(session, 2, session_present=True))
    later.hear(smoke(ALARM), smoke(NORMAL), connection=2)
    later.catch_up(2)
    assert [(event.name, event.transition) for event in later.events if "unlocks" in event.name] == [
        ("fire.smoke_unlocks", "raised"),
        ("fire.smoke_unlocks", "cleared"),
    ]
    assert transmitted(later) == []


def test_what_began_in_the_backlog_and_is_raised_when_all_has_been_read_is_held_at_once(tmp_path: Path) -> None:
    desk = with_rule(tmp_path, UNLOCKS.replace("raise:", "for: 20s\nraise:"))
    later = desk.restart()
    later.wait(3)
    later.say(Started("test", SESSIONS))
    for session in SESSIONS:
        later.say(SessionConnected(session, 2, session_present=True))
    later.hear(smoke(ALARM), connection=2)
    for session in SESSIONS:
        later.say(SessionCaughtUp(session, 2))
    assert to_gate(later) == []
    later = later.restart()
    later.tick(20)
    assert [event.late for event in later.events if event.name == "fire.smoke_unlocks"] == [True]
    assert to_gate(later) == ["unlock"]


def test_a_hold_is_renewed_while_the_alarm_lasts_and_released_when_it_is_cleared(tmp_path: Path) -> None:
    desk = with_rule(tmp_path, UNLOCKS)
    desk.hear(smoke(ALARM))
    assert desk.engine.has_leases
    desk.tick(15)
    desk.tick(15)
    desk.hear(smoke(NORMAL))
    to_gate = [command for topic, command in transmitted(desk) if "gate-1" in topic]
    assert to_gate == ["unlock", "unlock", "unlock", "lock"]
    assert not desk.engine.has_leases


def to_gate(desk: Desk) -> list[str]:
    """Return what the gate was told since the last call."""
    found = [command for topic, command in transmitted(desk) if "gate-1" in topic]
    desk.effects.clear()
    return found


def test_a_lease_that_lapsed_while_the_hub_was_down_is_released_at_the_start(tmp_path: Path) -> None:
    desk = with_rule(tmp_path, UNLOCKS.replace("life_safety", "automatic"))
    desk.hear(smoke(ALARM))
    later = down_for_an_hour(desk)
    assert to_gate(later) == ["lock"]
    later.catch_up(2)
    assert to_gate(later) == ["unlock"]


def test_what_an_alarm_holds_for_the_safety_of_life_is_never_let_go_by_a_start(tmp_path: Path) -> None:
    desk = with_rule(tmp_path, UNLOCKS)
    desk.hear(smoke(ALARM))
    later = down_for_an_hour(desk)
    assert to_gate(later) == ["unlock"]
    later.tick(16)
    assert to_gate(later) == ["unlock"]  # renewed though nobody knows yet whether it still burns
    later.catch_up(2)
    assert to_gate(later) == []
    later.hear(smoke(NORMAL), connection=2)
    assert to_gate(later) == ["lock"]


def test_an_alarm_that_was_over_while_the_hub_was_down_lets_go_when_all_is_heard(tmp_path: Path) -> None:
    desk = with_rule(tmp_path, UNLOCKS)
    desk.hear(smoke(ALARM))
    later = down_for_an_hour(desk)
    for session in SESSIONS:
        later.say(SessionConnected(session, 2, session_present=True))
    later.hear(smoke(NORMAL), connection=2)
    assert to_gate(later) == ["unlock"]
    for session in SESSIONS:
        later.say(SessionCaughtUp(session, 2))
    assert to_gate(later) == ["lock"]


def test_what_may_be_held_so_long_at_most_is_let_go_at_the_start_also_for_the_safety_of_life(tmp_path: Path) -> None:
    desk = with_rule(tmp_path, UNLOCKS.replace("until: cleared", "until: cleared, at_most: 10m"))
    desk.hear(smoke(ALARM))
    later = down_for_an_hour(desk)
    assert to_gate(later) == ["lock"]
    later.catch_up(2)
    assert to_gate(later) == []


BOUNDED = UNLOCKS.replace("ttl: 30s", "ttl: 10s").replace("life_safety", "automatic").replace("until: cleared}", "%s}")
BOUNDED = BOUNDED % "until: cleared, at_most: 40s" + (
    "  - {command: sound, args: {ttl: 10s}, to: {kind: smoke_sensor, in: building}, until: cleared, at_most: 10m}\n"
)


@pytest.mark.parametrize(("seconds", "times"), [(3, 2), (45, 0)], ids=["in its midst", "behind its end"])
def test_a_hold_that_nobody_could_renew_lasts_no_longer_than_it_would_have(
    seconds: int, times: int, tmp_path: Path
) -> None:
    (tmp_path / "extra.yaml").write_text(BOUNDED, encoding="utf-8")
    desk = Desk(documents(*COMMUNITY, device("smoke-2", "smoke_sensor"), rules=[tmp_path]))
    desk.hear(smoke(ALARM))
    for _ in range(seconds):
        desk.tick(1)
    later = desk.restart()
    later.wait(28)
    later.say(Started("test", SESSIONS))
    later.catch_up(2)
    for _ in range(15):
        later.tick(1)
    assert [command for topic, command in transmitted(later) if "smoke-2" in topic][-1] == "sound"
    assert to_gate(later).count("unlock") == times


def test_what_a_person_let_go_is_not_held_again_because_another_hold_of_its_alarm_lapsed(tmp_path: Path) -> None:
    desk = with_rule(tmp_path, UNLOCKS.replace("life_safety", "automatic"))
    desk.hear(smoke(ALARM))
    leases = desk.engine._hands.leases.values()  # noqa: SLF001 -- an id that a person is shown
    hold = next(lease for lease in leases if lease.device == "door-1")
    desk.say(Control("1-0", "c", "li", "cancel", desk.wall + 30 * SECOND, {"id": hold.id}))
    later = down_for_an_hour(desk)
    later.catch_up(2)
    later.hear(smoke(ALARM), connection=2)
    assert [topic for topic, command in transmitted(later) if command == "unlock"] == ["hub/s1/gate-1/command"]
