"""``python -m benchmarks.workers``: two workers against one, fed without a broker, and both behind a real one.

The streams come out of one process of prepared packets (benchmarks/feeder.py), which is also the store that counts
points: what it and Valkey use of the two cores is told beside the figures, for the workers have only the rest.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import tempfile
from asyncio.subprocess import PIPE, Process, create_subprocess_exec
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from statistics import median
from typing import Annotated

import aiohttp
import msgspec
import redis.asyncio
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.feeder import Errand, Fed, Ports
from benchmarks.hub_process import ENVIRONMENT, READY_SECONDS, STOP_SECONDS
from benchmarks.report import machine
from benchmarks.stage import cpu_ns
from benchmarks.traffic import BUILDING, DOMAINS, KIND, RULES, Traffic
from hub.config.settings import Settings
from hub.errors import UnavailableError
from hub.model.values import PlaceType
from hub.registry.nouns import Device, Place, Site
from hub.registry.registry import Registry
from hub.services.child import free_port
from hub.sinks.streams import domain_key
from tests.servers.mosquitto import Mosquitto
from tests.servers.valkey import ValkeyServer
from tests.waiting import wait_until

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

SITES = {"main": "s1", "east": "s2"}
USERS = {"main": "hub-telemetry", "east": "hub-east-telemetry"}
FED, BROKERED = "fed without a broker", "behind mosquitto"
CORES = os.cpu_count() or 1
FLOOD_SECONDS, SETTLE_SECONDS = 120.0, 60.0


@dataclass(slots=True)
class Run:
    """One flood: messages of all streams a second of wall time, CPU of the workers, and of their servers.

    ``strangers`` is the share of the machine that everybody else used meanwhile: they take from the wall time.
    """

    per_second: float
    cpu_us: float
    beside_us: float
    strangers: float


@dataclass(slots=True)
class Row:
    """What one arrangement came to."""

    what: str
    workers: int
    lost: int = 0
    runs: list[Run] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        """Messages of all streams, the median of the runs."""
        return median(run.per_second for run in self.runs)

    @property
    def cpu_us(self) -> float:
        """Of all workers together, a message: the median of the runs."""
        return median(run.cpu_us for run in self.runs)

    @property
    def beside_us(self) -> float:
        """Of feeder and store, or broker, and of Valkey, a message: the median of the runs."""
        return median(run.beside_us for run in self.runs)

    @property
    def strangers(self) -> float:
        """Of the whole machine, everybody else: the median of the runs."""
        return median(run.strangers for run in self.runs)


@app.command()
def main(
    *,
    devices: Annotated[int, typer.Option(help="Of each site.")] = 1_000,
    count: Annotated[int, typer.Option(help="Messages of each stream, in each run.")] = 200_000,
    runs: Annotated[int, typer.Option(help="How often each is repeated.")] = 3,
    brokered: Annotated[bool, typer.Option(help="Also behind a real broker.")] = True,
) -> None:
    """Measure one and two workers. Exit code 1 when anything was lost."""
    plan = Plan(devices, count, runs, (FED, BROKERED) if brokered else (FED,))
    with tempfile.TemporaryDirectory(prefix="hub-workers-") as name:
        rows = asyncio.run(measure(Path(name), plan, Console(stderr=True)))
    show(rows, Console(width=None if sys.stdout.isatty() else 150))
    if any(row.lost for row in rows):
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    devices: int
    count: int
    runs: int
    ways: Sequence[str]


async def measure(directory: Path, plan: Plan, console: Console) -> list[Row]:
    """Measure every row, one after the other, each on new servers."""
    rows = []
    for what in plan.ways:
        for partitions in (["main"], ["main", "east"]):
            console.print(f"{what}: {len(partitions)} of 2 workers", highlight=False)
            with ExitStack() as stack:
                valkey = ValkeyServer(directory / "valkey")
                mosquitto = Mosquitto(directory / "mosquitto")
                stack.callback(shutil.rmtree, directory)
                stack.callback(valkey.kill)
                stack.callback(mosquitto.kill)
                valkey.start()
                mosquitto.start()
                async with (
                    fed(plan.devices, mosquitto.port if what == BROKERED else 0) as feeder,
                    hub_at(directory, plan, partitions, feeder.ports, valkey) as hub,
                ):
                    beside = [*feeder.pids, valkey.pid, *([mosquitto.pid] if what == BROKERED else [])]
                    rows.append(await flood(Row(what, len(partitions)), plan, hub, feeder, beside))
    return rows


def show(rows: Sequence[Row], console: Console) -> None:
    """Print the table; ratios are to one worker fed the same way."""
    words = ("messages a second", "to one", "CPU µs a message", "to one", "beside them µs", "strangers", "lost")
    table = Table("", "workers", *words)
    for row in rows:
        one = next(each for each in rows if each.what == row.what)
        speed, cost = row.per_second / one.per_second, row.cpu_us / one.cpu_us
        table.add_row(
            row.what, str(row.workers), f"{row.per_second:,.0f}", f"× {speed:.2f}", f"{row.cpu_us:.1f}",
            f"× {cost:.2f}", f"{row.beside_us:.1f}", f"{row.strangers:.0%}", str(row.lost),
        )  # fmt: skip
    console.print(table)
    console.print(machine(), highlight=False)


async def flood(row: Row, plan: Plan, hub: HubAtWork, feeder: Feeder, beside: Sequence[int]) -> Row:
    """Warm up, flood ``plan.runs`` times, and count everything again."""
    streams, first = len(hub.partitions), 0
    for count in (plan.count // 10, *[plan.count] * plan.runs):
        numbers = range(first, first + count)
        await feeder.prepare(hub.partitions, numbers)
        before = used(hub.pids), used(beside), machine_busy()
        seconds = await feeder.feed()
        mine, servers, whole = used(hub.pids) - before[0], used(beside) - before[1], machine_busy() - before[2]
        if first:
            messages, strangers = count * streams, max(0.0, whole - mine - servers) / (seconds * CORES)
            row.runs.append(Run(messages / seconds, mine * 1e6 / messages, servers * 1e6 / messages, strangers))
        first += count
    points = first * streams
    events = Traffic(plan.devices).count_events(range(first)) * streams
    await hub.until_told(points, events)
    row.lost = abs(points - feeder.points) + abs(events - await hub.count_events())
    return row


def used(pids: Sequence[int]) -> float:
    """Return the CPU seconds of processes."""
    return sum(map(cpu_ns, pids)) / 1e9


def machine_busy() -> float:
    """Return the CPU seconds that everybody on this machine has used: all of ``/proc/stat`` but idle and iowait."""
    ticks = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:9]
    return sum(int(each) for number, each in enumerate(ticks) if number not in {3, 4}) / os.sysconf("SC_CLK_TCK")


# ------------------------------------------------------------------------------------------------------------ processes


class Feeder:
    """A process that feeds; each stream is a connection of its own."""

    def __init__(self, process: Process, ports: Ports) -> None:
        self.ports = ports
        self.points = 0
        self.pids = [process.pid]
        self._process = process

    async def prepare(self, partitions: Sequence[str], numbers: range) -> None:
        """Let it lay ``numbers`` ready for every one of ``partitions``."""
        sites = {USERS[partition]: SITES[partition] for partition in partitions}
        await self._say(msgspec.json.encode(Errand(sites, numbers.start, len(numbers))))
        await self._line()

    async def feed(self) -> float:
        """Let it go; return the seconds until every point was stored."""
        await self._say(b"")
        done = msgspec.json.decode(await self._line(), type=Fed)
        self.points = done.points
        return done.seconds

    async def _say(self, line: bytes) -> None:
        if self._process.stdin is not None:
            self._process.stdin.write(line + b"\n")
            await self._process.stdin.drain()

    async def _line(self) -> bytes:
        async with asyncio.timeout(FLOOD_SECONDS):
            return b"" if self._process.stdout is None else await self._process.stdout.readline()


@asynccontextmanager
async def fed(devices: int, broker: int) -> AsyncIterator[Feeder]:
    """Start a feeder; with a ``broker`` it publishes to that."""
    command = (sys.executable, "-m", "benchmarks.feeder", str(devices), str(broker))
    process = await create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
    try:
        said = b"" if process.stdout is None else await process.stdout.readline()
        yield Feeder(process, msgspec.json.decode(said, type=Ports))
    finally:
        process.kill()
        await process.wait()


class HubAtWork:
    """``hub run`` that works: with one partition the process itself, with several its workers."""

    def __init__(self, process: Process, partitions: Sequence[str], http_port: int, redis_url: str) -> None:
        self.partitions = partitions
        self.pids: list[int] = []
        self._process = process
        self._http_port = http_port
        self._redis_url = redis_url

    async def until_ready(self) -> None:
        """Wait until every partition is; learn who works."""
        await wait_until(self._is_ready, seconds=READY_SECONDS)
        pid = self._process.pid
        self.pids = children_of(pid) if len(self.partitions) > 1 else [pid]

    async def _is_ready(self) -> bool:
        if self._process.returncode is not None:
            raise UnavailableError("hub_died", returncode=self._process.returncode)
        try:
            return (await self._page("readyz"))[0] == HTTPStatus.OK
        except aiohttp.ClientError:
            return False

    async def _page(self, name: str) -> tuple[int, str]:
        async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{self._http_port}/{name}") as answer:
            return answer.status, await answer.text()

    async def until_told(self, points: int, events: int) -> None:
        """Wait until the hub says that it wrote so many points, and the streams hold so many events."""

        async def is_told() -> bool:
            lines = (await self._page("metrics"))[1].splitlines()
            written = sum(float(line.split()[-1]) for line in lines if line.startswith("hub_points_written_total"))
            return written >= points and await self.count_events() >= events

        await wait_until(is_told, seconds=SETTLE_SECONDS)

    async def count_events(self) -> int:
        """Return how many events the streams hold."""
        async with redis.asyncio.Redis.from_url(self._redis_url) as client:
            return sum([await client.xlen(domain_key(domain)) for domain in DOMAINS])


def children_of(pid: int) -> list[int]:
    """Return the processes that process ``pid`` has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


@asynccontextmanager
async def hub_at(
    directory: Path, plan: Plan, partitions: Sequence[str], ports: Ports, valkey: ValkeyServer
) -> AsyncIterator[HubAtWork]:
    """Run a hub with its shipped defaults whose points go to the feeder; end it in good order."""
    data, rules, http_port = directory / "data", directory / "rules", free_port()
    data.mkdir()
    rules.mkdir()
    (rules / "bench.yaml").write_text(RULES, encoding="utf-8")
    config = directory / "hub.toml"
    config.write_text(
        f"""\
more_partitions = {list(partitions[1:])}
workers = {len(partitions)}
data_dir = "{data}"
rules_dir = "{rules}"
mqtt.port = {ports.mqtt}
redis.url = "{valkey.url}"
http.port = {http_port}
timeseries = {{store = "influxdb", url = "http://127.0.0.1:{ports.store}", bucket = "hub"}}
""",
        encoding="utf-8",
    )
    async with Registry(Settings(data_dir=data).registry_url()) as registry:
        for partition in partitions:
            site = SITES[partition]
            await registry.add_site(Site(id=site, zone="Asia/Shanghai", partition=partition))
            await registry.add_places([Place(site=site, id=BUILDING, type=PlaceType.BUILDING)])
            names = Traffic(plan.devices).names()
            await registry.add_devices([Device(site=site, id=name, kind=KIND, place=BUILDING) for name in names])
    command = [sys.executable, "-m", "hub.ui.cli.main", "--config", str(config), "--log-level", "warning", "run"]
    process = await create_subprocess_exec(*command, env=ENVIRONMENT)
    try:
        hub = HubAtWork(process, partitions, http_port, valkey.url)
        await hub.until_ready()
        yield hub
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(STOP_SECONDS):
            if await process.wait():
                raise UnavailableError("hub_failed", returncode=process.returncode)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


if __name__ == "__main__":
    app()
