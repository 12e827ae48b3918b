"""What the tests of the city at work share: a place to write passages, a city process, and what it should come to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
from pydantic import SecretStr

from hub.city.judging import City, Terms
from hub.citywide.process import CityProcess
from hub.citywide.rules import rules_of
from hub.clock import SystemClock
from hub.config.settings import CitySettings, HttpSettings, RedisSettings, Settings
from hub.durations import nanoseconds, read_duration
from hub.model.effects import Event
from hub.model.values import PlaceType
from hub.registry.circumstances import set_fact
from hub.registry.nouns import Device, Place, Site
from hub.registry.registry import Registry
from hub.revisions.pseudonym_key import key_of
from hub.services.child import free_port
from hub.sinks.redis_link import Link
from hub.sinks.rounds import Rounds, streams_of
from hub.sinks.stream_readers import read_events
from hub.sinks.streams import pack_event
from tests.city.sights import passage
from tests.running import running

SETTLE = "300ms"
GARDEN, HARBOUR, NOWHERE = "garden", "harbour", "nowhere"
DEGREES = {GARDEN: (120.00, 36.26), HARBOUR: (120.06, 36.26)}
"""5.4 km apart."""
CITY_EVENTS = {"access.impossible_travel", "access.cloned_card"}


def settings_of(directory: Path, redis_url: str, *, settle: str = SETTLE) -> Settings:
    """Return the settings of a city whose registry lies in ``directory``."""
    return Settings(
        data_dir=directory,
        redis=RedisSettings(url=SecretStr(redis_url)),
        city=CitySettings(settle=read_duration(settle), http=HttpSettings(port=free_port())),
    )


async def register(settings: Settings) -> None:
    """Register three sites, of which two lie somewhere, with a gate each."""
    async with Registry(settings.registry_url()) as registry:
        for site, zh in ((GARDEN, "花园"), (HARBOUR, "海港"), (NOWHERE, "")):
            await registry.add_site(Site(id=site, zone="Asia/Shanghai", label={"zh": zh} if zh else {}))
            await registry.add_places([Place(site=site, id="b1", type=PlaceType.BUILDING, label={"en": "Block 1"})])
            await registry.add_devices([Device(site=site, id="gate-1", kind="access_controller", place="b1")])
        for site, degrees in DEGREES.items():
            for name, value in zip(("longitude", "latitude"), degrees, strict=True):
                await set_fact(registry, (site, site), name, value)


def swipe(number: int, site: str, card: str = "0012345678", **facts: object) -> Event:
    """Return the event of a swipe now."""
    now = SystemClock().wall_ns()
    data = {"card": card, "credential": "card", "direction": "in"}
    return msgspec.structs.replace(passage(number, site, 0, data=data, **facts), time=now)


async def write(link: Link, *events: Event, partition: str = "main") -> None:
    """Write events as the hub of ``partition`` does."""
    answers = await link.exchange([pack_event(event, f"hub/{partition}") for event in events], len(events))
    assert all(isinstance(answer, bytes) for answer in answers)


async def told(link: Link) -> list[Event]:
    """Return what the city has told, in the order of its stream."""
    return [event for event in await read_events(link, ["access"], count=1_000_000) if event.name in CITY_EVENTS]


async def should_be_told(link: Link, settings: Settings) -> list[str]:
    """Return the ids of what the streams come to when they are judged in one go by a city that never stopped."""
    async with CityProcess(settings, SystemClock()) as process:
        chart = process.watch.city.chart
    terms = Terms(
        key=key_of("", settings.data_dir),
        settle_ns=nanoseconds(settings.city.settle),
        remember_ns=nanoseconds(settings.city.remember),
    )
    city = City(rules_of(settings), chart, terms)
    names = ["access.passage", "vehicle.passage"]
    rounds = Rounds(link, streams_of(names), names)
    await rounds.begin({})
    async for entries, unreadable in rounds.again(0):
        assert unreadable == 0
        for entry in entries:
            city.take(entry)
    return [event.id for event in city.judge(10_000_000_000_000)]


@asynccontextmanager
async def at_work(settings: Settings) -> AsyncIterator[CityProcess]:
    """Run a city for the length of an ``async with``; an error of one of its tasks ends the block."""
    async with CityProcess(settings, SystemClock()) as process, running(process):
        yield process


def ids(events: Sequence[Event]) -> list[str]:
    """Return the ids of ``events``."""
    return [event.id for event in events]
