"""``hub events forward`` and ``deliveries``: events to a webhook, and what became of each."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, NamedTuple

import structlog
import typer

from hub.config.settings import ForwardSettings, HttpSettings, Settings
from hub.durations import nanoseconds
from hub.errors import ConfigError
from hub.model.values import Severity
from hub.outward.cloud_event import CHANNEL, Packing
from hub.outward.parcel import UNMASKED, State
from hub.outward.process import Errand, OutwardProcess
from hub.outward.standing import read_counts, read_lines
from hub.outward.webhook import Webhook, host_of, is_in_the_clear, own_secret, read_keys
from hub.sinks.redis_link import RedisAddress
from hub.sinks.streams import DOMAINS, domain_key
from hub.ui.desk.desk import AsJson, Desk, as_duration, desk_of
from hub.ui.desk.outgoing import (
    Every,
    HttpPort,
    Numbers,
    WhyDropped,
    give_up,
    http_of,
    let_again,
    log_outcome,
    say_lines,
    say_outcome,
    work,
)
from hub.ui.desk.personal import Reason, Unmask, learn_kinds, veil_of
from hub.ui.printing import say_done
from hub.ui.process.signals import on_signals
from hub.veil import Veil

FOLDER = "forward"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")
_ENTRY = re.compile(r"(?:hub:events:\w+ )?(\d{1,15})(?:-\d+)?")


class Receiver(NamedTuple):
    """Who is sent to, and the file with the secrets that sign."""

    sender: Webhook
    secret: Path


log = structlog.get_logger(__name__)

Name = Annotated[str, typer.Argument(help="Whom it is for: its place in the streams and its ledger have this name.")]

deliveries = typer.Typer(help="What was forwarded: delivered, waiting, or dead, and why.")


def forward(
    context: typer.Context,
    name: Name,
    *,
    webhook: Annotated[
        str, typer.Option(help="http:// or https:// URL that gets one POST for each event; else forward.NAME.webhook.")
    ] = "",
    domain: Annotated[
        list[str] | None, typer.Option("--domain", "--stream", help=f"Only these: {', '.join(DOMAINS)}.")
    ] = None,
    min_severity: Annotated[Severity | None, typer.Option(help="Only this and worse.", show_default="info")] = None,
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
    http_port: HttpPort = None,
    unmask: Unmask = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Forward events to a webhook, signed, each at least once, until SIGTERM or Ctrl-C.

    CloudEvents 1.0 in structured mode; ids, headers and signature as Standard Webhooks 1.0.0 says. What is personal is
    masked, unless you say why not. What the command line does not say, the settings forward.NAME do.
    """
    desk = desk_of(context)
    directory = directory_of(desk.settings, name)
    told = {"domains": domain, "min_severity": min_severity, "secret_file": secret_file}
    settings = (desk.settings.forward.get(name) or ForwardSettings()).model_copy(
        update={key: value for key, value in told.items() if value is not None}
    )
    url = webhook or _webhook_of(settings, name)
    host = host_of(url)
    since, anew = begin_of(desk, begin)
    secret = settings.secret_file or own_secret(directory / "secret")
    keys = read_keys(secret)
    veil = veil_of(desk, "event", f"forward/{name}/{host}", unmask=unmask, reason=reason)
    mark = UNMASKED if veil.is_lifted else ""
    sender = Webhook(url, keys, desk.clock)
    errand = Errand(
        directory=directory,
        address=RedisAddress(url=desk.settings.redis.url.get_secret_value()),
        streams=[domain_key(each) for each in domains_of(settings.domains)],
        packer=Packing(name, settings.min_severity, veil.told, desk.clock, mark),
        senders={CHANNEL + each: sender.send for each in {"", mark}},
        tell=say_outcome if as_json else log_outcome,
        since=since,
        anew=anew,
    )
    log.info("forwarding", to=host, secret_file=str(secret))
    if is_in_the_clear(url):
        log.warning("webhook_in_the_clear", to=host, hint="https://: on the way anybody can read what it is told")
    asyncio.run(_forward(desk, errand, Receiver(sender, secret), veil, http_of(settings.http, http_port)))


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
    context: typer.Context, name: Name, numbers: Numbers = None, *, every: Every = False, as_json: AsJson = False
) -> None:
    """Let dead deliveries wait again, as they were, with the same ids; the forwarder takes them up within seconds."""
    desk = desk_of(context)
    retried = asyncio.run(let_again(desk, directory_of(desk.settings, name), numbers or (), every=every))
    say_done(f"{retried} wait again", {"retried": retried}, as_json=as_json)


@deliveries.command()
def drop(
    context: typer.Context,
    name: Name,
    numbers: Numbers = None,
    *,
    every: Every = False,
    reason: WhyDropped = "",
    as_json: AsJson = False,
) -> None:
    """Send dead deliveries never: they are counted as dropped, say why, and are forgotten as what was delivered is."""
    desk = desk_of(context)
    where = directory_of(desk.settings, name)
    dropped = asyncio.run(give_up(desk, where, numbers or (), every=every, why=reason))
    say_done(f"{dropped} dropped", {"dropped": dropped}, as_json=as_json)


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


def _webhook_of(settings: ForwardSettings, name: str) -> str:
    url = settings.webhook.get_secret_value()
    if not url:
        key = f'"{name}"' if "." in name else name
        hint = f"--webhook URL, or [forward.{key}] webhook = … in secrets.toml"
        raise ConfigError("webhook_missing", f"nobody has said where {name!r} is", hint=hint)
    return url


async def learn_keys(sender: Webhook, secret: Path) -> None:
    """Sign with what the file of secrets holds by now; while nobody can read it, with what it held."""
    try:
        sender.keys = await asyncio.to_thread(read_keys, secret)
    except ConfigError as error:
        log.warning("secret_unusable", reason=str(error))


async def _forward(desk: Desk, errand: Errand, at: Receiver, veil: Veil, http: HttpSettings | None) -> None:
    over = asyncio.Event()
    async with at.sender, OutwardProcess(errand, desk.clock) as process:
        looks = (partial(learn_kinds, desk, veil), partial(learn_keys, at.sender, at.secret))
        with on_signals(over.set):
            await work(process, desk.clock, *looks, over=over, http=http)


def domains_of(chosen: Sequence[str] | None) -> Sequence[str]:
    """Return the domains that were chosen, else all; ConfigError ``domain_unknown``: of none there is no event."""
    wrong = [each for each in chosen or () if each not in DOMAINS]
    if wrong:
        raise ConfigError("domain_unknown", f"there is no domain {wrong[0]!r}", hint=f"there are {', '.join(DOMAINS)}")
    return chosen or DOMAINS
