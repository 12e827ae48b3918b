"""A forwarder on a real Valkey, and a receiver that drops, refuses or is busy: nothing lost, each subject in order."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from typing_extensions import override

from hub.clock import SystemClock
from hub.errors import ConfigError, CorruptError
from hub.model.effects import Entry, Event
from hub.model.values import Severity
from hub.outward.cloud_event import LOST, Packing
from hub.outward.courier import Patience
from hub.outward.ledger import Ledger
from hub.outward.parcel import State
from hub.outward.standing import FILE, read_counts, read_lines
from hub.sinks.redis_link import Link
from hub.sinks.streams import domain_key
from tests.citywide.rig import write
from tests.outward.rig import Desk, counted, event, headers, is_signed, numbers, told
from tests.servers.http_stub import Answer, HttpStub, Manner
from tests.servers.valkey import ValkeyServer
from tests.waiting import wait_until

ACCESS = domain_key("access")
HOUR_NS = 3_600_000_000_000


class SteppingClock(SystemClock):
    """A clock that can be set back."""

    behind_ns = 0

    @override
    def wall_ns(self) -> int:
        return super().wall_ns() - self.behind_ns


@pytest.fixture
def desk(tmp_path: Path, valkey: ValkeyServer, http_stub: HttpStub) -> Desk:
    return Desk(tmp_path / "forward" / "it", valkey, http_stub)


async def test_dropped_answers_and_refusals_cost_no_event_and_no_order(
    desk: Desk, valkey: ValkeyServer, http_stub: HttpStub
) -> None:
    http_stub.script.extend(
        [
            Answer(manner=Manner.RESET),
            Answer(status=503, headers={"Retry-After": "0"}),
            Answer(status=200),
            Answer(manner=Manner.GARBLED),
            Answer(status=429),
            Answer(status=500, body=b"again, please"),
            Answer(status=301, headers={"Location": "/elsewhere"}),
            Answer(manner=Manner.RESET),
        ]
    )
    async with valkey.link() as link, desk.at_work() as process:
        await wait_until(lambda: process.follower.is_reading)
        await write(link, *(event(number, f"gate-{number % 3}") for number in range(30)))
        await wait_until(lambda: len(desk.ended()) == 30)
    for gate in range(3):
        assert [number for number in desk.ended() if number % 3 == gate] == list(range(gate, 30, 3))
    assert desk.ended(State.DEAD) == []
    tries = Counter(numbers(http_stub))
    assert set(tries) == set(range(30))
    assert sum(tries.values()) == 37
    bodies = {body for _, body in http_stub.requests}
    assert len(bodies) == 30
    assert all(path == "/hook" for path, _ in http_stub.requests)
    secret = (desk.directory / "secret").read_text(encoding="ascii").strip()
    for head, (_, body), document in zip(http_stub.heads, http_stub.requests, told(http_stub), strict=True):
        said = headers(head)
        assert said["content-type"] == "application/cloudevents+json; charset=utf-8"
        assert said["webhook-id"] == document["id"]
        assert is_signed(secret, said, body)
        assert not is_signed(secret, said, body + b" ")


async def test_one_subject_that_fails_holds_up_nobody_else(
    desk: Desk, valkey: ValkeyServer, http_stub: HttpStub
) -> None:
    http_stub.judge = lambda lines: Answer(status=500 if b"garden/bad" in lines[0] else 204)
    async with valkey.link() as link, desk.at_work() as process:
        await wait_until(lambda: process.follower.is_reading)
        await write(link, event(1, "bad"), event(2, "bad"), event(3, "good"), event(4, "good"))
        await wait_until(lambda: len(desk.ended()) == 2 and numbers(http_stub).count(1) >= 3)
        assert (desk.ended(), 2 in numbers(http_stub)) == ([3, 4], False)
        http_stub.judge = lambda _lines: Answer()
        await wait_until(lambda: len(desk.ended()) == 4)
    assert desk.ended() == [3, 4, 1, 2]


async def test_what_is_refused_is_dead_and_listed_and_goes_when_it_is_let_again(
    desk: Desk, valkey: ValkeyServer, http_stub: HttpStub
) -> None:
    http_stub.script.append(Answer(status=422, body=b"who is \x00 gate-1?"))
    async with valkey.link() as link, desk.at_work() as process:
        await wait_until(lambda: process.follower.is_reading)
        await write(link, event(1), event(2))
        await wait_until(lambda: desk.ended() == [2])
        (line,) = read_lines(desk.directory, state=State.DEAD, limit=10)
        assert (int(line.event, 16), line.answer, line.attempts) == (1, "422 who is gate-1?", 1)
        async with Ledger(desk.directory, SystemClock()) as beside:
            assert await beside.retry([line.number]) == 1
        await wait_until(lambda: desk.ended() == [2, 1])
    assert read_lines(desk.directory, state=State.DEAD, limit=10) == []
    assert read_counts(desk.directory) == {"dead": 1, "delivered": 2, "waiting": 0}


async def test_whoever_is_tried_for_too_long_is_given_up_and_kept(
    desk: Desk, valkey: ValkeyServer, http_stub: HttpStub
) -> None:
    http_stub.judge = lambda lines: Answer(status=500 if f"{1:032x}".encode() in lines[0] else 204)
    patience = Patience(pauses=(0.02,), give_up_after=timedelta(milliseconds=100), spread=lambda: 1.0)
    async with valkey.link() as link, desk.at_work(patience=patience) as process:
        await wait_until(lambda: process.follower.is_reading)
        await write(link, event(1), event(2))
        await wait_until(lambda: desk.ended() == [2])
    assert desk.ended(State.DEAD) == [1]


async def test_what_waited_for_days_because_nobody_sent_it_is_not_given_up_at_the_first_failure(
    desk: Desk, http_stub: HttpStub
) -> None:
    clock = SteppingClock()
    clock.behind_ns = 5 * 86_400_000_000_000
    entry = Entry(ACCESS, 1, 0, event(1), "hub/main")
    async with Ledger(desk.directory, clock) as ledger:
        await ledger.keep(Packing("test", Severity.LOW, lambda found: found, clock).of_entry(entry), {}, {})
    http_stub.script.extend([Answer(status=503), Answer(status=500)])
    async with desk.at_work():
        await wait_until(lambda: desk.outcomes[2:])
    assert (desk.ended(), desk.ended(State.DEAD)) == ([1], [])


async def test_a_receiver_that_is_gone_ends_the_forwarder_and_loses_nothing(
    desk: Desk, valkey: ValkeyServer, http_stub: HttpStub
) -> None:
    http_stub.judge = lambda _lines: Answer(status=410)
    async with valkey.link() as link:
        with pytest.raises(ExceptionGroup) as ended:
            await _forward(desk, link, event(1))
        assert ended.group_contains(ConfigError, match="receiver_gone", depth=None)
        await write(link, event(2))
        http_stub.judge = lambda _lines: Answer()
        async with desk.at_work():
            await wait_until(lambda: desk.ended() == [1, 2])
    assert numbers(http_stub) == [1, 1, 2]


async def test_where_it_was_is_where_it_goes_on_and_a_cursor_sends_again(
    desk: Desk, valkey: ValkeyServer, http_stub: HttpStub
) -> None:
    async with valkey.link() as link:
        await write(link, event(1))
        async with desk.at_work() as process:
            await wait_until(lambda: process.follower.is_reading)
            await write(link, event(2))
            await wait_until(counted(http_stub, 1))
        await write(link, event(3), event(4, severity=Severity.INFO))
        async with desk.at_work():
            await wait_until(lambda: desk.ended() == [2, 3])
        assert numbers(http_stub) == [2, 3]
        async with desk.at_work(since=0):
            await wait_until(lambda: len(desk.ended()) == 5)
        assert sorted(desk.ended()[2:]) == [1, 2, 3]
        lines = read_lines(desk.directory, state=None, limit=10)
        place = next(line.entry for line in lines if int(line.event, 16) == 3)
        async with desk.at_work(since=int(place.split()[1].partition("-")[0])):
            await wait_until(lambda: 3 in desk.ended()[5:])
        assert 1 not in desk.ended()[5:]
        async with desk.at_work(anew=True) as process:
            await wait_until(lambda: process.follower.is_reading)
            await write(link, event(5))
            await wait_until(lambda: desk.ended()[-1] == 5)


async def test_what_was_trimmed_unread_is_told_once_to_whoever_receives(
    desk: Desk, valkey: ValkeyServer, http_stub: HttpStub
) -> None:
    async with valkey.link() as link:
        async with desk.at_work() as process:
            await wait_until(lambda: process.follower.is_reading)
            await write(link, event(1))
            await wait_until(lambda: desk.ended() == [1])
        await write(link, *(event(number) for number in range(2, 7)))
        await link.ask("XTRIM", ACCESS, "MAXLEN", "=", 2)
        for _ in range(2):
            async with desk.at_work():
                await wait_until(lambda: len(desk.ended()) == 4)
    losses = [document for document in told(http_stub) if document["type"] == LOST]
    gone = {"stream": ACCESS, "entries": 3}
    assert [(loss["subject"], loss["data"]["data"]) for loss in losses] == [(ACCESS, gone)]
    assert [number for number in numbers(http_stub) if number < 10] == [1, 5, 6]
    assert read_counts(desk.directory)["lost"] == 3


async def test_a_clock_that_is_set_back_by_a_day_holds_nothing_up(
    desk: Desk, valkey: ValkeyServer, http_stub: HttpStub
) -> None:
    http_stub.script.append(Answer(status=500))
    clock = SteppingClock()
    patience = Patience(pauses=(0.5,), spread=lambda: 1.0)
    async with valkey.link() as link, desk.at_work(clock, patience=patience) as process:
        await wait_until(lambda: process.follower.is_reading)
        await write(link, event(1))
        await wait_until(lambda: desk.outcomes)
        clock.behind_ns = 86_400_000_000_000
        await wait_until(lambda: desk.ended() == [1])


async def test_what_is_to_be_tried_again_waits_no_day_for_a_clock_that_was_set_back(
    desk: Desk, valkey: ValkeyServer, http_stub: HttpStub
) -> None:
    http_stub.judge = lambda _lines: Answer(status=500)
    ahead = SteppingClock()
    ahead.behind_ns = -24 * HOUR_NS
    async with valkey.link() as link, desk.at_work(ahead) as process:
        await wait_until(lambda: process.follower.is_reading)
        await write(link, event(1))
        await wait_until(lambda: desk.outcomes)
    async with Ledger(desk.directory, SystemClock()) as ledger, desk.at_work() as process:
        (slip,) = await ledger.waiting()
        assert slip.due - SystemClock().wall_ns() > 23 * HOUR_NS
        due = await wait_until(process.courier.outlets["webhook"].lanes.next_due)
        assert int(str(due)) - SystemClock().monotonic_ns() <= HOUR_NS // 12


async def test_what_waits_for_the_morning_leaves_in_the_morning_of_a_clock_that_was_set(
    desk: Desk, http_stub: HttpStub
) -> None:
    http_stub.script.append(Answer(status=500))
    clock = SteppingClock()
    packing = Packing("test", Severity.LOW, lambda found: found, clock)
    (held,) = packing.of_entry(Entry(ACCESS, 1, 0, event(1), "hub/main"))
    (other,) = packing.of_entry(Entry(ACCESS, 2, 0, event(2), "hub/main"))
    async with Ledger(desk.directory, clock) as ledger:
        await ledger.keep([replace(held, due=held.due + 8 * HOUR_NS), replace(other, lane="other")], {}, {})
    async with desk.at_work(clock, patience=Patience(pauses=(0.5,), spread=lambda: 1.0)):
        await wait_until(lambda: desk.outcomes)  # the other one has failed once
        clock.behind_ns = -7 * HOUR_NS
        await wait_until(lambda: desk.ended() == [2])
        clock.behind_ns = -8 * HOUR_NS
        await wait_until(lambda: desk.ended() == [2, 1])


async def test_a_replay_from_where_entries_were_trimmed_sends_what_is_there_and_calls_nothing_lost(
    desk: Desk, valkey: ValkeyServer
) -> None:
    async with valkey.link() as link:
        await write(link, *(event(number) for number in range(6)))
        await link.ask("XTRIM", ACCESS, "MAXLEN", "=", 2)
        async with desk.at_work(since=0) as process:
            await wait_until(lambda: desk.ended() == [4, 5] and process.follower.read_until)
    assert read_counts(desk.directory) == {"delivered": 2, "waiting": 0}


async def test_a_redis_that_is_away_when_losses_are_looked_for_is_heard_again(
    desk: Desk, valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.outward.follower.LOOK_FOR_LOSS_NS", 0)  # as after half a minute without it
    async with desk.at_work() as process:
        await wait_until(lambda: process.follower.read_until)
        valkey.kill()
        await wait_until(lambda: not process.follower.is_reading)
        valkey.start()
        await wait_until(lambda: process.follower.is_reading)
        async with valkey.link() as link:
            await write(link, event(1))
        await wait_until(lambda: desk.ended() == [1])


async def test_a_damaged_ledger_is_refused_and_the_mend_is_told(desk: Desk) -> None:
    (desk.directory / FILE).write_bytes(b"no database at all" * 1_000)
    with pytest.raises(CorruptError, match="move it away"):
        async with desk.at_work():
            pass


async def test_two_forwarders_of_one_name_do_not_work_at_the_same_time(desk: Desk) -> None:
    async with desk.at_work():
        with pytest.raises(ConfigError, match="already_running"):
            async with desk.at_work():
                pass


async def _forward(desk: Desk, link: Link, *events: Event) -> None:
    async with desk.at_work() as process:
        await wait_until(lambda: process.follower.is_reading)
        await write(link, *events)
        await asyncio.Event().wait()  # the error of a task ends it


async def test_a_key_of_somebody_else_in_the_place_of_a_stream_keeps_no_other_event_back(
    desk: Desk, valkey: ValkeyServer
) -> None:
    async with valkey.link() as link:
        await link.ask("SET", domain_key("care"), "a note")
        async with desk.at_work() as process:
            await wait_until(lambda: process.follower.is_reading)
            await write(link, event(1))
            await wait_until(lambda: desk.ended() == [1])
            await link.ask("SET", domain_key("fire"), "another")
            await link.ask("DEL", domain_key("care"))
            await write(link, event(2), event(3, name="care.sos"))
            await wait_until(lambda: sorted(desk.ended()) == [1, 2, 3])
