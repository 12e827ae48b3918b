"""What leaves the house, looked at by the doctor: ledgers as forwarders and notifiers leave them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hub.clock import SystemClock
from hub.journal.files import Lock
from hub.outward.ledger import Ledger
from hub.outward.parcel import Outcome, Parcel, State
from hub.ui.doctor.findings import Verdict
from tests.servers.http_stub import HttpStub
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


async def test_who_should_work_and_does_not_is_told(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, forward={"city": {}, "new": {}})
    places = [settings.data_dir / "forward" / name for name in ("city", "old")]
    for place in places:
        await ledger_of(place, 0, State.DELIVERED)
    with Lock(places[0]):
        found = (await examined("deliveries", scene(settings)))["senders_work"]
        assert (found.grade, found.found) == (BAD, "forward/new: nobody works there, never written")
        wanted = settings_of(tmp_path, forward={"city": {}})
        found = (await examined("deliveries", scene(wanted, clock=ShiftedClock(7_200))))["senders_work"]
        assert (found.grade, "forward/old: nobody works there, 2h since written" in found.found) == (WEAK, True)
    found = (await examined("deliveries", scene(wanted)))["senders_work"]
    assert found.grade is BAD
    assert not (settings.data_dir / "forward" / "new").exists()


async def test_webhooks_that_nobody_answers_at_are_told_without_their_secrets(
    tmp_path: Path, http_stub: HttpStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = settings_of(tmp_path, forward={"city": {"webhook": http_stub.url}})
    found = (await examined("deliveries", scene(good)))["receivers_reachable"]
    assert found.grade is GOOD
    assert http_stub.requests == []
    monkeypatch.setattr("hub.ui.doctor.outward.SECONDS", 0.5)  # who does not answer does not then either
    urls = ("http://u:hush@127.0.0.1:9/hush", http_stub.url.replace("http", "https"), "https://nowhere.invalid/hush")
    away = settings_of(tmp_path, forward={f"r{number}": {"webhook": url} for number, url in enumerate(urls)})
    found = (await examined("deliveries", scene(away)))["receivers_reachable"]
    assert found.grade is WEAK
    assert [name for name in ("r0", "r1", "r2") if f"forward/{name}: " not in found.found] == []
    assert "hush" not in found.found
    for url in ("http://[::1/hush", "http://u:hush@[x]/hush", "http://u:hu/sh@h:1/", "http://h:99999/hush"):
        wrong = settings_of(tmp_path, forward={"city": {"webhook": url}})
        found = (await examined("deliveries", scene(wrong)))["receivers_reachable"]
        assert (found.grade, found.found) == (WEAK, "forward/city: a webhook is an http:// or https:// URL")


async def test_roles_that_nobody_is_told_of_are_told(tmp_path: Path) -> None:
    async def judged(routes: str, **sections: object) -> Verdict:
        (tmp_path / "notify.yaml").write_text(routes, encoding="utf-8")
        settings = settings_of(tmp_path, notify={"dir": tmp_path, "urls": {"duty": "json://desk"}}, **sections)
        return (await examined("deliveries", scene(settings)))["roles_told"]

    found = await judged("channel: duty")
    assert (found.grade, "property_lead 物业负责人 (" in found.found) == (WEAK, True)
    found = await judged("channel: duty", forward={"city": {}})
    assert (found.grade, "forward/city alone" in found.found) == (GOOD, True)
    route = "channel: duty\n---\nroute: all\nchannels: duty\nmin_severity: info\n"
    assert (await judged(route)).grade is BAD
    assert (await judged(f"{route}transitions: escalated\n")).grade is GOOD
    found = await judged(f"{route}transitions: escalated\nplaces: garden\n")
    assert (found.grade, found.found[:25]) == (WEAK, "told in some places only:")


async def test_where_nothing_leaves_and_where_wishes_are_wrong_that_is_told(tmp_path: Path) -> None:
    assert (await examined("deliveries", scene(settings_of(tmp_path))))["deliveries_leave"].grade is GOOD
    (tmp_path / "notify.yaml").write_text("route: fire\nchannels: nobody\n", encoding="utf-8")
    settings = settings_of(tmp_path, notify={"dir": tmp_path})
    found = (await examined("deliveries", scene(settings)))["deliveries_leave"]
    assert (found.grade, "unknown_name" in found.found) == (BAD, True)
