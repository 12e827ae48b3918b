"""Which alarms are due to be sealed: what was critical or high, with all of it, once people were told."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import cast

import pytest
from msgspec.structs import replace
from typing_extensions import override

from hub.errors import UnavailableError
from hub.model.effects import Event, Transition
from hub.model.values import Severity
from hub.sinks.redis_link import Link
from hub.ui import history as histories
from hub.ui.atlas import Atlas
from hub.ui.cli import alarms_seal
from hub.ui.cli.alarms_seal import Pass
from hub.ui.desk.desk import Desk
from hub.ui.due import Due, grave, over
from hub.ui.history import History, Wanted, story
from hub.ui.sealing import Sealing
from hub.veil import Veil
from tests.clocks import ManualClock
from tests.ui.conftest import Cli

DAY = 86_400_000_000_000
CRITICAL, HIGH, MEDIUM = Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM


def moved(name: str, transition: Transition, time: int, severity: Severity = HIGH, before: str = "") -> Event:
    return Event(
        id=name, name="elevator.fault", severity=severity, transition=transition, time=time, key="garden/lift",
        rule="r", rule_version="1", site="garden", device="lift", data={"before": before} if before else {},
    )  # fmt: skip


class Told(History):
    """A history of these events."""

    def __init__(self, *events: Event) -> None:
        self._events = events
        self.looks = 0

    @override
    async def find(
        self, wanted: Wanted, *, since: int | None, limit: int, written_by: int | None = None
    ) -> list[Event]:
        self.looks += 1
        is_wanted = wanted.test(Atlas())
        found = [each for each in self._events if each.time >= (since or 0) and is_wanted(each)]
        return found[-limit:] if since is None else found[:limit]


async def due_of(history: History, *, since: int, until: int = 40 * DAY) -> list[str]:
    told = await grave(history, since, until)
    return [each.file for each in await over(history, told, until)]


async def test_an_alarm_of_eight_days_is_sealed_with_all_of_it() -> None:
    raised, cleared = moved("raise", Transition.RAISED, 20 * DAY), moved("clear", Transition.CLEARED, 28 * DAY)
    history = Told(
        moved("other", Transition.RAISED, 10 * DAY), moved("end", Transition.CLEARED, 11 * DAY),
        raised, moved("ack", Transition.ACKNOWLEDGED, 27 * DAY), cleared,
    )  # fmt: skip
    assert await due_of(history, since=28 * DAY) == ["raise.jsonl"]
    assert [each.id for each in await story(history, cleared)] == ["raise", "ack", "clear"]


async def test_a_thousand_that_end_together_are_found_in_two_looks_through_the_streams() -> None:
    """Each reads a week of them: with one for each alarm no pass of a town would ever come to its end."""
    lifts = [f"garden/lift-{number}" for number in range(1_000)]
    begins = [replace(moved(f"raise {key}", Transition.RAISED, 20 * DAY), key=key) for key in lifts]
    ends = [replace(moved(f"clear {key}", Transition.CLEARED, 22 * DAY), key=key) for key in lifts]
    history = Told(*begins, *ends)
    assert await due_of(history, since=21 * DAY) == [f"raise {key}.jsonl" for key in lifts]
    assert history.looks == 2


async def test_of_thousands_that_come_and_go_each_end_has_its_own_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(histories, "MOST", 8)
    events = [
        replace(moved(f"{kind} {key} {turn}", kind, 20 * DAY + turn * 10 + end), key=key)
        for turn in range(4)
        for end, kind in enumerate((Transition.RAISED, Transition.CLEARED))
        for key in ("garden/a", "garden/b", "garden/c")
    ]
    found = await due_of(Told(*events), since=20 * DAY + 31)
    assert found == [f"raised garden/{each} 3.jsonl" for each in "abc"]


async def test_what_was_high_for_a_while_is_sealed_once_it_is_lower() -> None:
    history = Told(
        moved("raise", Transition.RAISED, 20 * DAY, MEDIUM),
        moved("up", Transition.SEVERITY_CHANGED, 20 * DAY + 1, HIGH, "medium"),
        moved("down", Transition.SEVERITY_CHANGED, 20 * DAY + 2, MEDIUM, "high"),
        moved("clear", Transition.CLEARED, 21 * DAY, MEDIUM),
    )
    assert await due_of(history, since=20 * DAY) == ["raise.open.jsonl"]
    assert await due_of(history, since=20 * DAY + 2) == ["raise.open.jsonl"]


async def test_what_changes_between_critical_and_high_is_sealed_at_its_end() -> None:
    history = Told(
        moved("raise", Transition.RAISED, 20 * DAY, CRITICAL),
        moved("down", Transition.SEVERITY_CHANGED, 20 * DAY + 2, HIGH, "critical"),
        moved("clear", Transition.CLEARED, 21 * DAY),
    )
    assert await due_of(history, since=20 * DAY) == ["raise.jsonl"]


async def test_how_a_command_ended_is_no_alarm_to_seal() -> None:
    failed = replace(moved("failed", Transition.OCCURRED, 20 * DAY, CRITICAL), name="command.failed")
    fault = moved("fault", Transition.OCCURRED, 20 * DAY + 1)
    assert await due_of(Told(failed, fault), since=20 * DAY) == ["fault.jsonl"]


class OfStore(History):
    """A history whose store knows one event."""

    def __init__(self, event: Event) -> None:
        super().__init__(cast("Desk", None), cast("Link", None), Atlas())
        self._event = event

    @override
    async def _older(self, wanted: Wanted, *, since: int | None, limit: int) -> list[Event]:
        return [self._event]


async def test_what_redis_was_given_late_is_held_back_though_the_store_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    event = moved("clear", Transition.CLEARED, 50)

    async def entries(*_: object, **__: object) -> list[tuple[int, Event]]:
        return [(10_000, event)]

    monkeypatch.setattr(histories, "read_entries", entries)
    asked = OfStore(event)
    assert await asked.find(Wanted(), since=0, limit=10, written_by=5_000_000_000) == []
    assert await asked.find(Wanted(), since=0, limit=10, written_by=10_000_000_000) == [event]


class Watch:
    """A stopwatch that work moves."""

    seconds = 0.0


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    """Let there be three to seal, of which the oldest takes longer than a pass, and fails."""
    watch, done = Watch(), set()
    due = [Due(raised=moved(name, Transition.OCCURRED, n), since=n) for n, name in enumerate(("bad", "good", "better"))]

    async def all_due(_desk: Desk, _since: int, settled: int) -> tuple[list[Due], int]:
        return [each for each in due if each.raised.id not in done], settled

    def seal(_desk: Desk, _veil: Veil, each: Due, _done: Pass) -> bool:
        if each.raised.id == "bad":
            watch.seconds += alarms_seal.PASS_SECONDS + 1
            raise UnavailableError("corrupt_row", "at the end of an hour")
        done.add(each.raised.id)
        return True

    monkeypatch.setattr(alarms_seal, "Stopwatch", lambda _clock: watch)
    monkeypatch.setattr(alarms_seal, "all_due", all_due)
    monkeypatch.setattr(alarms_seal, "_seal", seal)
    return watch


def test_what_takes_long_and_fails_comes_last_in_the_next_pass(watch: Watch, cli: Cli) -> None:
    first = cli("alarms", "seal", "--json").document()
    assert (first["sealed"], first["waiting"], first["failed"]) == (0, 3, ["bad"])
    watch.seconds = 0.0
    second = cli("alarms", "seal", "--json", "--last", "bad").document()
    assert (second["sealed"], second["waiting"], second["failed"]) == (2, 1, ["bad"])


SAYS = """
import json, pathlib, sys
heard = pathlib.Path(sys.argv[1])
with heard.open("a") as out:
    print(*(word for before, word in zip(sys.argv, sys.argv[1:]) if before == "--last"), file=out)
number = len(heard.read_text().splitlines()) - 1
done = {"behind": 6 * 86_400_000_000_000, "sealed": 1, "unproven": 0, "removed": 0, "error": ""}
print(json.dumps({**done, "waiting": 3 - number, "failed": [["a", "b"], ["a"], [], []][number]}))
"""


def saying(heard: Path, clock: ManualClock) -> Sealing:
    sealing = Sealing([], clock)
    sealing.command = (sys.executable, "-c", SAYS, str(heard))
    return sealing


async def test_what_failed_is_handed_on_the_latest_last(tmp_path: Path) -> None:
    sealing = saying(heard := tmp_path / "heard", ManualClock())
    for _ in range(4):
        await sealing.once()
    assert heard.read_text(encoding="utf-8").splitlines() == ["", "a b", "b a", "b a"]


FAILS_ONCE = """
import json, pathlib, sys
heard = pathlib.Path(sys.argv[1])
with heard.open("a") as out:
    print(*(word for before, word in zip(sys.argv, sys.argv[1:]) if before == "--back"), file=out)
if len(heard.read_text().splitlines()) == 2:
    sys.exit("hub: the registry is away")
done = {"behind": 900_000_000_000, "sealed": 1, "unproven": 0, "removed": 0, "waiting": 0, "error": "", "failed": []}
print(json.dumps(done))
"""


async def test_after_hours_in_which_no_pass_was_made_the_next_one_looks_back_to_the_last(tmp_path: Path) -> None:
    sealing = Sealing([], clock := ManualClock())
    sealing.command = (sys.executable, "-c", FAILS_ONCE, str(heard := tmp_path / "heard"))
    await sealing.once()
    clock.advance(600)
    await sealing.once()
    clock.advance(4 * 3_600)
    await sealing.once()
    overlap = 3_600
    seconds = ["", f"{900 + 600 + overlap}s", f"{900 + 600 + 4 * 3_600 + overlap}s"]
    assert heard.read_text(encoding="utf-8").splitlines() == seconds


async def test_a_backlog_that_was_there_before_is_failing_only_from_its_first_pass_on(tmp_path: Path) -> None:
    sealing = saying(tmp_path / "heard", clock := ManualClock())
    clock.advance(7_300)
    began = clock.monotonic_ns()
    assert sealing.failing_since is None
    for _ in range(3):
        await sealing.once()
        clock.advance(600)
    assert sealing.behind_seconds > 5 * 86_400
    assert sealing.failing_since == began
    await sealing.once()
    assert sealing.failing_since is None


async def test_no_thread_for_a_child_is_told_and_does_not_end_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        message = "can't start new thread"
        raise RuntimeError(message)

    sealing = saying(tmp_path / "heard", ManualClock())
    with monkeypatch.context() as patched:
        patched.setattr(asyncio, "create_subprocess_exec", refuse)  # before Python 3.12 it starts a thread for a child
        await sealing.once()
    assert sealing.error == "can't start new thread"
    assert sealing.failing_since is not None
