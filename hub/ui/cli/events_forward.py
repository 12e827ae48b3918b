"""``hub events forward`` and ``deliveries``: events to a webhook, and what became of each."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import structlog
import typer

from hub.clock import Clock
from hub.config import Settings
from hub.durations import nanoseconds
from hub.errors import ConfigError
from hub.model import Severity
from hub.outward.cloud_event import CHANNEL, Packing
from hub.outward.ledger import Ledger, Line, read_counts, read_lines
from hub.outward.parcel import UNMASKED, Outcome, Parcel, State
from hub.outward.process import Errand, OutwardProcess
from hub.outward.webhook import Webhook, host_of, own_secret, read_keys
from hub.sinks.redis_link import RedisAddress
from hub.sinks.streams import DOMAINS, domain_key
from hub.ui.cli.desk import AsJson, Desk, as_duration, desk_of
from hub.ui.cli.personal import Reason, Unmask, learn_kinds, veil_of
from hub.ui.cli.run import on_signals
from hub.ui.printing import say_json, say_table
from hub.ui.words import moment
from hub.veil import Veil

FOLDER = "forward"
SHOWN_ID = 8
LOOK_SECONDS = 60.0
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")
_ENTRY = re.compile(r"(?:hub:events:\w+ )?(\d{1,15})(?:-\d+)?")

log = structlog.get_logger(__name__)

Name = Annotated[str, typer.Argument(help="Whom it is for: its place in the streams and its ledger have this name.")]

deliveries = typer.Typer(help="What was forwarded: delivered, waiting, or dead, and why.")


def forward(  # noqa: PLR0913 -- each is a word of the command line
    context: typer.Context,
    name: Name,
    *,
    webhook: Annotated[str, typer.Option(help="http:// or https:// URL that gets one POST for each event.")],
    domain: Annotated[
        list[str] | None, typer.Option("--domain", "--stream", help=f"Only these: {', '.join(DOMAINS)}.")
    ] = None,
    min_severity: Annotated[Severity, typer.Option(help="Only this and worse.")] = Severity.INFO,
    begin: Annotated[
        str,
        typer.Option(
            "--from",
            help="now, beginning, a span (2h), or the entry of a delivery (1772366400000-0): sent again from there on."
            " Without it: where it was, at first now.",
        ),
    ] = "",
    secret_file: Annotated[
        Path | None, typer.Option(help="whsec_… that signs, one a line; else one of our own is made.")
    ] = None,
    unmask: Unmask = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Forward events to a webhook, signed, each at least once, until SIGTERM or Ctrl-C.

    CloudEvents 1.0 in structured mode; ids, headers and signature as Standard Webhooks 1.0.0 says. What is personal is
    masked, unless you say why not.
    """
    desk = desk_of(context)
    directory = directory_of(desk.settings, name)
    host = host_of(webhook)
    since, anew = begin_of(desk, begin)
    secret = secret_file or own_secret(directory / "secret")
    keys = read_keys(secret)
    veil = veil_of(desk, "event", f"forward/{name}/{host}", unmask=unmask, reason=reason)
    mark = UNMASKED if veil.is_lifted else ""
    sender = Webhook(webhook, keys, desk.clock)
    errand = Errand(
        directory=directory,
        address=RedisAddress(url=desk.settings.redis.url.get_secret_value()),
        streams=[domain_key(each) for each in _domains(domain)],
        packer=Packing(name, min_severity, veil.told, desk.clock, mark),
        senders={CHANNEL + each: sender.send for each in {"", mark}},
        tell=say_outcome if as_json else log_outcome,
        since=since,
        anew=anew,
    )
    log.info("forwarding", to=host, secret_file=str(secret))
    asyncio.run(_forward(desk, errand, sender, veil))


@deliveries.command("list")
def list_deliveries(
    context: typer.Context,
    name: Name,
    *,
    state: Annotated[State | None, typer.Option(help="Only these.")] = None,
    limit: Annotated[int, typer.Option(min=1)] = 100,
    as_json: AsJson = False,
) -> None:
    """List the newest deliveries, the oldest of them first: what is dead says what the receiver said."""
    directory = directory_of(desk_of(context).settings, name)
    say_lines(read_lines(directory, state=state, limit=limit), read_counts(directory), as_json=as_json)


@deliveries.command()
def retry(
    context: typer.Context,
    name: Name,
    numbers: Annotated[list[int] | None, typer.Argument(metavar="[NUMBER]…", help="As listed.")] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="All that are dead.")] = False,
    as_json: AsJson = False,
) -> None:
    """Let dead deliveries wait again, as they were, with the same ids; the forwarder takes them up within seconds."""
    desk = desk_of(context)
    retried = asyncio.run(let_again(desk, directory_of(desk.settings, name), numbers or (), every=every))
    say_json({"retried": retried}) if as_json else typer.echo(f"{retried} wait again")


def directory_of(settings: Settings, name: str) -> Path:
    """Return where a forwarder keeps its ledger; ConfigError ``name_invalid``."""
    if not _NAME.fullmatch(name):
        raise ConfigError("name_invalid", f"{name!r} is no name", hint="letters, digits, _ . - and no . in front")
    return settings.data_dir / FOLDER / name


def begin_of(desk: Desk, text: str) -> tuple[int | None, bool]:
    """Return from which ms on is read (None: from where it was), and whether where it was counts no more.

    An entry means its whole millisecond, in all streams: rather one twice than one too few. ConfigError.
    """
    if text in {"", "now"}:
        return None, text == "now"
    if text == "beginning":
        return 0, False
    if found := _ENTRY.fullmatch(text):
        return int(found[1]), False
    try:
        return (desk.clock.wall_ns() - nanoseconds(as_duration(text))) // 1_000_000, False
    except ConfigError as error:
        hint = "now, beginning, a span such as 2h, or an entry as `hub events deliveries list` shows it"
        raise ConfigError("cursor_invalid", f"{text!r} is nowhere to begin", hint=hint) from error


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
    if bool(numbers) is every:
        raise ConfigError("which_deliveries", "which ones?", hint="numbers as listed, or --all")
    read_counts(directory)  # asking must not make one
    async with Ledger(directory, desk.clock) as ledger:
        retried = await ledger.retry(None if every else numbers)
    if retried < len(numbers):
        hint = "--state dead lists them; others are sent again by --from ENTRY"
        raise ConfigError("delivery_not_dead", f"{len(numbers) - retried} of these are not dead", hint=hint)
    return retried


async def each_minute(clock: Clock, *looks: Callable[[], Awaitable[None]]) -> None:
    """Look again at what may have changed beside a process, until cancelled."""
    while True:
        await clock.sleep(LOOK_SECONDS)
        for look in looks:
            await look()


def say_outcome(parcel: Parcel, outcome: Outcome) -> None:
    """Print what became of an attempt, for programs."""
    found = {**asdict(outcome), "channel": parcel.channel, "event": parcel.event, "name": parcel.name}
    say_json({**found, "entry": parcel.entry})


def log_outcome(parcel: Parcel, outcome: Outcome) -> None:
    """Log an end."""
    if outcome.state is not State.WAITING:
        say = log.info if outcome.state is State.DELIVERED else log.error
        say(f"event_{outcome.state}", id=parcel.event, name=parcel.name, answer=outcome.answer)


def _domains(chosen: Sequence[str] | None) -> Sequence[str]:
    wrong = [each for each in chosen or () if each not in DOMAINS]
    if wrong:
        raise ConfigError("domain_unknown", f"there is no domain {wrong[0]!r}", hint=f"there are {', '.join(DOMAINS)}")
    return chosen or DOMAINS


async def _forward(desk: Desk, errand: Errand, sender: Webhook, veil: Veil) -> None:
    async with sender, OutwardProcess(errand, desk.clock) as process, asyncio.TaskGroup() as group:
        looks = each_minute(desk.clock, partial(learn_kinds, desk, veil))
        looking = group.create_task(looks, name="hub.forward.looks")
        with on_signals(process.stop):
            await process.run()
        looking.cancel()
