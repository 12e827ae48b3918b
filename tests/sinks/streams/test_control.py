"""Requests through the control stream, against a real Valkey."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import uuid4

import pytest

from hub.clock import SystemClock
from hub.errors import PoisonError, UnavailableError
from hub.model.effects import Reply
from hub.model.records import Control
from hub.sinks.control import ControlReader, Request, decode_control, send_control
from hub.sinks.redis_link import Link
from hub.sinks.rounds import entry_id, now_of
from hub.sinks.streams import control_key, decode_reply, pack_reply, reply_key
from tests.servers.valkey import ValkeyServer
from tests.sinks.streams.rig import PARTITION
from tests.waiting import wait_until

GOOD = {"actor": "li", "verb": "acknowledge", "expires_at": "1772366400123", "args": '{"id": "ab", "n": 2}'}

ASKED = "6b0c2f0e-1f5e-4d0c-9a57-0f3b1a0c7d11"

AHEAD = f"{2**44}-3"
"""An id of the year 2527."""


def words_of(fields: Mapping[str, str]) -> list[str]:
    """Return what XADD wants of them."""
    return [part for pair in fields.items() for part in pair]


@asynccontextmanager
async def reading(valkey: ValkeyServer, heard: list[Control], after: str = "") -> AsyncIterator[ControlReader]:
    reader = ControlReader(valkey.link(), SystemClock(), partition=PARTITION)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(reader.run(after, heard.append))
        yield reader
        task.cancel()
        await asyncio.wait([task])
        await reader.close()


async def add(link: Link, **fields: str) -> str:
    entry = await link.ask("XADD", control_key(PARTITION), "*", *words_of(fields))
    assert isinstance(entry, bytes)
    return entry.decode()


async def test_a_request_arrives_as_it_was_asked(valkey: ValkeyServer) -> None:
    heard: list[Control] = []
    identity = str(uuid4())
    async with valkey.link() as link, reading(valkey, heard):
        entry = await add(link, id=identity, **GOOD)
        await wait_until(lambda: heard)
    assert heard == [Control(entry, identity, "li", "acknowledge", 1_772_366_400_123_000_000, {"id": "ab", "n": 2})]


async def test_the_asker_gets_the_answer(valkey: ValkeyServer) -> None:
    heard: list[Control] = []
    request = Request(actor="li", verb="unlock", args={"device": "gate-1"}, expires_in=timedelta(hours=1))
    clock = SystemClock()
    async with valkey.link() as link, valkey.link() as hub, reading(valkey, heard), asyncio.TaskGroup() as tasks:
        asked = tasks.create_task(send_control(link, clock, PARTITION, request, wait=timedelta(hours=1)))
        await wait_until(lambda: heard)
        assert 3_540e9 < heard[0].expires_at - clock.wall_ns() < 3_600e9
        answer = Reply(heard[0].id, ok=True, code="sent", detail="gate-1")
        await hub.exchange([pack_reply(answer)], 1)
    assert asked.result() == answer
    assert (heard[0].actor, heard[0].verb, heard[0].args) == ("li", "unlock", {"device": "gate-1"})


async def test_an_asker_without_a_hub_is_told_so(valkey: ValkeyServer) -> None:
    async with valkey.link() as link:
        with pytest.raises(UnavailableError, match="control_unanswered"):
            await send_control(link, SystemClock(), PARTITION, Request(actor="li", verb="x"), wait=timedelta(0))


async def test_reading_goes_on_after_the_last_journaled_request(valkey: ValkeyServer) -> None:
    heard: list[Control] = []
    async with valkey.link() as link:
        entries = [await add(link, id=str(uuid4()), **GOOD) for _ in range(250)]
        async with reading(valkey, heard, after=entries[99]):
            await wait_until(lambda: len(heard) == 150)
    assert [control.entry for control in heard] == entries[100:]


async def test_a_malformed_request_is_answered_and_the_next_one_passes(valkey: ValkeyServer) -> None:
    heard: list[Control] = []
    bad, good = str(uuid4()), str(uuid4())
    async with valkey.link() as link, reading(valkey, heard) as reader:
        await add(link, id=bad, **(GOOD | {"expires_at": "soon"}))
        await add(link, id="not a uuid", **GOOD)
        await add(link, id=good, **GOOD)
        await wait_until(lambda: heard)
        for each in (bad, "not a uuid"):
            answer = await link.ask("GET", reply_key(each))
            assert isinstance(answer, bytes)
            assert (decode_reply(answer).ok, decode_reply(answer).code) == (False, "bad_control")
    assert [control.id for control in heard] == [good]
    assert (reader.read, reader.malformed) == (1, 2)


async def test_a_malformed_copy_does_not_replace_the_answer_of_the_original(valkey: ValkeyServer) -> None:
    heard: list[Control] = []
    identity = str(uuid4())
    async with valkey.link() as link, reading(valkey, heard) as reader:
        await link.exchange([pack_reply(Reply(identity, ok=True, code="done"))], 1)
        await add(link, id=identity, actor="li")
        await wait_until(lambda: reader.malformed)
        answer = await link.ask("GET", reply_key(identity))
        assert isinstance(answer, bytes)
        assert decode_reply(answer).code == "done"


async def test_a_malformed_request_that_cannot_be_answered_holds_up_nothing(valkey: ValkeyServer) -> None:
    """It was read again twice a second, with all before it, and nothing behind it, until Redis had memory."""
    heard: list[Control] = []
    async with valkey.link() as link:
        await add(link, id=str(uuid4()), actor="li")
        good = str(uuid4())
        await add(link, id=good, **GOOD)
        await link.ask("CONFIG", "SET", "maxmemory", 1)
        async with reading(valkey, heard) as reader:
            await wait_until(lambda: heard)
    assert ([control.id for control in heard], reader.malformed) == ([good], 1)


async def test_that_requests_cannot_be_read_is_told_until_they_can(valkey: ValkeyServer) -> None:
    """A key of somebody else, or a right that is missing: a line at DEBUG twice a second was all."""
    heard: list[Control] = []
    async with valkey.link() as link:
        await link.ask("SET", control_key(PARTITION), "theirs")
        async with reading(valkey, heard) as reader:
            await wait_until(lambda: reader.refused_since)
            assert "WRONGTYPE" in reader.last_error
            await link.ask("DEL", control_key(PARTITION))
            await add(link, id=str(uuid4()), **GOOD)
            await wait_until(lambda: heard and reader.refused_since is None)


async def test_what_is_asked_of_a_redis_that_forgot_and_whose_clock_is_behind_is_read(valkey: ValkeyServer) -> None:
    """An emptied one, or a replica that took over: its ids lie before the last one that was read."""
    heard: list[Control] = []
    async with valkey.link() as link, reading(valkey, heard, after=AHEAD):
        first = await add(link, id=str(uuid4()), **GOOD)
        await wait_until(lambda: heard)
        second = await add(link, id=str(uuid4()), **GOOD)
        await wait_until(lambda: len(heard) > 1)
    assert [control.entry for control in heard] == [first, second]


async def test_what_was_asked_long_ago_of_such_a_redis_is_not_read_again(valkey: ValkeyServer) -> None:
    heard: list[Control] = []
    async with valkey.link() as link:
        for entry in ("1-1", "1-2"):
            await link.ask("XADD", control_key(PARTITION), entry, "id", str(uuid4()), *words_of(GOOD))
        async with reading(valkey, heard, after=AHEAD):
            last = await add(link, id=str(uuid4()), **GOOD)
            await wait_until(lambda: heard)
    assert [control.entry for control in heard] == [last]


async def test_what_is_asked_of_a_redis_that_forgot_and_is_hardly_behind_is_read(valkey: ValkeyServer) -> None:
    """Its clock may have passed the last entry that was read by the time that anybody looks."""
    heard: list[Control] = []
    async with valkey.link() as link, valkey.link() as own:
        asked = await add(link, id=str(uuid4()), **GOOD)
        read = f"{asked.partition('-')[0]}-9"
        while (await now_of(link), 0) <= entry_id(read.encode()):
            pass
        reader = ControlReader(own, SystemClock(), partition=PARTITION)
        back = await reader.read_after(read, heard.append)
        assert entry_id(back.encode()) < entry_id(asked.encode())
        assert heard == []
        assert await reader.read_after(back, heard.append) == asked
    assert [control.entry for control in heard] == [asked]


async def test_the_reader_comes_back_after_redis_was_killed(valkey: ValkeyServer) -> None:
    heard: list[Control] = []
    async with reading(valkey, heard):
        for killed in range(3):
            async with valkey.link() as link:
                await add(link, id=str(uuid4()), **GOOD)
            await wait_until(lambda killed=killed: len(heard) == killed + 1)  # type: ignore[misc]
            valkey.kill()
            valkey.start()
    assert len(heard) == 3


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "7"},
        {"actor": ""},
        {"verb": ""},
        {"expires_at": "1e3"},
        {"expires_at": "9" * 40},
        {"args": "[1]"},
        {"args": '{"a": {"b": 1}}'},
        {"args": "{"},
        {"args": '{"a": 1180591620717411303424}'},
        {"args": "[" * 100_000},
        {"args": json.dumps({"a": "x" * 70_000})},
        {"actor": "\udcff"},
    ],
    ids=lambda changes: next(f"{name}={value[:12]!a}" for name, value in changes.items()),
)
def test_what_is_no_request_is_poison(changes: dict[str, str]) -> None:
    fields = {"id": str(uuid4()), **GOOD} | changes
    with pytest.raises(PoisonError, match="bad_control"):
        decode_control("1-0", {name.encode(): value.encode(errors="surrogateescape") for name, value in fields.items()})


@pytest.mark.parametrize(
    ("spelled", "called"),
    [(ASKED, ASKED), (ASKED.upper(), ASKED.upper()), (ASKED.replace("-", ""), ASKED), (f"{{{ASKED}}}", ASKED)],
)
def test_a_request_is_called_as_its_asker_spells_it(spelled: str, called: str) -> None:
    """Some write capitals, and look for the answer under what they wrote."""
    fields = {name.encode(): value.encode() for name, value in {"id": spelled, **GOOD}.items()}
    assert decode_control("1-0", fields).id == called


@pytest.mark.parametrize("missing", ["id", "actor", "verb", "expires_at"])
def test_a_request_needs_id_actor_verb_and_expiry(missing: str) -> None:
    fields = {name.encode(): value.encode() for name, value in {"id": str(uuid4()), **GOOD}.items() if name != missing}
    with pytest.raises(PoisonError, match=f"missing: {missing}"):
        decode_control("1-0", fields)
