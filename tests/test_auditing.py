"""Requests of the control stream in the audit: who asked for what, each once, over restarts and absences."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection
from typing_extensions import override

from hub.auditing import Auditing, Whose
from hub.clock import SystemClock
from hub.commands.shown import ASKS
from hub.model.effects import Reply
from hub.parts import veil_over
from hub.registry import audit
from hub.registry.audit import Line, Note
from hub.registry.author import Author
from hub.registry.registry import Registry
from hub.sinks.streams import control_key, pack_first_reply, reply_key
from tests.machine import needs
from tests.registry.conftest import sqlite_url
from tests.servers.postgres import PostgresServer
from tests.servers.valkey import ValkeyServer
from tests.waiting import wait_until


async def ask(valkey: ValkeyServer, number: int, verb: str, entry: str = "*", **args: str) -> None:
    """Put a request on the stream, as the CLI of somebody does."""
    fields = {"id": str(UUID(int=number)), "actor": "li", "verb": verb, "expires_at": "1", "args": json.dumps(args)}
    async with valkey.link() as link:
        await link.ask("XADD", control_key("main"), entry, *(word for pair in fields.items() for word in pair))


async def lines(registry: Registry) -> list[Line]:
    async with registry.transaction() as connection:
        return (await audit.lines(connection, what="control."))[::-1]


def of_nobody(_request: str) -> None:
    """Be a hub that remembers no answer."""


@asynccontextmanager
async def following(
    registry: Registry, valkey: ValkeyServer, answered: Callable[[str], Reply | None] = of_nobody
) -> AsyncIterator[None]:
    """Let requests be audited meanwhile, as a hub does."""
    whose = Whose("main", lambda: veil_over({}), answered)
    async with asyncio.TaskGroup() as group:
        auditing = Auditing(registry, valkey.address, SystemClock(), whose)
        task = group.create_task(auditing.run(), name="auditing")
        yield
        task.cancel()


async def until(registry: Registry, count: int) -> list[Line]:
    async def are_there() -> bool:
        return len(await lines(registry)) >= count

    await wait_until(are_there)
    return await lines(registry)


async def test_each_request_is_told_once_over_restarts(tmp_path: Path, valkey: ValkeyServer) -> None:
    async with Registry(sqlite_url(tmp_path)) as registry:
        await ask(valkey, 1, "ack", rule="smoke", key="willow/smoke-1", text="seen 鲁B·12345")
        async with following(registry, valkey):
            await ask(valkey, 9, ASKS, device="gate-1")  # changes nothing, so nobody needs to know
            await ask(valkey, 2, "command", device="gate-1", plate="鲁B12345")
            await until(registry, 2)
        await ask(valkey, 3, "reload")
        async with following(registry, valkey):
            found = await until(registry, 3)
    assert [(line.what, line.actor, line.os_user, line.subject[-4:]) for line in found] == [
        ("control.ack", "li", "control stream", "0001"),
        ("control.command", "li", "control stream", "0002"),
        ("control.reload", "li", "control stream", "0003"),
    ]
    told = [{name: value for name, value in (line.after or {}).items() if name != "entry"} for line in found]
    first = {"rule": "smoke", "about": "willow/smoke-1", "text": "seen 鲁B·12**5"}
    assert told == [first, {"device": "gate-1", "plate": "鲁B12**5"}, {}]


@needs("postgres")
async def test_a_request_that_postgres_cannot_be_asked_for_ends_no_hub(
    valkey: ValkeyServer, postgres: PostgresServer
) -> None:
    """It ended each that read it, and so each start, until the stream was trimmed of it."""
    async with Registry(postgres.database()) as registry, following(registry, valkey):
        await ask(valkey, 1, "confirm", request="\0")
        await ask(valkey, 2, "ack")
        found = await until(registry, 2)
    assert [line.what for line in found] == ["control.confirm", "control.ack"]


async def test_a_connection_that_breaks_between_two_requests_costs_no_second_line(
    tmp_path: Path, valkey: ValkeyServer
) -> None:
    class Breaking(Registry):
        """Breaks all connections to Redis after each line."""

        @override
        async def note(self, note: Note, author: Author) -> None:
            await super().note(note, author)
            async with valkey.link() as link:
                await link.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    async with Breaking(sqlite_url(tmp_path)) as registry:
        for number in (1, 2):
            await ask(valkey, number, "ack")
        async with following(registry, valkey):
            found = await until(registry, 2)
    assert [line.subject[-4:] for line in found] == ["0001", "0002"]


async def test_what_a_redis_whose_clock_is_behind_gives_again_is_told_once(
    tmp_path: Path, valkey: ValkeyServer
) -> None:
    async with Registry(sqlite_url(tmp_path)) as registry, following(registry, valkey):
        await ask(valkey, 1, "ack", entry=f"{2**44}-1")
        await until(registry, 1)
        async with valkey.link() as link:
            await link.ask("DEL", control_key("main"))
        for number in (1, 2):
            await ask(valkey, number, "ack")
        found = await until(registry, 2)
    assert [line.subject[-4:] for line in found] == ["0001", "0002"]


async def test_requests_wait_for_a_redis_that_comes_late(tmp_path: Path, valkey: ValkeyServer) -> None:
    async with Registry(sqlite_url(tmp_path)) as registry:
        valkey.kill()
        async with following(registry, valkey):
            valkey.start()
            await ask(valkey, 1, "ack")
            assert [line.what for line in await until(registry, 1)] == ["control.ack"]


async def test_while_redis_is_away_the_audit_is_not_read_again_and_again(tmp_path: Path, valkey: ValkeyServer) -> None:
    class Asked(Registry):
        """Counts what is asked of it."""

        count = 0

        @override
        @asynccontextmanager
        async def transaction(self) -> AsyncIterator[AsyncConnection]:
            self.count += 1
            async with super().transaction() as connection:
                yield connection

    class Tried(SystemClock):
        """Counts the waits between two attempts, and makes them short."""

        count = 0

        @override
        async def sleep(self, seconds: float) -> None:
            self.count += 1
            await super().sleep(0.01)

    async with Asked(sqlite_url(tmp_path)) as registry, asyncio.TaskGroup() as group:
        valkey.kill()
        before, clock = registry.count, Tried()
        whose = Whose("main", lambda: veil_over({}), of_nobody)
        task = group.create_task(Auditing(registry, valkey.address, clock, whose).run(), name="auditing")
        await wait_until(lambda: clock.count >= 5)
        assert registry.count == before + 1
        task.cancel()


async def test_who_agreed_is_told_beside_what_the_other_one_asked_for_and_what_was_answered(
    tmp_path: Path, valkey: ValkeyServer
) -> None:
    async with Registry(sqlite_url(tmp_path)) as registry:
        async with valkey.link() as link:
            for number, code in ((1, "needs_second_person"), (2, "accepted")):
                await link.exchange([pack_first_reply(Reply(str(UUID(int=number)), ok=True, code=code, detail=""))], 1)
        await ask(valkey, 1, "command", site="willow", place="b1", command="unlock")
        await ask(valkey, 2, "confirm", site="willow", request=str(UUID(int=1)))
        await ask(valkey, 3, "confirm", site="willow", request="")
        async with following(registry, valkey):
            found = await until(registry, 3)
    assert [(line.after or {}).get("answer") for line in found] == ["needs_second_person", "accepted", None]
    asked = {"asked_by": "li", "site": "willow", "place": "b1", "command": "unlock"}
    assert [line.before for line in found] == [None, asked, None]


async def test_an_answer_that_comes_late_is_a_line_of_its_own_and_no_second_request(
    tmp_path: Path, valkey: ValkeyServer
) -> None:
    async with Registry(sqlite_url(tmp_path)) as registry:
        await ask(valkey, 1, "command", device="gate-1")
        async with following(registry, valkey):
            (asked,) = await until(registry, 1)
            async with valkey.link() as link:
                late = Reply(str(UUID(int=1)), ok=False, code="expired", detail="")
                await link.exchange([pack_first_reply(late)], 1)
            await until(registry, 2)
            await ask(valkey, 2, "ack")
            await until(registry, 3)
        await ask(valkey, 3, "reload")
        async with following(registry, valkey):  # it goes on from the last request, whatever was answered since
            found = await until(registry, 4)
    assert "answer" not in (asked.after or {})
    assert [(line.what, line.actor, line.subject[-4:]) for line in found] == [
        ("control.command", "li", "0001"),
        ("control.command.answered", "li", "0001"),
        ("control.ack", "li", "0002"),
        ("control.reload", "li", "0003"),
    ]
    assert found[1].after == {"request": str(UUID(int=1)), "answer": "expired"}


async def reply(valkey: ValkeyServer, number: int, code: str = "expired") -> None:
    """Answer a request, as its hub does."""
    async with valkey.link() as link:
        await link.exchange([pack_first_reply(Reply(str(UUID(int=number)), ok=False, code=code, detail=""))], 1)


async def test_an_answer_that_comes_after_a_restart_is_told_once_and_those_before_it_not_again(
    tmp_path: Path, valkey: ValkeyServer
) -> None:
    async with Registry(sqlite_url(tmp_path)) as registry:
        await ask(valkey, 1, "command", device="gate-1")
        await ask(valkey, 2, "ack", answer="ok")  # which it was not
        async with following(registry, valkey):
            await until(registry, 2)
            await reply(valkey, 1)
            await until(registry, 3)
        await reply(valkey, 2, "unknown_alarm")
        found: list[Line] = []
        for _ in range(2):
            async with following(registry, valkey):
                await until(registry, 4)
                number = len(await lines(registry))
                await ask(valkey, number, "reload")  # what it says next, it says after all that was owed
                found = await until(registry, number + 1)
    late = [(line.what, line.actor, (line.after or {})["answer"]) for line in found if "answer/" in line.subject]
    assert late == [("control.command.answered", "li", "expired"), ("control.ack.answered", "li", "unknown_alarm")]


async def test_what_redis_has_forgotten_of_a_restart_the_hub_still_knows(tmp_path: Path, valkey: ValkeyServer) -> None:
    def remembered(request: str) -> Reply | None:
        return Reply(request, ok=True, code="accepted", detail="") if request == str(UUID(int=1)) else None

    async with Registry(sqlite_url(tmp_path)) as registry:
        for number in (1, 2):
            await ask(valkey, number, "command", device="gate-1")
        async with following(registry, valkey):
            await until(registry, 2)
        async with following(registry, valkey, remembered):
            found = await until(registry, 3)
    assert [line.subject[-4:] for line in found] == ["0001", "0002", "0001"]
    assert found[2].after == {"request": str(UUID(int=1)), "answer": "accepted"}


async def test_an_answer_that_no_hub_wrote_is_none(tmp_path: Path, valkey: ValkeyServer) -> None:
    async with Registry(sqlite_url(tmp_path)) as registry, valkey.link() as link:
        await link.ask("SET", reply_key(str(UUID(int=1))), "{}")
        await ask(valkey, 1, "ack")
        async with following(registry, valkey):
            await until(registry, 1)
            await ask(valkey, 2, "reload")
            found = await until(registry, 2)
    assert ["answer" in (line.after or {}) for line in found] == [False, False]


async def test_a_request_cannot_say_itself_how_far_the_audit_is(tmp_path: Path, valkey: ValkeyServer) -> None:
    async with Registry(sqlite_url(tmp_path)) as registry:
        await ask(valkey, 1, "ack", entry="99999999999999-0")
        async with following(registry, valkey):
            await until(registry, 1)
        await ask(valkey, 2, "ack")
        async with following(registry, valkey):
            assert len(await until(registry, 2)) == 2
