"""The ledger and the courier over it: what gives way is not sent, what has ended is forgotten, what is dead never."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from typing_extensions import override

from hub.clock import SystemClock
from hub.model.effects import Entry, Event, Transition
from hub.outward.courier import Courier, Patience
from hub.outward.ledger import Ledger
from hub.outward.notices import Notices
from hub.outward.parcel import UNMASKED, Answer, Outcome, Parcel, State, Verdict
from hub.outward.standing import read_counts, read_lines
from hub.outward.wishes import Channel, Route, Wishes, read_wishes
from tests.clocks import ManualClock
from tests.outward.rig import event
from tests.waiting import wait_until

SECOND_NS = 1_000_000_000


def parcel(name: str, due: int = 0, lane: str = "fire/a", replaces: str = "") -> Parcel:
    return Parcel(
        channel="duty",
        lane=lane,
        entry=name,
        event=name,
        name="fire.heat",
        kind="raised high",
        body=b"",
        due=due,
        replaces=replaces,
    )


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    async with Ledger(tmp_path, SystemClock()) as it:
        yield it


class Nowhere:
    """Nobody knows any place."""

    def within(self, found: Event) -> Sequence[str]:
        return (found.site,)

    def words(self, found: Event) -> str:
        return found.key

    def zone(self, site: str) -> str | None:
        del site
        return None


def states(directory: Path) -> dict[str, str]:
    return {line.event: line.state for line in read_lines(directory, state=None, limit=100)}


async def test_what_is_held_and_gives_way_is_never_sent(tmp_path: Path) -> None:
    clock, sent = ManualClock(), list[str]()

    async def send(found: Parcel) -> Answer:
        sent.append(found.event)
        return Answer(verdict=Verdict.TAKEN, text="taken")

    async with Ledger(tmp_path, clock) as ledger, asyncio.TaskGroup() as group:
        courier = Courier(ledger, {"duty": send}, clock, Patience(), lambda _parcel, _outcome: None)
        later = clock.wall_ns() + SECOND_NS
        held = [parcel("held", later, "fire/a (held)"), parcel("other", later, "fire/b (held)")]
        courier.add(await ledger.keep(held, {}, {}))
        courier.add(await ledger.keep([parcel("newer", replaces="fire/a (held)")], {}, {}))
        group.create_task(courier.run())
        await wait_until(lambda: sent == ["newer"])
        clock.advance(1)
        courier.add(())  # so that it looks at the clock
        await wait_until(lambda: courier.waiting == 0)
        courier.stop()
    assert sent == ["newer", "other"]
    assert states(tmp_path) == {"held": "dropped", "newer": "delivered", "other": "delivered"}


async def test_a_channel_that_is_down_holds_up_no_other_and_no_alarm_for_ever(ledger: Ledger, tmp_path: Path) -> None:
    down = True

    async def duty(_found: Parcel) -> Answer:
        return Answer(verdict=Verdict.BUSY if down else Verdict.TAKEN, text="")

    async def desk(_found: Parcel) -> Answer:
        return Answer(verdict=Verdict.TAKEN, text="taken")

    patience = Patience(pauses=(0.02,), spread=lambda: 1.0)
    courier = Courier(ledger, {"duty": duty, "desk": desk}, SystemClock(), patience, lambda _parcel, _outcome: None)
    names = [f"{number}" for number in range(20)]
    parcels = [replace(parcel(name, lane=name), channel=channel) for name in names for channel in ("duty", "desk")]
    courier.add(await ledger.keep(parcels, {}, {}))
    async with asyncio.TaskGroup() as group:
        group.create_task(courier.run())
        await wait_until(lambda: courier.waiting == len(names))
        down = False
        await wait_until(lambda: courier.waiting == 0)
        courier.stop()
    assert read_counts(tmp_path)["delivered"] == len(parcels)


async def test_what_has_ended_is_forgotten_after_a_while_and_what_is_dead_never(tmp_path: Path) -> None:
    clock = ManualClock()
    async with Ledger(tmp_path, clock) as ledger:
        slips = await ledger.keep([parcel(name) for name in ("taken", "dead", "waiting")], {}, {})
        ends = zip(slips, (State.DELIVERED, State.DEAD), strict=False)
        await ledger.settle(
            [Outcome(number=slip.number, state=end, answer="", attempts=1, due=0) for slip, end in ends]
        )
        assert await ledger.forget(clock.wall_ns()) == 0
        clock.advance(1)
        assert await ledger.forget(clock.wall_ns()) == 1
    assert states(tmp_path) == {"dead": "dead", "waiting": "waiting"}


class CountingClock(SystemClock):
    """A clock that whoever turns in circles asks too often."""

    asked = 0

    @override
    def monotonic_ns(self) -> int:
        self.asked += 1
        assert self.asked < 2_000, "it turns in circles"
        return super().monotonic_ns()


async def test_a_courier_that_stops_over_a_backlog_waits_quietly_for_what_is_on_its_way(
    ledger: Ledger, tmp_path: Path
) -> None:
    answers = {"first": asyncio.Event(), "second": asyncio.Event()}
    left: list[str] = []

    async def send(found: Parcel) -> Answer:
        left.append(found.event)
        await answers[found.event].wait()
        return Answer(verdict=Verdict.TAKEN, text="taken")

    told: list[str] = []
    patience = Patience(side_by_side=2)
    courier = Courier(
        ledger, {"duty": send}, CountingClock(), patience, lambda found, _outcome: told.append(found.event)
    )
    courier.add(await ledger.keep([parcel(name, lane=name) for name in (*answers, "backlog")], {}, {}))
    async with asyncio.TaskGroup() as group:
        group.create_task(courier.run())
        await wait_until(lambda: len(left) == 2)
        courier.stop()
        answers["first"].set()
        await wait_until(lambda: told == ["first"])
        answers["second"].set()
    assert states(tmp_path) == {"first": "delivered", "second": "delivered", "backlog": "waiting"}


async def test_what_quiet_hours_hold_grows_no_older_meanwhile(tmp_path: Path) -> None:
    clock = ManualClock()
    told: list[State] = []

    async def send(_found: Parcel) -> Answer:
        return Answer(verdict=Verdict.LATER, text="500")

    async def try_after(hours: float) -> None:
        clock.advance(hours * 3600)
        patience = Patience(pauses=(1,), give_up_after=timedelta(hours=24))
        courier = Courier(kept, {"duty": send}, clock, patience, lambda _found, outcome: told.append(outcome.state))
        async with asyncio.TaskGroup() as group:
            group.create_task(courier.run())
            await wait_until(lambda: told)
            courier.stop()

    async with Ledger(tmp_path, clock) as kept:
        await kept.keep([parcel("held", clock.wall_ns() + 30 * 3600 * SECOND_NS)], {}, {})
        for hours, state in ((30, State.WAITING), (23, State.WAITING), (2, State.DEAD)):
            told.clear()
            await try_after(hours)
            assert told == [state]


async def test_newer_news_takes_the_place_of_what_was_held_unmasked(ledger: Ledger, tmp_path: Path) -> None:
    held = parcel("held", SystemClock().wall_ns() + 3600 * SECOND_NS, "fire/a (held)")
    await ledger.keep([replace(held, channel="duty" + UNMASKED)], {}, {})
    await ledger.keep([parcel("newer", replaces="fire/a (held)")], {}, {})
    assert states(tmp_path) == {"held": "dropped", "newer": "waiting"}


async def test_a_notifier_that_starts_again_remembers_what_it_told(ledger: Ledger) -> None:
    await ledger.keep([parcel("told", lane="access-passage/garden/gate-1")], {}, {})
    wishes = Wishes(
        channels={"duty": Channel(channel="duty")},
        routes=[Route(route="all", channels=["duty"])],
        templates=read_wishes(None, {}).templates,
        urls={"duty": SecretStr("")},
    )
    raised = Entry("hub:events:access", 1, 0, event(1, transition=Transition.RAISED), "hub/main")
    notices = Notices(wishes, Nowhere(), lambda found: found, SystemClock())
    await notices.remember(ledger)
    assert [each.state for each in notices.of_entry(raised)] == [State.DROPPED]


async def test_a_critical_message_passes_those_that_wait_for_a_busy_channel_and_bars_none(ledger: Ledger) -> None:
    sent: list[str] = []

    async def send(found: Parcel) -> Answer:
        sent.append(found.event)
        is_busy = len(sent) == 1 or (found.event == "worst" and sent.count("worst") < 3)
        return Answer(verdict=Verdict.BUSY, text="503") if is_busy else Answer(verdict=Verdict.TAKEN, text="taken")

    ends: list[State] = []
    patience = Patience(pauses=(0.02,), side_by_side=1, spread=lambda: 1.0)
    courier = Courier(ledger, {"duty": send}, SystemClock(), patience, lambda _found, it: ends.append(it.state))
    await ledger.keep([parcel(f"high {number}", lane=f"a{number}") for number in range(6)], {}, {})
    async with asyncio.TaskGroup() as group:
        group.create_task(courier.run())
        await wait_until(lambda: sent)
        courier.add(await ledger.keep([replace(parcel("worst", lane="b"), kind="raised critical")], {}, {}))
        await wait_until(lambda: ends.count(State.DELIVERED) == 7)
        courier.stop()
    first = sent.index("worst")
    assert first <= 2  # after the one on its way, and the one that tried whether the channel goes again
    assert sent[first + 1] != "worst"
