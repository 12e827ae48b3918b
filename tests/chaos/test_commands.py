"""Commands on the wire: what an operator asks, what an alarm holds open, and what the devices answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path

import aiomqtt
import orjson
import pytest

from hub.model.effects import Reply
from hub.model.values import Severity
from hub.sinks.control import Request, send_control
from simulators.access import AccessController
from tests.chaos.doors import CALM, SMOKE, respond
from tests.chaos.town import SITE, Town, ends, opened, start
from tests.engine.desk import UNLOCKS
from tests.servers.mosquitto import Mosquitto
from tests.servers.valkey import ValkeyServer
from tests.waiting import PATIENCE_SECONDS, wait_until

WAIT = timedelta(seconds=PATIENCE_SECONDS)
PATIENT = f"import hub.commands.life as life; life.DEFAULT_EXPIRY_NS = {PATIENCE_SECONDS} * 10**9; "
"""So long a command waits for its answer, which comes when the hub has started again: that may take more than 10 s."""
SOON = "import hub.engine.owed as owed; owed.RETRY_NS = 10**8; "
"""So soon a release that was refused is tried again here."""


@pytest.fixture
async def town(tmp_path: Path, mosquitto: Mosquitto, valkey: ValkeyServer) -> AsyncIterator[Town]:
    async for each in opened(Town(tmp_path, mosquitto, valkey, rules=UNLOCKS)):
        yield each


@dataclass(slots=True)
class Wire:
    """What the doors of the town are told, in order; ``client`` is their connection."""

    client: aiomqtt.Client
    heard: list[aiomqtt.Message] = field(default_factory=list)

    async def listen(self) -> None:
        async for message in self.client.messages:
            self.heard.append(message)

    def told(self, *, skip: int = 0) -> list[tuple[str, str]]:
        """Return (device, command) of everything heard after the first ``skip``, by device."""
        return sorted(
            (message.topic.value.split("/")[2], orjson.loads(bytes(message.payload))["command"])
            for message in self.heard[skip:]
        )

    async def answer(self, command: aiomqtt.Message, payload: bytes, device: str = "door") -> None:
        """Answer as ``device``, with the correlation data of ``command``."""
        await respond(self.client, command, device, payload)


@asynccontextmanager
async def wire(town: Town) -> AsyncIterator[Wire]:
    """Stand where the doors of the town stand."""
    async with town.client() as client, asyncio.TaskGroup() as group:
        await client.subscribe(f"hub/{SITE}/+/command", qos=1)
        found = Wire(client)
        listening = group.create_task(found.listen(), name="town.wire")
        yield found
        listening.cancel()


async def unlock(town: Town, **words: str) -> Reply:
    """Ask for a door to be unlocked, as the CLI and other processes do."""
    args = {"site": SITE, "device": "door", "command": "unlock", "part": "door-1", "ttl": "5s", **words}
    wish = Request(actor="li", verb="command", args=args, expires_in=WAIT)
    async with town.valkey.link() as link:
        return await send_control(link, town.clock, "main", wish, wait=WAIT)


async def publish(town: Town, topic: str, payload: bytes) -> None:
    """Say one thing at QoS 1."""
    async with town.client() as client:
        await client.publish(f"hub/{SITE}/{topic}", payload, qos=1)


# ----------------------------------------------------------------------------------------------------------- operator


async def test_an_unlock_reaches_its_door_with_everything_needed_to_answer_and_is_executed_once(town: Town) -> None:
    await start(town)
    async with wire(town) as doors:
        reply = await unlock(town)
        assert (reply.ok, reply.code) == (True, "accepted")
        await wait_until(lambda: doors.heard)
        message = doors.heard[0]
        command = orjson.loads(bytes(message.payload))
        asked: Mapping[str, object] = vars(message.properties)
        assert (message.topic.value, message.qos, message.retain) == (f"hub/{SITE}/door/command", 1, False)
        assert (command["id"], command["command"], command["part"]) == (reply.id, "unlock", "door-1")
        assert (asked["ResponseTopic"], asked["CorrelationData"]) == (f"hub/{SITE}/door/response", reply.id.encode())
        assert 0 < int(str(asked["MessageExpiryInterval"])) <= 10
        door = AccessController(SITE, "door", seed=1)
        answer = door.obey(bytes(message.payload), town.clock.wall_ns()).response
        await doors.answer(message, answer)
        await doors.answer(message, answer)  # a device that says it twice has done it once
        (event,) = await ends(town)
        await publish(town, "env-1/telemetry", b'{"values": {"co2": 1}}')
        await wait_until(lambda: has_stored(town, 1))
    assert (event.name, event.data["id"], event.rule) == ("command.executed", reply.id, "operator li")
    assert [one.name for one in await ends(town)] == ["command.executed"]
    assert len(doors.heard) == 1


async def test_the_command_line_unlocks_a_door_and_a_refusal_is_an_end_too(town: Town) -> None:
    await start(town)
    async with wire(town) as doors:
        said = await town.hub.cli("commands", "send", SITE, "door", "unlock", "--part", "door-1", "--json")
        assert said.code == 0, said.err
        await wait_until(lambda: doors.heard)
        identity = orjson.loads(said.out)["id"]
        refusal = orjson.dumps({"id": identity, "ok": False, "code": "jammed"})
        await doors.answer(doors.heard[0], refusal)
        (event,) = await ends(town)
    assert (event.name, event.data["id"], event.data["detail"]) == ("command.rejected", identity, "jammed")


async def test_a_command_that_was_sent_before_a_kill_is_not_sent_again_and_its_answer_still_counts(town: Town) -> None:
    town.hub.prelude = PATIENT
    await start(town)
    async with wire(town) as doors:
        reply = await unlock(town, ttl="60s")  # it is not let go meanwhile, however long a start takes
        await wait_until(lambda: doors.heard)
        await publish(town, "env-1/telemetry", b'{"values": {"co2": 1}}')
        await wait_until(lambda: has_stored(town, 1))  # so that the outcome is journaled too
        town.hub.kill()
        await doors.answer(doors.heard[0], orjson.dumps({"id": reply.id, "ok": True}))
        await start(town)
        (event,) = await ends(town)
    assert (event.name, event.data["id"]) == ("command.executed", reply.id)
    assert len(doors.heard) == 1


async def test_a_door_that_is_too_busy_to_close_is_told_again_until_it_has_closed(town: Town) -> None:
    town.hub.prelude = SOON
    await start(town)
    async with wire(town) as doors:
        await unlock(town, ttl="1s")
        for number, code in enumerate(("", "busy", "busy", "")):
            await wait_until(partial(_has_heard, doors, number + 1))
            identity = orjson.loads(bytes(doors.heard[number].payload))["id"]
            await doors.answer(doors.heard[number], orjson.dumps({"id": identity, "ok": not code, "code": code}))
        told = await ends(town, 5)
    assert [command for _, command in doors.told()] == ["lock", "lock", "lock", "unlock"]
    assert [(event.name, event.severity) for event in told] == [
        ("command.executed", Severity.INFO),
        ("command.rejected", Severity.MEDIUM),
        ("command.rejected", Severity.INFO),
        ("command.executed", Severity.INFO),
        ("command.let_go", Severity.MEDIUM),
    ]


def _has_heard(doors: Wire, count: int) -> bool:
    return len(doors.heard) >= count


async def has_stored(town: Town, points: int) -> bool:
    """Return whether the store took ``points``."""
    return (await town.hub.metrics())["hub_points_written_total"] >= points


# -------------------------------------------------------------------------------------------------------------- alarm


async def test_an_alarm_from_the_time_of_a_stopped_hub_is_late_and_opens_the_doors_when_it_is_still_true(
    town: Town,
) -> None:
    await start(town)
    assert town.hub.stop() == 0
    async with wire(town) as doors:
        await publish(town, "smoke/telemetry", SMOKE)
        await town.publish(300)
        await start(town)
        await wait_until(lambda: len(doors.heard) >= 2)
        assert doors.told() == [("door", "unlock"), ("gate", "unlock")]

        async def told() -> list[tuple[str, bool]]:
            fires = await town.events("fire")
            return [(event.transition, event.late) for event in fires if event.name == "fire.smoke_unlocks"]

        await wait_until(told)  # no command waits for Redis
        assert await told() == [("raised", True)]
        await publish(town, "smoke/telemetry", CALM)
        await wait_until(lambda: len(doors.heard) >= 4)
        assert doors.told(skip=2) == [("door", "lock"), ("gate", "lock")]


async def test_an_alarm_that_began_and_ended_while_the_hub_was_stopped_opens_nothing(town: Town) -> None:
    await start(town)
    assert town.hub.stop() == 0
    async with wire(town) as doors:
        await publish(town, "smoke/telemetry", SMOKE)
        await town.publish(300)
        await publish(town, "smoke/telemetry", CALM)
        await start(town)
        await town.until_settled()
        # Whatever the alarm had sent would have come before this one.
        await unlock(town)
        await wait_until(lambda: doors.heard)
    told = [event for event in await town.events("fire") if event.name == "fire.smoke_unlocks"]
    assert [(event.transition, event.late) for event in told] == [("raised", True), ("cleared", False)]
    assert doors.told() == [("door", "unlock")]
    assert orjson.loads(bytes(doors.heard[0].payload))["part"] == "door-1"
