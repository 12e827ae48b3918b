"""What the city engine costs: CPU of reading, judging and remembering a backlog of passages, on a real Valkey.

    .venv/bin/python -m benchmarks.city

Passages of 20,000 cards at 24 sites, one in a thousand followed by the same card at another site: CPU time of this
process from the first read to the last transaction, divided by the passages; and the steps of it alone.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
from pydantic import SecretStr

from hub.city.chart import CityChart
from hub.city.judging import City, Terms
from hub.citywide.process import CityProcess
from hub.citywide.rules import rules_of
from hub.clock import SystemClock
from hub.config.settings import CitySettings, RedisSettings, Settings
from hub.model.effects import Entry, Event, Transition
from hub.model.values import Severity
from hub.registry.circumstances import set_fact
from hub.registry.nouns import Site
from hub.registry.registry import Registry
from hub.sinks.redis_link import Link
from hub.sinks.streams import decode_event, pack_event
from hub.ui.cli.run import spare_the_collector
from tests.servers.valkey import ValkeyServer

SITES, CARDS, ODD = 24, 20_000, 1_000
BATCH = 500


def passages(count: int, now_ns: int) -> list[Event]:
    """Return ``count`` passages, one a millisecond until ``now_ns``."""
    chance = random.Random(1)
    found = []
    card = 0
    for number in range(count):
        is_odd = number % ODD == 0
        card = card if is_odd else chance.randrange(CARDS)
        site = (card + is_odd) % SITES
        event = Event(
            id=f"{number:032x}", name="access.passage", severity=Severity.INFO, transition=Transition.OCCURRED,
            time=now_ns - (count - number) * 1_000_000, age=20_000_000, key=f"s{site}/gate-1#door-1",
            rule="access-passage", rule_version="1.0.0", site=f"s{site}", building="b3", device="gate-1",
            part="door-1", label={"en": "Access granted", "zh": "认证通行"},
            data={"credential": "card", "card": f"{card:010d}", "direction": "in"}, causes=((number, 0),),
        )  # fmt: skip
        found.append(event)
    return found


async def write(link: Link, events: list[Event]) -> None:
    """Write events as a hub does."""
    for start in range(0, len(events), BATCH):
        packed = [pack_event(event, "hub/main") for event in events[start : start + BATCH]]
        await link.exchange(packed, len(packed))


def judging_alone(events: list[Event]) -> float:
    """Return µs for one passage: taken, judged, remembered, nothing read or written."""
    chart = CityChart(sites={f"s{site}": (120.0 + site / 20, 36.0) for site in range(SITES)})
    city = City(rules_of(Settings()), chart, Terms(key=b"k", settle_ns=5 * 10**9, remember_ns=90_000 * 10**9))
    entries = [Entry("hub:events:access", event.time // 1_000_000, 0, event) for event in events]
    began = time.process_time()
    for start in range(0, len(entries), BATCH):
        batch = entries[start : start + BATCH]
        for entry in batch:
            city.take(entry)
        city.judge(batch[-1].written_at)
    city.judge(entries[-1].written_at + 60_000)
    return (time.process_time() - began) / len(events) * 1e6


def decoding_alone(events: list[Event]) -> float:
    """Return µs for one entry's fields to an event."""
    flat = [msgspec.json.decode(msgspec.json.encode(_fields(event))) for event in events[:10_000]]
    entries = [{name.encode(): value.encode() for name, value in each.items()} for each in flat]
    began = time.process_time()
    for fields in entries:
        decode_event(fields)
    return (time.process_time() - began) / len(entries) * 1e6


def _fields(event: Event) -> dict[str, str]:
    words = pack_event(event, "hub/main").split(b"\r\n")[2::2]
    flat = [word.decode() for word in words[3:]]
    return dict(zip(flat[::2], flat[1::2], strict=True))


async def whole(count: int, directory: Path) -> tuple[float, int]:
    """Return µs of the process for each passage, and how many events it told."""
    clock = SystemClock()
    with_servers = ValkeyServer(directory / "valkey")
    with_servers.start()
    try:
        settings = Settings(
            data_dir=directory / "data", redis=RedisSettings(url=SecretStr(with_servers.url)), city=CitySettings()
        )
        async with Registry(settings.registry_url()) as registry:
            for site in range(SITES):
                await registry.add_site(Site(id=f"s{site}", zone="Asia/Shanghai"))
                await set_fact(registry, (f"s{site}", f"s{site}"), "longitude", 120.0 + site / 20)
                await set_fact(registry, (f"s{site}", f"s{site}"), "latitude", 36.0)
        async with CityProcess(settings, clock) as city, asyncio.TaskGroup() as group:
            task = group.create_task(city.run())
            while not city.watch.is_watching:
                await clock.sleep(0.01)
            city.stop()
            await asyncio.wait([task])
        async with Link(city.address) as link:
            await write(link, passages(count, clock.wall_ns()))
        async with CityProcess(settings, clock) as city, asyncio.TaskGroup() as group:
            began = time.process_time()
            task = group.create_task(city.run())
            while city.watch.counts.get("judged", 0) < count:
                await clock.sleep(0.05)
            spent = time.process_time() - began
            told = sum(city.watch.city.raised.values())
            city.stop()
            await asyncio.wait([task])
        return spent / count * 1e6, told
    finally:
        with_servers.kill()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="What the city engine costs.")
    parser.add_argument("--passages", type=int, default=100_000)
    count = parser.parse_args().passages
    events = passages(count, SystemClock().wall_ns())
    spare_the_collector()  # as the process itself does
    print(f"decode one entry            {decoding_alone(events):6.1f} µs")
    print(f"take, judge and remember    {judging_alone(events):6.1f} µs")
    with TemporaryDirectory() as directory:
        spent, told = asyncio.run(whole(count, Path(directory)))
    print(f"the whole process           {spent:6.1f} µs a passage, {1e6 / spent:,.0f} a second; {told} events told")


if __name__ == "__main__":
    main()
