"""``python -m benchmarks.soak [--minutes 10] [--json]``: a steady load, a fault a minute, and the books at the end."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, cast

import aiohttp
import redis.asyncio
import redis.exceptions
import typer
from rich.console import Console
from rich.table import Table

from benchmarks import numbered
from benchmarks.hub_process import HubProcess, Setup, heard_once
from benchmarks.numbered import Books, Numbered
from benchmarks.stage import Stage, staged
from benchmarks.watch import CALM_AFTER, Fault, Growth, Sample, growth, look
from hub.clock import SystemClock
from hub.sinks.streams import domain_key
from hub.ui.printing import say_json
from hub.ui.process.logs import LogLevel, configure_logging
from simulators.load import Load, Pace, Target, logins_of
from simulators.tally import Latencies, Tally
from tests.servers.proxy import Proxy
from tests.waiting import wait_until

CONNECTIONS = 8
SETTLE_SECONDS = 120.0
BLOCK_MS = 200

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@dataclass(slots=True)
class Town:
    """Servers, a hub behind a proxy, a load, and what has been seen of them."""

    stage: Stage
    proxy: Proxy
    hub: HubProcess
    load: Load
    taken: bytearray
    clock: SystemClock = field(default_factory=SystemClock)
    samples: list[Sample] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    calm: Latencies = field(default_factory=Latencies)
    troubled: Latencies = field(default_factory=Latencies)
    events: int = 0
    is_over: bool = False

    @property
    def seconds(self) -> float:
        """How long the load has been running."""
        return (self.clock.monotonic_ns() - self.load.began_ns) / 1e9 if self.load.began_ns else 0.0

    def is_troubled(self) -> bool:
        """Whether a fault is, or was a moment ago."""
        return bool(self.faults) and self.seconds - self.faults[-1][0] < CALM_AFTER


# ---------------------------------------------------------------------------------------------------------- faults


async def kill_hub(town: Town) -> None:
    """SIGKILL, and started again at once."""
    await town.hub.kill()
    await town.hub.start()


async def pause_valkey(town: Town) -> None:
    """SIGSTOP for 8 seconds: connections stay, answers do not come."""
    town.stage.valkey.pause()
    await town.clock.sleep(8)
    town.stage.valkey.resume()


async def restart_broker(town: Town) -> None:
    """SIGTERM, so that it saves all, and started again."""
    await asyncio.to_thread(town.stage.mosquitto.restart)


async def influx_away(town: Town) -> None:
    """Stop InfluxDB for 20 seconds."""
    await asyncio.to_thread(town.stage.influx.stop)
    await town.clock.sleep(20)
    await town.stage.influx.start()


async def cut(town: Town) -> None:
    """Reset the hub's connections, five times in a row."""
    for _ in range(5):
        town.proxy.reset()
        await town.clock.sleep(1)


async def kill_valkey(town: Town) -> None:
    """SIGKILL, 5 seconds nobody there, then started again."""
    await asyncio.to_thread(town.stage.valkey.kill)
    await town.clock.sleep(5)
    await asyncio.to_thread(town.stage.valkey.start)


async def blackhole(town: Town) -> None:
    """Swallow all between hub and broker for 12 seconds, longer than a keepalive."""
    town.proxy.blackhole()
    await town.clock.sleep(12)
    town.proxy.heal()


FAULTS: Mapping[str, Callable[[Town], Awaitable[None]]] = {
    "hub killed": kill_hub,
    "InfluxDB away 20 s": influx_away,
    "blackhole 12 s": blackhole,
    "Valkey paused 8 s": pause_valkey,
    "broker restarted": restart_broker,
    "connections cut 5 times": cut,
    "Valkey killed, away 5 s": kill_valkey,
}
ROUND = (*FAULTS, "InfluxDB away 20 s", "blackhole 12 s")
"""What makes most wait comes twice in a hub's life: the second time it finds the memory that the first one took."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long, how fast, and ``faults`` in turns: one each ``every`` seconds, ``at`` so many; the last turn none."""

    seconds: int
    rate: int = 2_000
    every: float = 60.0
    at: float = 20.0
    faults: Sequence[str] = ROUND


async def trouble(town: Town, plan: Plan, say: Callable[[str], None]) -> None:
    """Let there be faults as planned."""
    for turn in range(max(1, round(plan.seconds / plan.every) - 1)):
        await town.clock.sleep(max(0.0, turn * plan.every + plan.at - town.seconds))
        name = plan.faults[turn % len(plan.faults)]
        town.faults.append((town.seconds, name))
        say(f"{town.seconds:6.0f} s  fault: {name}")
        await FAULTS[name](town)
        say(f"{town.seconds:6.0f} s  it is over")


# -------------------------------------------------------------------------------------------------------- watching


async def follow(town: Town) -> None:
    """Note for each card when its event is seen, however often Valkey goes away, until it is over.

    It is not cancelled: redis-py 8.1 forgets that it was where an answer is there in the same moment (79 of 1,500).
    """
    position: bytes = b"0-0"
    key = domain_key("access")
    while not town.is_over:
        with suppress(redis.exceptions.RedisError, OSError):
            async with redis.asyncio.Redis.from_url(town.stage.redis_url, socket_timeout=5) as client:
                while not town.is_over:
                    answer = await client.xread({key: position}, count=1_000, block=BLOCK_MS)
                    for _, entries in cast("list[tuple[bytes, list[tuple[bytes, dict[bytes, bytes]]]]]", answer):
                        position = entries[-1][0]
                        _note(town, [fields for _, fields in entries])
        await town.clock.sleep(0.5)


def _note(town: Town, entries: Sequence[dict[bytes, bytes]]) -> None:
    now, latencies = town.clock.monotonic_ns(), town.troubled if town.is_troubled() else town.calm
    for fields in entries:
        card = numbered.card_of(fields)
        if card is not None:
            town.events += 1
            latencies.add((now - town.load.due_ns(card)) // 1_000)


async def watch(town: Town, say: Callable[[str], None]) -> None:
    """Look each second, and say one line."""
    while True:
        await town.clock.sleep(1)
        found: Mapping[str, int] = {}
        with suppress(aiohttp.ClientError, OSError, IndexError):
            found = await town.hub.metrics()
            town.samples.append(look(town.hub.pid, town.seconds, found["hub_tasks_running"]))
        tally, last = town.load.tally, town.samples[-1] if town.samples else None
        memory = f"{last.rss_mib:.0f} MiB, {last.handles} handles, {last.tasks} tasks" if last else "not seen yet"
        heard = f"{found['hub_messages_heard_total']:,}" if found else "not answering"
        say(
            f"{town.seconds:6.0f} s  PUBACKed {tally.taken:,}, unanswered {tally.unanswered:,}, heard {heard}, "
            f"events {town.events:,}, worst {_ms(town.calm)} calm / {_ms(town.troubled)} troubled, {memory}"
        )


def _ms(latencies: Latencies) -> str:
    return f"{latencies.most_us / 1e3:,.0f} ms"


# ------------------------------------------------------------------------------------------------------------ the run


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a soak came to."""

    tally: Tally
    counts: Mapping[str, int]
    books: Books
    growth: Growth | None
    town: Town

    @property
    def holds(self) -> bool:
        """Whether nothing was lost, doubled, or grew; and the ledger adds up."""
        return not self.books.wrong and (self.growth is None or self.growth.is_flat) and self.adds_up

    @property
    def adds_up(self) -> bool:
        """Whether the ledger does: heard = applied + deduplicated + dead-lettered + refused."""
        ends = ("applied", "deduplicated", "dead_lettered", "refused")
        return self.counts["hub_messages_heard_total"] == sum(self.counts[f"hub_messages_{end}_total"] for end in ends)


async def soak(plan: Plan, directory: Path, say: Callable[[str], None]) -> Outcome:
    """Run it all."""
    async with _town(directory, plan) as town:
        began = town.clock.wall_ns()
        logins = logins_of("soak", CONNECTIONS)
        target = Target(host="127.0.0.1", port=town.stage.mosquitto.port, logins=logins)
        async with asyncio.TaskGroup() as group:
            group.create_task(follow(town), name="soak.follow")
            watching = group.create_task(watch(town, say), name="soak.watch")
            faults = group.create_task(trouble(town, plan, say), name="soak.faults")
            tally = await town.load.run(target)
            await faults
            say("everything is published: waiting until all of it is delivered")
            await wait_until(partial(_is_settled, town), seconds=SETTLE_SECONDS)
            counts = await town.hub.metrics()
            town.is_over = True
            watching.cancel()
        books = await numbered.close(town.stage, town.taken, began, town.clock.wall_ns())
        return Outcome(tally=tally, counts=counts, books=books, growth=growth(town.samples, town.faults), town=town)


async def _is_settled(town: Town) -> bool:
    found = await town.hub.metrics()
    owed = ("hub_points_waiting", "hub_outbox_waiting_records", "hub_engine_lag_records")
    return heard_once(found) >= town.load.tally.taken and not any(found[name] for name in owed)


@asynccontextmanager
async def _town(directory: Path, plan: Plan) -> AsyncIterator[Town]:
    count = plan.rate * plan.seconds
    speech, taken = Numbered(), bytearray(count)

    def took(numbers: list[int]) -> None:
        for number in numbers:
            taken[number] = 1

    async with staged(directory / "stage") as stage, Proxy(stage.mosquitto.port).serve() as proxy:
        hub = HubProcess(stage, speech, Setup(rules=numbered.RULES, mqtt_port=proxy.port))
        try:
            await hub.register()
            await hub.start()
            load = Load(speech, Pace(rate=plan.rate, count=count), clock=SystemClock(), took=took)
            yield Town(stage=stage, proxy=proxy, hub=hub, load=load, taken=taken)
        finally:
            await hub.kill()


@app.command()
def main(
    *,
    minutes: Annotated[int, typer.Option(min=1, help="How long; a fault a minute.")] = 10,
    rate: Annotated[int, typer.Option(min=10, help="Messages a second.")] = 2_000,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document at the end.")] = False,
) -> None:
    """Soak a hub. Exit code 1 when anything was lost or doubled, grew, or the ledger does not add up."""
    configure_logging(LogLevel.ERROR, sys.stderr)
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    with tempfile.TemporaryDirectory(prefix="hub-soak-") as name:
        outcome = asyncio.run(soak(Plan(seconds=minutes * 60, rate=rate), Path(name), console.print))
    document = dict(_document(outcome))
    if as_json:
        say_json(document)
    else:
        Console(highlight=False).print(_table(document))
    if not outcome.holds:
        raise typer.Exit(1)


def _document(outcome: Outcome) -> Iterator[tuple[str, object]]:
    tally, books, town, counts = outcome.tally, outcome.books, outcome.town, outcome.counts
    yield "faults", [name for _, name in town.faults]
    yield "published", tally.published
    yield "pubacked", tally.taken
    yield "unanswered", tally.unanswered
    ends = ("heard", "applied", "deduplicated", "dead_lettered", "refused")
    yield "ledger", {end: counts[f"hub_messages_{end}_total"] for end in ends}
    yield "ledger_adds_up", outcome.adds_up
    yield "events_seen", town.events
    for name in ("lost_points", "doubled_points", "lost_events", "doubled_events"):
        numbers = getattr(books, name)
        yield name, len(numbers)
        if numbers:
            yield f"{name}_such_as", numbers[:10]
    yield "doubled_event_ids", books.doubled_ids
    for what, latencies in (("calm", town.calm), ("troubled", town.troubled)):
        figures = {f"p{percent:g}": latencies.percentile_ms(percent) for percent in (50, 99)}
        yield f"event_ms_{what}", figures | {"worst": latencies.most_us / 1e3}
    yield "growth", None if outcome.growth is None else asdict(outcome.growth)
    yield "is_flat", outcome.growth is None or outcome.growth.is_flat
    yield "holds", outcome.holds


def _table(document: Mapping[str, object]) -> Table:
    table = Table("what", "found", box=None, header_style="bold", pad_edge=False)
    for name, value in document.items():
        table.add_row(name.replace("_", " "), _cell(value))
    return table


def _cell(value: object) -> str:
    if isinstance(value, dict):
        return "  ".join(f"{name} {_cell(each)}" for name, each in value.items())
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "NO", None: "too short to judge"}[value]
    if isinstance(value, float):
        return f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


if __name__ == "__main__":
    app()
