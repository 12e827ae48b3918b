"""What an ACL forbids a hub: it waits for that key alone, and is told once when it is allowed, whoever owns it then."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from pydantic import SecretStr
from typing_extensions import override

from hub.errors import UnavailableError
from hub.model.effects import AlarmChange, Reply
from hub.sinks.redis_link import Answer, Link, RedisAddress, pack, pairs
from hub.sinks.stream_readers import read_alarms, read_events
from hub.sinks.streams import alarms_key, cursor_key, domain_key, heartbeat_key, reply_key
from tests.clocks import ManualClock
from tests.servers.valkey import PASSWORD, ValkeyServer
from tests.sinks.streams.rig import PARTITION, MemoryOutbox, Rig, alarm, event, has, is_there, work
from tests.waiting import wait_until

USER, EXEC = "limited", pack("EXEC")
ALLOWED = (cursor_key(PARTITION), heartbeat_key(PARTITION), domain_key("care"))
FIRE = domain_key("fire")


class Hesitant(Link):
    """A link on whose next transaction ``meanwhile`` is asked by somebody else between the last command and EXEC.

    ``is_deaf``: the answer to it never comes.
    """

    def __init__(self, address: RedisAddress, other: Link, *, is_deaf: bool = False) -> None:
        super().__init__(address)
        self.meanwhile: Sequence[str] = ()
        self._other = other
        self._is_deaf = is_deaf

    @override
    async def exchange(self, packed: Sequence[bytes], answers: int, *, patience: float = 0) -> list[Answer]:
        if not self.meanwhile or EXEC not in packed:
            return await super().exchange(packed, answers, patience=patience)
        at = list(packed).index(EXEC)
        queued = await super().exchange(packed[:at], at)
        await self._other.ask(*self.meanwhile)
        self.meanwhile = ()
        done = await super().exchange(packed[at:], answers - at)
        if self._is_deaf:
            await self.close()
            raise UnavailableError("redis_unreachable", "cut off")
        return queued + done


async def let(link: Link, *keys: str) -> None:
    """Let the user of :func:`limited` read and write ``keys`` alone."""
    await link.ask(*rights(*keys))


def rights(*keys: str) -> tuple[str, ...]:
    """Return the command that lets the user of :func:`limited` read and write ``keys`` alone."""
    return ("ACL", "SETUSER", USER, "on", f">{PASSWORD}", "+@all", "resetkeys", *(f"~{key}" for key in keys))


def limited(valkey: ValkeyServer) -> RedisAddress:
    """Return the address of a user who may not everything."""
    return RedisAddress(url=f"redis://{USER}@127.0.0.1:{valkey.port}/0", password=SecretStr(PASSWORD))


async def test_what_an_acl_forbids_waits_for_that_key_alone_until_it_is_allowed(valkey: ValkeyServer) -> None:
    outbox = MemoryOutbox()
    async with valkey.link() as link:
        await let(link, "*")
        rig = Rig(limited(valkey), outbox)
        async with rig.running():
            outbox.put(1, work([event(1)]))
            await wait_until(lambda: not outbox.owed)
            await let(link, *ALLOWED)
            outbox.put(2, work([event(2), event(3, "care.fall")]))
            await wait_until(lambda: rig.sink.retries > 1)
            outbox.put(3, work([event(4, "care.fall")]))
            await wait_until(lambda: has(link, domain_key("care"), 2))
            await let(link, "*")
            await wait_until(lambda: not outbox.owed)
        assert [each.id for each in await read_events(link, ["fire"])] == [event(1).id, event(2).id]
        assert [each.id for each in await read_events(link, ["care"])] == [event(3).id, event(4).id]


async def test_what_an_acl_forbids_in_a_transaction_of_which_nobody_hears_is_told_when_it_is_allowed(
    valkey: ValkeyServer,
) -> None:
    outbox = MemoryOutbox()
    async with valkey.link() as link:
        await let(link, "*")
        hesitant = Hesitant(limited(valkey), link, is_deaf=True)
        async with Rig(limited(valkey), outbox, link=hesitant).running():
            outbox.put(1, work([event(1)]))
            await wait_until(lambda: not outbox.owed)
            hesitant.meanwhile = rights(*ALLOWED)
            outbox.put(2, work([event(2), event(3, "care.fall")]))
            await wait_until(lambda: not hesitant.meanwhile)
            await let(link, "*")
            await wait_until(lambda: not outbox.owed)
        assert [each.id for each in await read_events(link, ["fire"])] == [event(1).id, event(2).id]
        assert [each.id for each in await read_events(link, ["care"])] == [event(3).id]


async def test_what_an_acl_forbids_between_a_command_and_its_transaction_is_told_when_it_is_allowed(
    valkey: ValkeyServer,
) -> None:
    outbox, shown = MemoryOutbox(), alarm()
    async with valkey.link() as link:
        await let(link, "*")
        hesitant = Hesitant(limited(valkey), link)
        rig = Rig(limited(valkey), outbox, link=hesitant)
        async with rig.running():
            outbox.put(1, work([event(1)], alarms=[AlarmChange("north", shown.rule, "another", shown)]))
            await wait_until(lambda: not outbox.owed)
            hesitant.meanwhile = rights(*ALLOWED)
            change = AlarmChange("north", shown.rule, shown.key, shown)
            outbox.put(2, work([event(2), event(3, "care.fall")], [change], [Reply("b7e6", ok=True, code="done")]))
            await wait_until(lambda: rig.fence.refused)
            assert [each.id for each in await read_events(link, ["care"])] == [event(3).id]
            await wait_until(lambda: rig.sink.retries > 1)
        assert outbox.owed
        untold = {name for name in pairs(await link.ask("HGETALL", cursor_key(PARTITION))) if b"untold" in name}
        assert untold == {b"untold:" + key.encode() for key in (FIRE, alarms_key("north"), reply_key("b7e6"))}
        await let(link, "*")
        async with Rig(limited(valkey), outbox, alarms={"north": [shown]}).running():
            await wait_until(lambda: not outbox.owed)
        assert [each.id for each in await read_events(link, ["fire"])] == [event(1).id, event(2).id]
        assert [each.id for each in await read_events(link, ["care"])] == [event(3).id]
        assert await read_alarms(link) == [shown]
        assert await is_there(link, reply_key("b7e6"))


async def test_alarms_that_an_acl_forbids_to_show_are_told_of_though_nothing_is_owed(valkey: ValkeyServer) -> None:
    rig = Rig(limited(valkey), MemoryOutbox(), clock=ManualClock(), alarms={"north": [alarm()]})
    async with valkey.link() as link, asyncio.TaskGroup() as tasks:
        await let(link, *ALLOWED)
        keeping = tasks.create_task(rig.sink.keep_up())
        await wait_until(lambda: rig.sink.behind_since is not None)
        assert "permission" in rig.sink.last_error
        await let(link, "*")
        await wait_until(lambda: rig.sink.behind_since is None)
        assert await read_alarms(link) == [alarm()]
        keeping.cancel()
        await asyncio.wait([keeping])
    await rig.close()
