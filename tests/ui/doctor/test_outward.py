"""What leaves the house, looked at by the doctor: ledgers as forwarders and notifiers leave them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hub.clock import SystemClock
from hub.outward.ledger import Ledger
from hub.outward.parcel import Outcome, Parcel, State
from tests.ui.doctor.scenes import BAD, GOOD, WEAK, ShiftedClock, examined, scene, settings_of

MINUTE_NS = 60_000_000_000


async def ledger_of(directory: Path, minutes: int, state: State = State.WAITING, due: int = 0) -> None:
    """Make a ledger with one parcel that was made so many minutes ago."""
    directory.mkdir(parents=True)
    clock = ShiftedClock(-60 * minutes)
    async with Ledger(directory, clock) as ledger:
        words: dict[str, Any] = {
            "channel": "webhook",
            "lane": "a",
            "entry": "s 1-0",
            "event": "e",
            "name": "n",
            "kind": "raised",
        }
        parcel = Parcel(**words, body=b"", due=clock.wall_ns() + due)
        (slip,) = await ledger.keep([parcel], {}, {})
        outcome = Outcome(number=slip.number, state=state, answer="503", attempts=1, due=clock.wall_ns())
        await ledger.settle([outcome] if state is not State.WAITING else [])


@pytest.mark.parametrize(
    ("minutes", "state", "due", "grade"),
    [
        (0, State.WAITING, 0, GOOD),
        (11, State.WAITING, 0, BAD),
        (11, State.WAITING, 60 * MINUTE_NS, GOOD),
        (11, State.DELIVERED, 0, GOOD),
        (11, State.DEAD, 0, WEAK),
    ],
)
async def test_what_waits_for_long_or_was_given_up_is_told(
    minutes: int, state: State, due: int, grade: object, tmp_path: Path
) -> None:
    settings = settings_of(tmp_path)
    await ledger_of(settings.data_dir / "forward" / "city", minutes, state, due)
    found = (await examined("deliveries", scene(settings, clock=SystemClock())))["deliveries_leave"]
    assert found.grade is grade
    assert "forward/city" in found.found


async def test_where_nothing_leaves_and_where_wishes_are_wrong_that_is_told(tmp_path: Path) -> None:
    assert (await examined("deliveries", scene(settings_of(tmp_path))))["deliveries_leave"].grade is GOOD
    (tmp_path / "notify.yaml").write_text("route: fire\nchannels: nobody\n", encoding="utf-8")
    settings = settings_of(tmp_path, notify={"dir": tmp_path})
    found = (await examined("deliveries", scene(settings)))["deliveries_leave"]
    assert (found.grade, "unknown_name" in found.found) == (BAD, True)
