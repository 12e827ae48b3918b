"""What forwarder and notifier share on the command line: a process at work, its page, lines of its ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import structlog
import typer
from aiohttp import web

from hub.clock import Clock
from hub.config.settings import HttpSettings
from hub.errors import ConfigError
from hub.metrics import Metrics
from hub.outward.ledger import Ledger
from hub.outward.parcel import Outcome, Parcel, State
from hub.outward.process import OutwardProcess
from hub.outward.standing import Line, read_counts
from hub.registry.author import os_user
from hub.ui.desk.desk import Desk
from hub.ui.pages.http import serve
from hub.ui.pages.outward import outward_pages
from hub.ui.printing import say_json, say_table
from hub.ui.words import SHOWN_ID, moment

LOOK_SECONDS = 60.0

log = structlog.get_logger(__name__)

Numbers = Annotated[list[int] | None, typer.Argument(metavar="[NUMBER]…", help="As listed.")]
Every = Annotated[bool, typer.Option("--all", help="All that are dead.")]
WhyDropped = Annotated[str, typer.Option("--reason", help="Why nobody is to be told any more: kept with each.")]
HttpPort = Annotated[
    int | None, typer.Option(min=1, max=65535, help="Where health and metrics are read; else as the settings say.")
]


def http_of(settings: HttpSettings | None, port: int | None) -> HttpSettings | None:
    """Return where the page is shown; None: nowhere."""
    if port is None:
        return settings
    return (settings or HttpSettings()).model_copy(update={"port": port})


async def work(
    process: OutwardProcess,
    clock: Clock,
    *looks: Callable[[], Awaitable[None]],
    over: asyncio.Event,
    http: HttpSettings | None,
    metrics: Metrics | None = None,
) -> None:
    """Let an open process work until it is ``over``, show its page, and look at what may have changed each minute."""
    async with AsyncExitStack() as stack:
        if http is not None:
            await _show(stack, outward_pages(process, clock, metrics or Metrics()), http)
        group = await stack.enter_async_context(asyncio.TaskGroup())
        looking = group.create_task(_each_minute(clock, looks), name="hub.outward.looks")
        ending = group.create_task(_end(process, over), name="hub.outward.end")
        await process.run()
        looking.cancel()
        ending.cancel()


async def _end(process: OutwardProcess, over: asyncio.Event) -> None:
    await over.wait()
    process.stop()


async def _show(stack: AsyncExitStack, pages: web.Application, http: HttpSettings) -> None:
    """Show pages where that can be: what people must be told does not wait for a port."""
    try:
        await stack.enter_async_context(serve(pages, http))
    except ConfigError as error:
        log.error("page_not_shown", reason=str(error))  # noqa: TRY400 -- the reason is all


async def _each_minute(clock: Clock, looks: Sequence[Callable[[], Awaitable[None]]]) -> None:
    while True:
        await clock.sleep(LOOK_SECONDS)
        for look in looks:
            await look()


def say_lines(lines: Sequence[Line], counts: dict[str, int], *, as_json: bool) -> None:
    """Print lines of a ledger and what it has counted."""
    if as_json:
        say_json({"deliveries": [asdict(line) for line in lines], "counts": counts})
        return
    say_table(
        ("number", "time", "to", "event", "id", "state", "tries", "answer", "entry"),
        (
            (
                str(line.number),
                moment(line.made_at),
                line.channel,
                line.name,
                line.event[:SHOWN_ID],
                line.state,
                str(line.attempts),
                line.answer,
                line.entry.rpartition(" ")[2],
            )
            for line in lines
        ),
        empty="no deliveries",
    )
    typer.echo("  ".join(f"{name} {count:,}" for name, count in counts.items()))


async def let_again(desk: Desk, directory: Path, numbers: Sequence[int], *, every: bool) -> int:
    """Let dead parcels of a ledger wait again; ConfigError ``which_deliveries``, ``delivery_not_dead``."""
    return await _each_dead(desk, directory, numbers, every, Ledger.retry)


async def give_up(desk: Desk, directory: Path, numbers: Sequence[int], *, every: bool, why: str) -> int:
    """Drop dead parcels of a ledger, as ``why`` says; ConfigError as of :func:`let_again`, or ``reason_missing``."""
    if not why.strip():
        raise ConfigError("reason_missing", "nobody is told of these any more: why?", hint="--reason TEXT")
    by = f"{os_user()}: {why.strip()}"
    return await _each_dead(desk, directory, numbers, every, lambda ledger, chosen: ledger.drop(chosen, by))


async def _each_dead(
    desk: Desk,
    directory: Path,
    numbers: Sequence[int],
    every: bool,  # noqa: FBT001 -- our own, in the order of the command line
    does: Callable[[Ledger, Sequence[int] | None], Awaitable[int]],
) -> int:
    numbers = sorted(set(numbers))
    if bool(numbers) is every:
        raise ConfigError("which_deliveries", "which ones?", hint="numbers as listed, or --all")
    read_counts(directory)  # asking must not make one
    async with Ledger(directory, desk.clock) as ledger:
        done = await does(ledger, None if every else numbers)
    if done < len(numbers):
        hint = "--state dead lists them; others are sent again by --from ENTRY"
        raise ConfigError("delivery_not_dead", f"{len(numbers) - done} of these are not dead", hint=hint)
    return done


def say_outcome(parcel: Parcel, outcome: Outcome) -> None:
    """Print what became of an attempt, for programs."""
    found = {**asdict(outcome), "channel": parcel.channel, "event": parcel.event, "name": parcel.name}
    say_json({**found, "entry": parcel.entry})


def log_outcome(parcel: Parcel, outcome: Outcome) -> None:
    """Log an end."""
    if outcome.state is not State.WAITING:
        say = log.info if outcome.state is State.DELIVERED else log.error
        say(f"event_{outcome.state}", id=parcel.event, name=parcel.name, answer=outcome.answer)
