"""A channel for which too much waits: the others are told all the same, and what is about lives waits for it, too."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from hub.clock import SystemClock
from hub.model.effects import Transition
from hub.model.values import Severity
from hub.outward.notices import Notices
from hub.outward.parcel import Answer, Parcel, State, Verdict
from hub.outward.process import OutwardProcess
from hub.outward.standing import read_lines
from hub.outward.wishes import read_wishes
from tests.citywide.rig import write
from tests.outward.rig import Desk, Guide, event
from tests.running import running
from tests.servers.http_stub import HttpStub
from tests.servers.valkey import ValkeyServer
from tests.waiting import wait_until

WISHES = """\
channel: duty
---
channel: gone
---
route: all
channels: [duty, gone]
"""


async def gone(_parcel: Parcel) -> Answer:
    """Take nothing, as a service that is away for half a day."""
    return Answer(verdict=Verdict.LATER, text="away", after=timedelta(hours=1))


async def test_a_channel_for_which_too_much_waits_keeps_no_other_from_being_told(
    tmp_path: Path, valkey: ValkeyServer, http_stub: HttpStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.outward.follower.MOST_WAITING", 8)  # two of each
    (tmp_path / "notify.yaml").write_text(WISHES, encoding="utf-8")
    told: list[str] = []

    async def duty(parcel: Parcel) -> Answer:
        told.append(parcel.event)
        return Answer(verdict=Verdict.TAKEN, text="")

    clock, directory = SystemClock(), tmp_path / "notify"
    packer = Notices(read_wishes(tmp_path, {}), Guide(), lambda found: found, clock)
    errand = replace(Desk(directory, valkey, http_stub).errand, packer=packer, senders={"duty": duty, "gone": gone})
    events = [event(number, device=f"gate-{number}") for number in range(1, 8)]
    events.append(event(8, device="smoke-8", severity=Severity.CRITICAL))
    less = event(10, device="smoke-8", transition=Transition.SEVERITY_CHANGED, data={"before": "critical"})
    events.append(less)  # who heard that it is critical hears that, too
    async with valkey.link() as link, OutwardProcess(errand, clock) as process, running(process):
        await wait_until(lambda: process.follower.is_reading)
        for each in events:
            await write(link, each)
            await wait_until(partial(told.count, each.id))
        assert not process.follower.is_held_up
        monkeypatch.setattr("hub.outward.follower.MOST_WAITING", 800)
        await write(link, event(9, device="gate-7"))  # the same again, of which that channel was told nothing
        await wait_until(lambda: any(line.event == event(9).id for line in read_lines(directory, state=None, limit=99)))
    assert told == [each.id for each in events]
    lines = [line for line in read_lines(directory, state=None, limit=99) if line.channel == "gone"]
    assert Counter(line.state for line in lines) == {State.WAITING: 5, State.DROPPED: 5}
    waiting = [line.event for line in lines if line.state == State.WAITING]
    assert waiting == [*(events[at].id for at in (0, 1, 7, 8)), event(9).id]
    assert {line.answer for line in lines if line.state == State.DROPPED} == {"2 wait for it already"}
