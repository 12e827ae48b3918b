"""The ways side by side: the hub, other people's programs and the tutorial; how each is put on a stage."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import DEVNULL
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version as installed
from typing import cast

import msgspec
import redis.asyncio

from benchmarks import durable, home_assistant, nodered, quiz, telegraf, tutorial
from benchmarks.hub_process import COMMAND, ENVIRONMENT, HubProcess, Setup
from benchmarks.program import Call, Program, Rival, version
from benchmarks.stage import Stage
from benchmarks.traffic import SITE, Traffic
from benchmarks.trial import Contender, Put
from hub import __version__
from hub.sinks.streams import domain_key, twin_key


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How messages come into the store: which versions, and what is to be known; ``put`` puts it on a stage.

    It is not here where its ``rival`` is not found. One that ``acts`` answers an e-bike too, put so that it does; one
    that can ``tell`` does so afterwards.
    """

    name: str
    note: str
    versions: Callable[[], Awaitable[str]]
    put: Put
    rival: Rival | None = None
    acts: Put | None = None
    tell: quiz.Tell | None = None


async def _hub(stage: Stage, speech: Traffic) -> Contender:
    hub = HubProcess(stage, speech, Setup())
    await hub.register()
    return hub


async def _tutorial(stage: Stage, _speech: Traffic) -> Contender:
    order = tutorial.Order(mqtt_port=stage.mqtt_port, influx_url=stage.influx.url, redis_url=stage.redis_url)
    command = (sys.executable, "-m", durable.__name__, msgspec.json.encode(order).decode())
    return Program(stage, Call(client=durable.CLIENT, command=command, environment={}))


async def _telegraf(stage: Stage, _speech: Traffic) -> Contender:
    return telegraf.program(telegraf.RIVAL.find() or "", stage, telegraf.MEASURED)


async def _nodered(stage: Stage, _speech: Traffic) -> Contender:
    return nodered.program(nodered.RIVAL.find() or "", stage, nodered.MEASURED)


async def _home_assistant(stage: Stage, _speech: Traffic) -> Contender:
    return home_assistant.program(home_assistant.RIVAL.find() or "", stage)


async def _nodered_acting(stage: Stage, _speech: Traffic) -> Contender:
    return nodered.program(nodered.RIVAL.find() or "", stage, nodered.MEASURED, acts=True)


async def _home_assistant_acting(stage: Stage, _speech: Traffic) -> Contender:
    return home_assistant.program(home_assistant.RIVAL.find() or "", stage, acts=True)


async def _tell(hub: Contender, stage: Stage) -> frozenset[str]:
    """Let the hub prove the e-bike of the quiz from its journal, and look at the twins of its sensors."""
    async with redis.asyncio.Redis.from_url(stage.redis_url, decode_responses=True) as client:
        entries = cast("list[tuple[str, dict[str, str]]]", await client.xrange(domain_key("elevator")))
        twins = cast("dict[str, str]", await client.hgetall(twin_key(SITE)))
    told = {quiz.NONSENSE} if any('"bad"' in twin and "850" in twin for twin in twins.values()) else set[str]()
    event = next((fields["id"] for _, fields in entries if fields["type"] == "elevator.ebike"), "")
    if isinstance(hub, HubProcess) and event:
        command = (*COMMAND, "--config", str(hub.config), "trace", event)
        process = await asyncio.create_subprocess_exec(*command, stdout=DEVNULL, stderr=DEVNULL, env=ENVIRONMENT)
        told |= {quiz.WHY} if await process.wait() == 0 else set()
    return frozenset(told)


async def _hub_version() -> str:
    return f"hub {__version__}"


async def _tutorial_versions() -> str:
    return ", ".join(f"{name} {installed(name)}" for name in ("aiomqtt", "influxdb-client"))


WAYS = (
    Way(
        name="hub", put=_hub, acts=_hub, tell=_tell, versions=_hub_version,
        note="acknowledges what is journaled, on disk",
    ),
    Way(
        name="telegraf", put=_telegraf, versions=partial(version, "telegraf", "--version"), rival=telegraf.RIVAL,
        note="acknowledges what the store has confirmed; writes points and does nothing else",
    ),
    Way(
        name="node-red", put=_nodered, acts=_nodered_acting, versions=partial(version, "node-red", "--version"),
        rival=nodered.RIVAL,
        note="acknowledges on receipt and cannot otherwise: what waits for a write is lost with the process, by design",
    ),
    Way(
        name="home-assistant", put=_home_assistant, acts=_home_assistant_acting,
        versions=partial(version, "hass", "--version"), rival=home_assistant.RIVAL,
        note="acknowledges on receipt, begins each connection with a clean session and cannot otherwise: what is said"
        " while it is away, or starts, is not for it, and what waits for a write is lost with the process, by design",
    ),
    Way(
        name="tutorial", put=_tutorial, acts=_tutorial, versions=_tutorial_versions,
        note="acknowledges on receipt: what waits in its queue and its batch is lost with the process, by design",
    ),
)  # fmt: skip
