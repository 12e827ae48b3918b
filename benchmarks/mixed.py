"""Where the mixture's microseconds go: the real profiles, rules and proportions in this process, without servers.

    .venv/bin/python -m benchmarks.mixed                            # by step
    .venv/bin/python -m benchmarks.mixed --functions                # what apply does, by function
    .venv/bin/python -m benchmarks.mixed --against before=../before # another checkout, in turns

CPU of this process, divided by the messages. Everything waits in memory, so it is the hub's own work alone: what the
row `mixed profiles` of a hub on servers has beside it is the loop, threads, sockets, and caches that others use too.
"""

from __future__ import annotations

import asyncio
import cProfile
import gc
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from types import CodeType
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from benchmarks import micro
from benchmarks.desk import BATCH, NS_PER_MESSAGE, START_NS, Desk, Stopwatch, caught_up
from benchmarks.figures import FULL
from benchmarks.traffic import SITE
from hub.bridge import topics
from hub.config.settings import CheckpointSettings, packaged
from hub.engine.apply import Engine
from hub.model.heard import Handler
from hub.registry.documents import documents
from hub.registry.nouns import Site
from hub.revisions.files import read_yaml
from hub.ui.cli.run import spare_the_collector
from hub.ui.process.logs import LogLevel, configure_logging
from simulators.mixture import Mixture

WARM_UP = 10
"""Records that are not counted: by then nearly all who speak often have spoken."""
TWINS_EVERY = 15
"""Records: about a second of a flooded hub."""
LEAST = TWINS_EVERY * BATCH
"""Of fewer messages a step costs nothing, which no other can be compared with."""
FUNCTIONS = 50

STEPS: Mapping[str, str] = {
    "read + ack": "socket to messages, and their acks",
    "journal": f"append, fsync, {BATCH:,} a record",
    "normalize": "payload to readings, handlers alone",
    "twin, age, ledger, line": "the rest of apply without a rule",
    "rules": "apply with the shipped rules, less that",
    "lines of events": "to line protocol",
    "stream commands": "events and alarms",
    "twins": f"to Redis, every {TWINS_EVERY:,} records",
    "checkpoint": "what changed, encoded, once in as many messages as a hub does",
}

Costs = dict[str, float]
"""CPU microseconds a message, by step."""


class MixedDesk(Desk):
    """``count`` messages of a mixture, of one ``family`` ("": of all) what it says among them."""

    def __init__(self, count: int, family: str) -> None:
        self._mixture = Mixture(SITE, FULL.mixture_devices)
        said = (self._mixture.say(number, START_NS + number * NS_PER_MESSAGE) for number in range(count))
        self._said = [(topic, payload) for _, topic, payload in said if topic.split("/")[2].startswith(family)]
        super().__init__(self._said)

    def engine(self, *, is_bare: bool) -> Engine:
        """Return an engine that has caught up, with the shipped rules unless it ``is_bare``."""
        found = read_yaml([packaged("device_profiles")], [] if is_bare else [packaged("rules")])
        site = Site(id=SITE, zone="Asia/Shanghai")
        return caught_up(found | documents([site], self._mixture.places(), self._mixture.devices()))

    def handlers(self, engine: Engine) -> dict[str, Handler]:
        """Return by topic what reads the payloads of its device."""
        found: dict[str, Handler] = {}
        for topic in {topic for topic, _ in self._said}:
            address = topics.parse(topic)
            device = None if address is None else engine.content.find(address.site, address.device)
            if device is not None:
                found[topic] = device.outfit.handle
        return found


class _Walked:
    """What a walk over all messages took."""

    def __init__(self, desk: MixedDesk, *, is_bare: bool) -> None:
        self._watch, engine = Stopwatch(), desk.engine(is_bare=is_bare)
        handlers = desk.handlers(engine)
        gc.collect()
        spare_the_collector()  # as `hub run` does
        self._count = self._twins = self.events = 0
        for number, record in enumerate(desk.records(engine.state.clock.position + 1)):
            watch = self._watch if number >= WARM_UP else Stopwatch()
            with watch.step("normalize"):
                for message in record.messages:
                    handlers[message.topic](message.payload)
            effects = micro.take(engine, record, watch)
            if number % TWINS_EVERY == TWINS_EVERY - 1:
                micro.pack_twins(engine, watch)
            if number >= WARM_UP:
                self._count += len(record.messages)
                self.events += len(effects.events)
        micro.checkpoint(engine, self._watch)

    def us(self, step: str) -> float:
        """Return the microseconds of a step for each message."""
        return self._watch.us(step, self._count)

    def checkpoint_us(self) -> float:
        """Return what a checkpoint costs each of the messages between two of them."""
        return self._watch.us("checkpoint", CheckpointSettings().messages)


def measure(desk: MixedDesk) -> Costs:
    """Measure every step once, in the order of STEPS."""
    watch = Stopwatch()
    with tempfile.TemporaryDirectory(prefix="hub-bench-") as name:
        asyncio.run(_ways_in(desk, watch, Path(name)))
    bare, ruled = _Walked(desk, is_bare=True), _Walked(desk, is_bare=False)
    found = (
        watch.us("hear", desk.count), watch.us("journal", desk.count), bare.us("normalize"),
        bare.us("apply") - bare.us("normalize"), ruled.us("apply") - bare.us("apply"), ruled.us("lines"),
        ruled.us("streams"), ruled.us("twins"), ruled.checkpoint_us(),
    )  # fmt: skip
    return dict(zip(STEPS, found, strict=True))


async def _ways_in(desk: MixedDesk, watch: Stopwatch, directory: Path) -> None:
    await micro.hear(desk, watch)
    await micro.journal(desk, directory, watch)


def by_function(desk: MixedDesk) -> Table:
    """Return what apply with the shipped rules does, by function; times are a profiler's, so shares alone count."""
    engine, profile, count = desk.engine(is_bare=False), cProfile.Profile(), 0
    gc.collect()
    spare_the_collector()  # else what it takes is shown as of whoever allocates
    for number, record in enumerate(desk.records(engine.state.clock.position + 1)):
        if number < WARM_UP:
            engine.apply(record)
            continue
        count += len(record.messages)
        profile.enable()
        engine.apply(record)
        profile.disable()
    shown = Table("function", title=f"apply of {count:,} messages")
    for name in ("own", "with those it calls", "calls a message"):
        shown.add_column(name, justify="right")
    found = sorted(profile.getstats(), key=lambda each: -each.inlinetime)
    whole = sum(each.inlinetime for each in found)
    for each in found[:FUNCTIONS]:
        shares = (f"{share / whole:.1%}" for share in (each.inlinetime, each.totaltime))
        shown.add_row(_name_of(each.code), *shares, f"{each.callcount / count:.2f}")
    return shown


def _name_of(code: str | CodeType) -> str:
    if isinstance(code, str):
        return code
    return f"{Path(code.co_filename).name}:{code.co_firstlineno} {code.co_qualname}"


# ------------------------------------------------------------------------------------------------- other checkouts

_ELSEWHERE = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); import hub; del sys.path[0]; "
    "from importlib import import_module; import_module(sys.argv.pop(1)).app()"
)
"""The hub of another checkout, and the benchmarks of this one."""


def said_elsewhere(benchmark: str, path: Path, words: Sequence[str]) -> bytes:
    """Return the JSON of ``benchmark`` (a module with an ``app``) with the hub of the checkout at ``path``."""
    command = [sys.executable, "-c", _ELSEWHERE, str(path.resolve()), benchmark, "--json", *words]
    return subprocess.run(command, check=True, capture_output=True).stdout


def checkouts(against: Sequence[str]) -> dict[str, Path]:
    """Return other checkouts by name, of ``name=path`` each."""
    return {name: Path(path) for name, path in (each.split("=", 1) for each in against)}


def _turns(paths: Mapping[str, Path], runs: int, words: list[str]) -> dict[str, list[Costs]]:
    """Measure each checkout ``runs`` times, each time in a process of its own, in the other order every second time."""
    found: dict[str, list[Costs]] = {name: [] for name in paths}
    for number in range(runs):
        for name in list(paths)[:: -1 if number % 2 else 1]:
            said = said_elsewhere("benchmarks.mixed", paths[name], ["--runs", "1", *words])
            found[name] += msgspec.json.decode(said, type=dict[str, list[Costs]])["now"]
    return found


def table(found: Mapping[str, list[Costs]]) -> Table:
    """Return every step as a row: the median of each checkout, and the last one over the first."""
    shown = Table("CPU us a message", "")
    for name in found:
        shown.add_column(name, justify="right")
    if len(found) > 1:
        shown.add_column("ratio of each turn", justify="right")
    for step, what in STEPS.items():
        shown.add_row(step, what, *_cells([[costs[step] for costs in each] for each in found.values()]))
    shown.add_section()
    shown.add_row("in all", "", *_cells([[sum(costs.values()) for costs in each] for each in found.values()]))
    return shown


def _cells(columns: Sequence[Sequence[float]]) -> Iterator[str]:
    yield from (f"{median(column):.2f}" for column in columns)
    if len(columns) > 1:
        yield " ".join(f"{last / first:.2f}" for first, last in zip(columns[0], columns[-1], strict=True))


app = typer.Typer(add_completion=False)


@app.command()
def main(  # noqa: PLR0913 -- the options of a command
    *,
    messages: int = 60_000,
    runs: int = 3,
    family: Annotated[str, typer.Option(help="Only what smoke, door, lift, plates, leak, gas or air says.")] = "",
    against: Annotated[list[str] | None, typer.Option(help="name=path of another checkout, in turns.")] = None,
    functions: Annotated[bool, typer.Option("--functions", help="What apply does, by function.")] = False,
    json: bool = False,
) -> None:
    """Say where the microseconds of a message of the mixture go, by step."""
    configure_logging(LogLevel.WARNING, sys.stderr)
    console = Console(width=None if sys.stdout.isatty() else 140)
    desk = MixedDesk(messages, family)
    if desk.count < LEAST:
        told = f"{desk.count:,} messages{family and f' of {family}'}: of less than {LEAST:,} nothing can be said"
        raise typer.BadParameter(told, param_hint="--messages")
    if functions:
        console.print(by_function(desk))
        return
    if against:
        found = _turns(
            checkouts(against) | {"now": Path.cwd()}, runs, ["--messages", str(messages), "--family", family]
        )
    else:
        found = {"now": [measure(desk) for _ in range(runs)]}
    if json:
        typer.echo(msgspec.json.encode(found))
    else:
        console.print(table(found))


if __name__ == "__main__":
    app()
