"""``python -m benchmarks.beside [--json]``: the same faults, questions and e-bikes for the hub and for others here."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from benchmarks import quiz, reaction, report
from benchmarks.quiz import Answer
from benchmarks.reaction import Reaction
from benchmarks.trial import FAULTS, Outcome, Plan, trial
from benchmarks.ways import WAYS, Way
from hub.ui.printing import say_json
from hub.ui.process.logs import LogLevel, configure_logging

PLAN = Plan()
REACTION = reaction.Plan()
PARTS = ("losses", "answers", "reaction")
HUB = "hub"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

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
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    reactions: dict[str, Reaction] = field(default_factory=dict)

    @property
    def is_hub_wrong(self) -> bool:
        """Whether the hub lost or doubled anything, gave a wrong answer, or let a door close."""
        wrong = any(row.outcome.lost or row.outcome.doubled for row in self.rows if row.way == HUB)
        wrong |= any(not each.is_right for each in self.answers.get(HUB, ()))
        reacted = self.reactions.get(HUB)
        return wrong or (reacted is not None and reacted.held < reacted.causes)

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
            "answers": {way: [asdict(each) for each in found] for way, found in self.answers.items()},
            "reactions": {way: asdict(found) for way, found in self.reactions.items()},
        }

    def show(self, console: Console) -> None:
        """Print the tables, and below them how each way acknowledges."""
        plan = self.plan
        title = f"{plan.rate:,} a second for {plan.seconds} s, QoS 1, {plan.devices:,} devices; counted in InfluxDB"
        table = Table("way", "fault", title=title, caption=self.machine)
        for name in ("PUBACKed", "lost", "doubled", "behind s"):
            table.add_column(name, justify="right")
        for row in self.rows:
            found = row.outcome
            counts = (f"{count:,}" for count in (found.pubacked, found.lost, found.doubled))
            table.add_row(row.way, row.fault, *counts, f"{found.behind_seconds:.1f}")
        for each in (table, self._answered(), self._reacted()):
            if each.row_count:
                console.print(each)
        for way in WAYS:
            if way.name in self.versions:
                console.print(f"{way.name} ({self.versions[way.name]}): {way.note}")
        for line in self.absent:
            console.print(line)

    def _answered(self) -> Table:
        table = Table("asked", *self.answers, title="What becomes of it; (!) is not what a community needs")
        words = {way: {each.question: each for each in found} for way, found in self.answers.items()}
        for question in dict.fromkeys(question for found in words.values() for question in found):
            table.add_row(question, *(_word(found.get(question)) for found in words.values()))
        return table

    def _reacted(self) -> Table:
        title = f"An e-bike comes into a car: until its door is held, beside {REACTION.rate:,} messages a second"
        table = Table("way", "e-bikes", "held", "within 100 ms", "p50 ms", "p99 ms", title=title)
        for way, found in self.reactions.items():
            counts = (str(count) for count in (found.causes, found.held, found.in_time))
            table.add_row(way, *counts, f"{found.p50_ms:.1f}", f"{found.p99_ms:.1f}")
        return table


def _word(answer: Answer | None) -> str:
    if answer is None:
        return "gives no commands"
    return answer.found if answer.is_right else f"{answer.found} (!)"


Trial = Callable[[Found, Path], Awaitable[None]]
"""Try one thing on one way, and add what it found."""


def trials(way: Way, parts: Iterable[str], faults: Iterable[str], plan: Plan) -> Iterator[tuple[str, Trial]]:
    """Yield what is tried on ``way``, each under its name."""

    async def lose(fault: str, found: Found, directory: Path) -> None:
        outcome = await trial(way.put, FAULTS[fault], plan, directory)
        found.rows.append(Row(way=way.name, fault=fault, outcome=outcome))

    async def answer(found: Found, directory: Path) -> None:
        put = way.acts or way.put
        found.answers[way.name] = await quiz.ask(put, directory, acts=way.acts is not None, tell=way.tell)

    async def react(found: Found, directory: Path) -> None:
        if way.acts is not None:
            found.reactions[way.name] = await reaction.react(way.acts, REACTION, directory)

    for part in parts:
        match part:
            case "losses":
                yield from ((fault, partial(lose, fault)) for fault in faults)
            case "answers":
                yield part, answer
            case _:
                yield part, react


async def run(found: Found, tried: Sequence[tuple[str, Trial]], console: Console) -> None:
    """Try it all, one after the other; a bar on ``console`` meanwhile."""
    columns = (TextColumn("{task.description:<36}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with tempfile.TemporaryDirectory(prefix="hub-beside-") as name, Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=len(tried))
        for what, attempt in tried:
            progress.update(task, description=what)
            await attempt(found, Path(name))
            progress.advance(task)


async def _beside(ways: Sequence[Way], parts: Sequence[str], faults: Sequence[str], plan: Plan) -> Found:
    here = [way for way in ways if way.rival is None or way.rival.find()]
    found = Found(
        plan=plan,
        machine=report.machine(),
        versions={way.name: await way.versions() for way in here},
        absent=[way.rival.absent for way in ways if way.rival is not None and way not in here],
    )
    tried = [(f"{way.name}, {what}", each) for way in here for what, each in trials(way, parts, faults, plan)]
    await run(found, tried, Console(stderr=True))
    return found


@app.command()
def main(
    *,
    only: Annotated[str, typer.Option(help="Some of the ways, with commas between.")] = ",".join(_NAMES),
    parts: Annotated[str, typer.Option(help="Some of what is tried, with commas between.")] = ",".join(PARTS),
    faults: Annotated[str, typer.Option(help="Some of the faults, with commas between.")] = ",".join(FAULTS),
    rate: Annotated[int, typer.Option(min=10, help="Messages a second, where something may be lost.")] = PLAN.rate,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Let the same happen to every way that is found here. Exit code 1 when the hub got anything wrong."""
    configure_logging(LogLevel.ERROR, sys.stderr)
    names, tried = _chosen(only, _NAMES, "--only"), _chosen(parts, PARTS, "--parts")
    ways = [way for way in WAYS if way.name in names]
    found = asyncio.run(_beside(ways, tried, _chosen(faults, FAULTS, "--faults"), replace(PLAN, rate=rate)))
    if as_json:
        say_json(found.document())
    else:
        found.show(Console(width=None if sys.stdout.isatty() else 150, highlight=False))
    if found.is_hub_wrong:
        raise typer.Exit(1)


def _chosen(said: str, known: Iterable[str], option: str) -> list[str]:
    names = [name.strip() for name in said.split(",")]
    if unknown := set(names).difference(known):
        raise typer.BadParameter(unknown.pop(), param_hint=option)
    return names


if __name__ == "__main__":
    app()
