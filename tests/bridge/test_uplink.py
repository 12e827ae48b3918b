"""The Inbox: in order, in batches, bounded, notes and events first."""

from __future__ import annotations

import asyncio

import pytest

from hub.bridge import uplink
from hub.bridge.uplink import Inbox, Marks, joined
from hub.model.heard import CaughtUp, Connected, Delivery, Heard, Lost, Packets, Publish


class FakeSession:
    """Remembers whether it reads."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.reads = True

    async def run(self) -> None:
        """Do nothing: tests put by hand."""

    def acknowledge(self, delivery: Delivery) -> bool:
        return delivery.session == self.name

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True


def _packets(*payloads: bytes, session: str = "telemetry", connection: int = 1, settled: int = 0) -> Delivery:
    messages: list[Heard] = [Publish("t", payload) for payload in payloads]
    return Delivery(session, connection, Packets(b"".join(payloads), messages, settled, session_present=True))


def _many(count: int, size: int = 1) -> Delivery:
    return _packets(*[b"x" * size] * count)


def _shape(delivery: Delivery) -> object:
    return len(delivery.body.messages) if isinstance(delivery.body, Packets) else type(delivery.body).__name__


async def test_a_take_joins_what_arrived_meanwhile_and_keeps_the_order() -> None:
    inbox = Inbox()
    inbox.attach(FakeSession("telemetry"))
    for delivery in (
        Delivery("telemetry", 1, Connected(session_present=True)),
        _packets(b"a", b"b"),
        _packets(b"c", settled=2),
        Delivery("telemetry", 1, CaughtUp(9)),
        _packets(b"d"),
        Delivery("telemetry", 1, Lost("gone")),
        _packets(b"e", connection=2),
    ):
        inbox.put(delivery)
    taken = (await inbox.take()).deliveries
    assert [_shape(delivery) for delivery in taken] == ["Connected", 3, "CaughtUp", 1, "Lost", 1]
    body = taken[1].body
    assert isinstance(body, Packets)
    assert (body.raw, [heard.payload for heard in body.messages], body.settled) == (b"abc", [b"a", b"b", b"c"], 2)


def test_packets_of_two_connections_stay_apart_though_nothing_is_said_between_them() -> None:
    taken = joined([_packets(b"a"), _packets(b"b", connection=2), _packets(b"c", connection=2)])
    assert [(each.connection, _shape(each)) for each in taken] == [(1, 1), (2, 2)]


async def test_events_and_notes_come_before_telemetry() -> None:
    inbox = Inbox()
    inbox.attach(FakeSession("events"))
    inbox.attach(FakeSession("telemetry"))
    inbox.put(_packets(b"measured"))
    inbox.put(_packets(b"alarm", session="events"))
    assert inbox.put_note("tick")
    taken = await inbox.take()
    assert taken.notes == ["tick"]
    assert [delivery.session for delivery in taken.deliveries] == ["events", "telemetry"]


async def test_a_take_waits_until_something_comes() -> None:
    inbox = Inbox()
    async with asyncio.TaskGroup() as group:
        taking = group.create_task(inbox.take())
        inbox.put_note("first")
    assert taking.result().notes == ["first"]
    async with asyncio.TaskGroup() as group:
        taking = group.create_task(inbox.take())
        inbox.put_note("second")
    assert taking.result().notes == ["second"]


async def test_when_the_notes_were_taken_alone_nothing_is_left_to_take() -> None:
    inbox = Inbox()
    inbox.put_note("tick")
    assert inbox.take_notes() == ["tick"]
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await inbox.take()


async def test_a_note_that_may_wait_waits_for_messages_and_goes_along_with_them() -> None:
    inbox = Inbox()
    inbox.attach(FakeSession("telemetry"))
    inbox.put_note("tick", soon=False)
    async with asyncio.TaskGroup() as group:
        taking = group.create_task(inbox.take())
        await asyncio.wait([taking], timeout=0)
        assert not taking.done()
        inbox.put(_packets(b"a"))
        taken = await taking
    assert (taken.notes, [_shape(delivery) for delivery in taken.deliveries]) == (["tick"], [1])


async def test_a_tick_comes_alone_when_nothing_else_does_and_so_does_the_next() -> None:
    inbox = Inbox()
    for tick in ("first", "second"):
        inbox.put_note(tick, soon=False)
        assert (await inbox.take()).notes == [tick]


async def test_a_tick_that_must_come_soon_waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uplink, "NOTE_WAITS_SECONDS", 3_600)
    inbox = Inbox()
    inbox.put_note("patient", soon=False)
    inbox.put_note("tick", soon=True)
    assert (await inbox.take()).notes == ["patient", "tick"]


async def test_a_tick_that_was_taken_as_a_note_wakes_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uplink, "NOTE_WAITS_SECONDS", 0)
    inbox = Inbox()
    inbox.put_note("tick", soon=False)
    assert inbox.take_notes() == ["tick"]
    async with asyncio.TaskGroup() as group:
        taking = group.create_task(inbox.take())
        for _ in range(3):
            await asyncio.wait([taking], timeout=0)
        assert not taking.done()
        inbox.put_note("note")
        assert (await taking).notes == ["note"]


def test_joining_stops_at_two_thousand_messages() -> None:
    assert [_shape(it) for it in joined([_many(1_500), _many(500), _many(1), _many(1)])] == [2_000, 2]


def test_joining_stops_at_four_mebibytes() -> None:
    mebibyte = 1024 * 1024
    assert [_shape(it) for it in joined([_many(1, mebibyte) for _ in range(5)])] == [4, 1]
    assert [_shape(it) for it in joined([_many(1), _many(1, 9 * mebibyte), _many(1)])] == [1, 1, 1]


async def test_a_flood_of_events_leaves_telemetry_its_turn() -> None:
    inbox = Inbox(Marks(messages=1_000_000))
    inbox.attach(FakeSession("events"))
    inbox.attach(FakeSession("telemetry"))
    for _ in range(20):
        inbox.put(_packets(*[b"x"] * 1_000, session="events"))
        inbox.put(_many(1_000))
    taken = (await inbox.take()).deliveries
    counts = {name: sum(_shape(it) for it in taken if it.session == name) for name in ("events", "telemetry")}  # type: ignore[misc]
    assert counts == {"events": uplink.TAKE_MESSAGES, "telemetry": 1_000}
    assert inbox.waiting_messages == 40_000 - 9_000


@pytest.mark.parametrize(
    ("marks", "size"), [(Marks(messages=100), 1), (Marks(payload_bytes=100_000), 1_000)], ids=["messages", "bytes"]
)
async def test_a_session_pauses_above_its_mark_and_reads_again_when_it_was_taken(marks: Marks, size: int) -> None:
    inbox = Inbox(marks)
    quiet, busy = FakeSession("events"), FakeSession("telemetry")
    inbox.attach(quiet)
    inbox.attach(busy)
    inbox.put(_many(100, size))
    assert busy.reads
    inbox.put(_many(1, size))
    assert (busy.reads, quiet.reads, inbox.pauses) == (False, True, 1)
    await inbox.take()
    assert busy.reads


async def test_too_many_notes_are_refused_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uplink, "MAX_NOTES", 2)
    inbox = Inbox()
    assert [inbox.put_note(number) for number in range(3)] == [True, True, False]
    assert inbox.refused_notes == 1
    assert (await inbox.take()).notes == [0, 1]
