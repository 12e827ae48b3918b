"""``python -m benchmarks.beside [--json]``: the same faults for the hub and for others that are here."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from importlib.metadata import version as installed
from itertools import product
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from benchmarks import durable, home_assistant, nodered, report, telegraf, tutorial
from benchmarks.hub_process import HubProcess, Setup
from benchmarks.program import Call, Program, Rival, version
from benchmarks.stage import Stage
from benchmarks.trial import FAULTS, Contender, Counted, Outcome, Plan, Put, trial
from hub import __version__
from hub.ui.printing import say_json
from hub.ui.process.logs import LogLevel, configure_logging

PLAN = Plan()

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How messages come into the store: which versions, and what is to be known; ``put`` puts it on a stage.

    It is not here where its ``rival`` is not found.
    """

    name: str
    note: str
    versions: Callable[[], Awaitable[str]]
    put: Put
    rival: Rival | None = None


async def _hub(stage: Stage, speech: Counted) -> Contender:
    hub = HubProcess(stage, speech, Setup())
    await hub.register()
    return hub


async def _tutorial(stage: Stage, _speech: Counted) -> Contender:
    order = tutorial.Order(mqtt_port=stage.mosquitto.port, influx_url=stage.influx.url, redis_url=stage.redis_url)
    command = (sys.executable, "-m", durable.__name__, msgspec.json.encode(order).decode())
    return Program(stage, Call(client=durable.CLIENT, command=command, environment={}))


async def _telegraf(stage: Stage, _speech: Counted) -> Contender:
    return telegraf.program(telegraf.RIVAL.find() or "", stage, telegraf.MEASURED)


async def _nodered(stage: Stage, _speech: Counted) -> Contender:
    return nodered.program(nodered.RIVAL.find() or "", stage, nodered.MEASURED)


async def _home_assistant(stage: Stage, _speech: Counted) -> Contender:
    return home_assistant.program(home_assistant.RIVAL.find() or "", stage)


async def _hub_version() -> str:
    return f"hub {__version__}"


async def _tutorial_versions() -> str:
    return ", ".join(f"{name} {installed(name)}" for name in ("aiomqtt", "influxdb-client"))


WAYS = (
    Way(name="hub", put=_hub, versions=_hub_version, note="acknowledges what is journaled, on disk"),
    Way(
        name="telegraf", put=_telegraf, versions=partial(version, "telegraf", "--version"), rival=telegraf.RIVAL,
        note="acknowledges what the store has confirmed; writes points and does nothing else",
    ),
    Way(
        name="node-red", put=_nodered, versions=partial(version, "node-red", "--version"), rival=nodered.RIVAL,
        note="acknowledges on receipt and cannot otherwise: what waits for a write is lost with the process, by design",
    ),
    Way(
        name="home-assistant", put=_home_assistant, versions=partial(version, "hass", "--version"),
        rival=home_assistant.RIVAL,
        note="acknowledges on receipt, begins each connection with a clean session and cannot otherwise: what is said"
        " while it is away, or starts, is not for it, and what waits for a write is lost with the process, by design",
    ),
    Way(
        name="tutorial", put=_tutorial, versions=_tutorial_versions,
        note="acknowledges on receipt: what waits in its queue and its batch is lost with the process, by design",
    ),
)  # fmt: skip
_NAMES = [way.name for way in WAYS]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One fault of one way."""

    way: str
    fault: str
    outcome: Outcome


@dataclass(slots=True, kw_only=True)
class Found:
    """All rows, and with which versions."""

    plan: Plan
    machine: str
    versions: Mapping[str, str]
    absent: Sequence[str]
    rows: list[Row] = field(default_factory=list)

    def document(self) -> dict[str, object]:
        """Return everything, for programs."""
        rows = [{"way": row.way, "fault": row.fault} | asdict(row.outcome) for row in self.rows]
        return {
            "machine": self.machine,
            "plan": asdict(self.plan),
            "versions": dict(self.versions),
            "notes": {way.name: way.note for way in WAYS},
            "absent": list(self.absent),
            "rows": rows,
        }

    def show(self, console: Console) -> None:
        """Print the table, and below it how each way acknowledges."""
        plan = self.plan
        title = f"{plan.rate:,} a second for {plan.seconds} s, QoS 1, {plan.devices:,} devices; counted in InfluxDB"
        table = Table("way", "fault", title=title, caption=self.machine)
        for name in ("PUBACKed", "lost", "doubled", "behind s"):
            table.add_column(name, justify="right")
        for row in self.rows:
            found = row.outcome
            counts = (f"{count:,}" for count in (found.pubacked, found.lost, found.doubled))
            table.add_row(row.way, row.fault, *counts, f"{found.behind_seconds:.1f}")
        console.print(table)
        for way in WAYS:
            if way.name in self.versions:
                console.print(f"{way.name} ({self.versions[way.name]}): {way.note}")
        for line in self.absent:
            console.print(line)


async def run(ways: Sequence[Way], faults: Sequence[str], plan: Plan, console: Console) -> Found:
    """Try the faults on every way that is here, one after the other; a bar on ``console`` meanwhile."""
    here = [way for way in ways if way.rival is None or way.rival.find()]
    found = Found(
        plan=plan,
        machine=report.machine(),
        versions={way.name: await way.versions() for way in here},
        absent=[way.rival.absent for way in ways if way.rival is not None and way not in here],
    )
    columns = (TextColumn("{task.description:<36}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with tempfile.TemporaryDirectory(prefix="hub-beside-") as name, Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=len(here) * len(faults))
        for way, fault in product(here, faults):
            progress.update(task, description=f"{way.name}, {fault}")
            outcome = await trial(way.put, FAULTS[fault], plan, Path(name))
            found.rows.append(Row(way=way.name, fault=fault, outcome=outcome))
            progress.advance(task)
    return found


@app.command()
def main(
    *,
    only: Annotated[str, typer.Option(help="Some of the ways, with commas between.")] = ",".join(_NAMES),
    faults: Annotated[str, typer.Option(help="Some of the faults, with commas between.")] = ",".join(FAULTS),
    rate: Annotated[int, typer.Option(min=10, help="Messages a second.")] = PLAN.rate,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Let the same faults happen to every way that is found here. Exit code 1 when the hub lost or doubled anything."""
    configure_logging(LogLevel.ERROR, sys.stderr)
    ways, names = _chosen(only, _NAMES, "--only"), _chosen(faults, FAULTS, "--faults")
    chosen = [way for way in WAYS if way.name in ways]
    found = asyncio.run(run(chosen, names, replace(PLAN, rate=rate), Console(stderr=True)))
    if as_json:
        say_json(found.document())
    else:
        found.show(Console(width=None if sys.stdout.isatty() else 150, highlight=False))
    if any(row.outcome.lost or row.outcome.doubled for row in found.rows if row.way == "hub"):
        raise typer.Exit(1)


def _chosen(said: str, known: Iterable[str], option: str) -> list[str]:
    names = [name.strip() for name in said.split(",")]
    if unknown := set(names).difference(known):
        raise typer.BadParameter(unknown.pop(), param_hint=option)
    return names


if __name__ == "__main__":
    app()
