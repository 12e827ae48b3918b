"""The storm: one town in continuous traffic, struck by fault after fault, examined after each of them."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from hub.clock import SystemClock
from hub.model.effects import Event
from hub.sinks.stream_readers import read_events
from tests.chaos import doors
from tests.chaos.evidence import Acting, Evidence
from tests.chaos.faults.fault import Fault
from tests.chaos.hub_process import HubProcess
from tests.chaos.influx_town import InfluxTown
from tests.chaos.invariants import broken
from tests.chaos.outcome import Outcome, uncounted
from tests.chaos.publisher import Publisher, number_of, topic_of
from tests.chaos.shadow import Shadow, card_number, is_numbered
from tests.chaos.strain import NOTED_MS, Gauge
from tests.chaos.town import opened
from tests.chaos.watch import Watch
from tests.servers.influxdb import InfluxServer
from tests.servers.mosquitto import Mosquitto
from tests.servers.proxy import Proxy
from tests.servers.valkey import ValkeyServer
from tests.waiting import PATIENCE_SECONDS, wait_until

RATE = 200
SERVERS = ("mosquitto", "influxd")
"""What a storm needs that pip does not bring."""
LOG_BYTES = 2_000
HASTE = "import hub.engine.state as _; _.SETTLING_NS = 10**9; "
"""A checkpoint waits five seconds for acks that the broker may have taken. When nothing is heard any more that is all
in vain, and after each fault we wait for one that has begun then. So many more are made, too, for faults to strike."""
LEAST_DELAY_SECONDS = 0.05
"""A hub that has just read may rest 20 ms, then comes the fsync; less than this is not asked of a busy machine."""
RULES = """
rule: warm
label: {en: Warm, zh: 温热}
for_each: environment_sensor
when: temperature > 30
for: 500ms
raise: {event: utility.warm, severity: high}
clear: {when: temperature < 25, for: 500ms}
do: [{command: unlock, args: {ttl: 30s}, to: {kind: access_controller, in: building}, until: cleared}]
---
rule: crowd
label: {en: Many cards at a door, zh: 频繁刷卡}
for_each: {part: door}
on_signal: access.granted
count: {at_least: 25, within: 10s}
raise: {event: access.crowd, severity: low}
"""
RULES += f"---{doors.RULES}"
"""Beside `card-seen` and all that ship: alarms with timers and commands, and counting: state that could be lost."""


@dataclass(slots=True)
class _Known:
    """What earlier faults cost."""

    lost: set[int] = field(default_factory=set)
    doubled: set[int] = field(default_factory=set)
    inversions: int = 0


class BrokerDied(NamedTuple):
    """A broker was killed: when it had saved last (wall ns), and the ``last`` number sent before its end."""

    saved_at: int
    last: int


class Storm:
    """A town whose hub meets broker and Redis through proxies, and InfluxDB through a front that can lie.

    Faults use the public parts. ``random`` is seeded: the same seed, the same faults at the same moments, as far as
    processes can be repeated. ``copies_allowed`` is what the fault at work lets the broker send again. ``rejected``:
    what the store refuses for good. ``broker_died``: of a fault that may lose what was not saved. ``measured``: what a
    fault that measures has found; ``acting``: what came of commands. ``streamed``: what the streams held before Redis
    forgot some of it.
    """

    def __init__(self, town: InfluxTown, broker_link: Proxy, redis_link: Proxy, seed: int) -> None:
        self.town = town
        self.broker_link = broker_link
        self.redis_link = redis_link
        self.random = random.Random(seed)  # noqa: S311 -- repeatable, not secret
        self.clock = SystemClock()
        self.publisher = Publisher(town.mosquitto.port, RATE)
        self.shadow = Shadow(town.hub.data)
        self.watch = Watch(town)
        self.gauge = Gauge(town.valkey)
        self.copies_allowed: set[int] = set()
        self.rejected: set[int] = set()
        self.measured = ""
        self.acting = Acting()
        self.broker_died: BrokerDied | None = None
        self.streamed: list[Event] = []
        self._known = _Known()
        self._calm, self._struck_at = range(0), 0
        self._began = self.clock.monotonic_ns()

    async def start(self) -> None:
        """Start the hub; return when everything works."""
        self.town.hub.start()
        await self.town.hub.until_ready()
        self.watch.remember_memory()

    async def strike(self, fault: Fault) -> Outcome:
        """Let ``fault`` happen in running traffic; return what it came to."""
        at = self.seconds
        try:
            outcome = await self._struck(fault, at)
        except* AssertionError as errors:  # what a fault or we ourselves waited for has not come
            wrong = (f"it did not end well: {error}" for error in _leaves(errors))
            words = (*wrong, f"/readyz said {sorted(self.watch.said)}", self.town.hub.log()[-LOG_BYTES:])
            outcome = uncounted(fault.name, at, self.seconds - at, words)
        return replace(outcome, strain=await self.gauge.read())

    async def _struck(self, fault: Fault, at: float) -> Outcome:
        first, self.measured, self.acting = self.publisher.number + 1, "", Acting()
        self.broker_died = None
        async with self.publisher.traffic():
            await self.publisher.until_acked(RATE // 2)
            await self.town.hub.until_ready()  # what came before, our counting too, is no word of this fault
            self._calm, self._struck_at = range(first, self.publisher.number + 1), self.clock.wall_ns()
            async with self.watch.watching(), self.gauge.measuring():
                await fault.strike(self)
            lasted, since = self.seconds - at, self.publisher.number
            recovery = await self._recovered(since)
            await self.town.hub.until_ready()
        found = await self._settled(fault, recovery)
        outcome = Outcome(
            fault=fault.name, at=at, lasted=lasted, lost=len(found.lost), doubled=len(found.doubled),
            recovery=recovery, bounds=found.bound_line, measured=self.measured, wrong=tuple(broken(found)),
        )  # fmt: skip
        self._known.lost.update(found.lost)
        self._known.doubled.update(found.doubled)
        self._known.inversions = len(self.shadow.inversions)
        return outcome

    @property
    def seconds(self) -> float:
        """Seconds since the storm began."""
        return (self.clock.monotonic_ns() - self._began) / 1e9

    def adopt(self, hub: HubProcess) -> None:
        """Go on with ``hub``, which took over from the one before."""
        self.town.hub = hub
        self.shadow.directory = hub.data

    async def until_said(self, *codes: str) -> None:
        """Wait until /readyz has shown ``codes`` during this fault."""
        await wait_until(lambda: self.watch.said.issuperset(codes))

    # ----------------------------------------------------------------------------------------------------- observations

    async def _recovered(self, since: int) -> float:
        """Return the seconds until a point and an event of messages published after ``since`` are where they belong.

        The time in which the hub, a server or we ourselves waited for a processor is not the hub's: it is taken off.
        """
        began, waited = self.clock.monotonic_ns(), self.watch.waits()

        async def is_through() -> bool:
            point = max((number_of(float(str(row[1]))) for row in await self._newest_points()), default=0)
            return point > since and await self._newest_card() > since

        await wait_until(is_through)
        return max(0, self.clock.monotonic_ns() - began - self.watch.starved_since(waited, *waited)) / 1e9

    async def _newest_points(self) -> list[list[object]]:
        return await self.town.influxdb.ask("SELECT max(co2) FROM environment_sensor WHERE time > now() - 20s")

    async def _newest_card(self) -> int:
        async with self.town.valkey.link() as link:
            events = await read_events(link, ["access"], count=5, wanted=is_numbered)
        return max(map(card_number, events), default=0)

    async def _settled(self, fault: Fault, liveness_seconds: float) -> Evidence:
        """Wait until nothing is on its way any more and return what is known then."""
        await self.watch.until_quiet()
        await self.shadow.keep_up()
        checkpoint, differing = await self._compared()

        async def gathered() -> Evidence:
            await self.shadow.keep_up()
            return await self._evidence(fault, liveness_seconds, checkpoint, differing)

        deadline = self.clock.monotonic_ns() + PATIENCE_SECONDS * 1_000_000_000
        found = await gathered()
        while broken(found) and self.clock.monotonic_ns() < deadline:
            await self.clock.sleep(0.1)
            found = await gathered()
        return found

    async def _compared(self) -> tuple[int, list[str]]:
        """Return the first checkpoint behind what the shadow has applied, and where it differs."""
        found: list[tuple[int, list[str]]] = []

        async def is_seen() -> bool:
            found.append(await asyncio.to_thread(self.shadow.differing))
            return found[-1][0] > 0

        await wait_until(is_seen)
        return found[-1]

    async def _evidence(self, fault: Fault, liveness: float, checkpoint: int, differing: list[str]) -> Evidence:
        shadow, log = self.shadow, self.publisher.log
        told: dict[str, list[str]] = {}
        ends: dict[str, list[str]] = {}
        stored = Counter(number_of(value) for value in (await self.town.stored()).elements())
        async with self.town.valkey.link() as link:
            for event in self._told(await read_events(link, count=1_000_000)):
                told.setdefault(_domain(event.name), []).append(event.id)
                if event.name.startswith("command."):
                    ends.setdefault(str(event.data.get("id")), []).append(event.name.removeprefix("command."))
                elif is_numbered(event):
                    stored[card_number(event)] += 1
        expected: dict[str, list[str]] = {}
        for event in shadow.events:
            expected.setdefault(_domain(event.name), []).append(event.id)
        return Evidence(
            fault=fault,
            rate=RATE,
            ack_delay_seconds=self.ack_delay_seconds(),
            acked=frozenset(log.acked),
            tried=frozenset(log.tried),
            heard=frozenset(shadow.heard_at),
            judged=Counter(shadow.judged),
            stored=stored,
            inversions=shadow.inversions[self._known.inversions :],
            told=told,
            expected=expected,
            stored_events=await self.town.stored_event_ids(),
            ledger=await self.town.hub.metrics(),
            checkpoint=checkpoint,
            differing=differing,
            said=frozenset(self.watch.said),
            unsure=frozenset(self.watch.unsure),
            liveness_seconds=liveness,
            vital=await self.watch.vital(),
            forgiven=frozenset(self._known.lost),
            doubled_before=frozenset(self._known.doubled),
            rejected=frozenset(self.rejected),
            losable=self._losable(),
            copies_allowed=frozenset(self.copies_allowed),
            ends=ends,
            acting=self.acting,
        )

    def _told(self, held: Sequence[Event]) -> list[Event]:
        """Return what the streams tell to whoever read them all the while, and knows events by their ids.

        What Redis had taken and forgot before the hub heard that it did may come again; no stream holds anything twice.
        """
        known, times = {event.id for event in self.streamed}, Counter(event.id for event in held)
        return [*self.streamed, *(event for event in held if event.id not in known or times[event.id] > 1)]

    def _losable(self) -> frozenset[int] | None:
        if self.broker_died is None:
            return None
        saved_at, last = self.broker_died
        newest = {topic_of(number): number for number in sorted(self.shadow.heard_at) if number <= last}
        acked = self.publisher.log.acked.items()
        return frozenset(
            number for number, at in acked if at >= saved_at and newest.get(topic_of(number), 0) < number <= last
        )

    def ack_delay_seconds(self) -> float:
        """Return how long after its PUBACK a message was in the journal at most, in the calm before the last fault."""
        acked, heard = self.publisher.log.acked, self.shadow.heard_at
        delays = [
            heard[number] - acked[number]
            for number in self._calm
            if number in acked and heard.get(number, self._struck_at) < self._struck_at
        ]
        return max(LEAST_DELAY_SECONDS, max(delays, default=0) / 1e9)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _leaves(each)
    else:
        yield error


def _domain(name: str) -> str:
    return name.partition(".")[0]


@asynccontextmanager
async def storm_in(directory: Path, seed: int) -> AsyncIterator[Storm]:
    """Open a town of its own with everything that can break, its hub not started; end all of it afterwards."""
    async with AsyncExitStack() as stack:
        mosquitto = Mosquitto(directory / "mosquitto")
        valkey = ValkeyServer(directory / "valkey", latency_monitor_threshold=str(NOTED_MS))
        for server in (mosquitto, valkey):
            stack.enter_context(_running(server))
        influxdb = await stack.enter_async_context(InfluxServer(directory / "influxdb"))
        broker_link = await stack.enter_async_context(Proxy(mosquitto.port).serve())
        redis_link = await stack.enter_async_context(Proxy(valkey.port).serve())
        town = InfluxTown(directory, mosquitto, valkey, influxdb, rules=RULES)
        town.hub.mqtt_port, town.hub.redis_port = broker_link.port, redis_link.port
        town.hub.haste = HASTE
        async for each in opened(town):
            await doors.build(each)
            storm = Storm(each, broker_link, redis_link, seed)
            async with storm.watch.remembering():
                yield storm


@contextmanager
def _running(server: Mosquitto | ValkeyServer) -> Iterator[None]:
    server.start()
    try:
        yield
    finally:
        server.kill()
