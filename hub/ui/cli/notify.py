"""``hub notify``: messages to people about alarms, by whatever service they read; and what became of each."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Annotated, Any, NamedTuple

import msgspec
import structlog
import typer

from hub.config.settings import HttpSettings
from hub.durations import write_duration
from hub.errors import ConfigError, HubError, UnavailableError
from hub.journal.neighbours import journal_path
from hub.metrics import Metrics
from hub.model.effects import Event
from hub.outward.courier import Patience, Tell
from hub.outward.messenger import Messenger, recipients
from hub.outward.notices import Notices
from hub.outward.parcel import UNMASKED, Parcel, State, Verdict
from hub.outward.process import Errand, OutwardProcess
from hub.outward.standing import FILE, read_counts, read_lines
from hub.outward.wishes import Channel, Route, Wishes, apart, read_wishes, share_of
from hub.outward.wording import Notice
from hub.rules.calendars import WEEK, Window
from hub.sinks.redis_link import RedisAddress
from hub.sinks.streams import DOMAINS, domain_key
from hub.ui.atlas import Atlas
from hub.ui.cli import notify_dead
from hub.ui.cli.notify_dead import directory_of
from hub.ui.desk.desk import EXIT_FAILED, AsJson, Desk, desk_of
from hub.ui.desk.outgoing import HttpPort, http_of, log_outcome, say_lines, say_outcome, work
from hub.ui.desk.personal import Reason, Unmask, learn_kinds, veil_of
from hub.ui.printing import say_json, say_listing, say_table
from hub.ui.process.signals import on_signals
from hub.ui.rules.escalations import untold_steps
from hub.veil import Veil

PATIENCE = Patience(pauses=(1, 2, 5, 10, 30, 60), give_up_after=timedelta(hours=24), side_by_side=4)
"""A message of yesterday is none."""
ROUTES = "hub/outward/README.md says what channels and routes look like"

log = structlog.get_logger(__name__)

app = typer.Typer()
app.command("retry")(notify_dead.retry)
app.command("drop")(notify_dead.drop)


class RegistryGuide:
    """Places as the registry had them when it could last be read; before that, names as events have them.

    Until then nobody knows where anything lies: rather all are told of it whose places it may lie in.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._atlas = Atlas()
        self._is_read = False

    async def look(self) -> None:
        """Read the registry again."""
        try:
            self._atlas, self._is_read = await Atlas.read(self._desk), True
        except HubError as error:
            log.debug("places_as_before", reason=str(error))

    def within(self, event: Event) -> Sequence[str] | None:
        return self._atlas.within(event) if self._is_read else None

    def words(self, event: Event) -> str:
        return self._atlas.place(event)

    def zone(self, site: str) -> str | None:
        return self._atlas.zone(site)


class Means(NamedTuple):
    """What a notifier works with, whatever people wish."""

    desk: Desk
    veil: Veil
    http: HttpSettings | None
    tell: Tell


@app.command()
def run(
    context: typer.Context,
    *,
    http_port: HttpPort = None,
    unmask: Unmask = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Send messages as routes say, each at least once, until SIGTERM or Ctrl-C; at first about what comes from now on.

    What people wish otherwise it takes up within a minute. What is personal is masked, unless you say why not.
    """
    desk = desk_of(context)
    wishes = _whole(wishes_of(desk))
    veil = veil_of(desk, "event", "notify", unmask=unmask, reason=reason)
    http = http_of(desk.settings.notify.http, http_port)
    asyncio.run(_run(Means(desk, veil, http, say_outcome if as_json else log_outcome), wishes))


def _whole(wishes: Wishes) -> Wishes:
    """Return wishes with which a notifier can work; ConfigError ``channel_url_missing``, ``no_routes``."""
    missing = sorted({name for route in wishes.routes for name in route.channels} - set(wishes.urls))
    if missing or not wishes.routes:
        message = f"channel {missing[0]!r} has no address" if missing else "there are no routes"
        hint = f"[notify.urls] {missing[0]} = … in secrets.toml, or its url_file" if missing else ROUTES
        raise ConfigError("channel_url_missing" if missing else "no_routes", message, hint=hint)
    return wishes


@app.command("list")
def list_wishes(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List channels and routes, and what is wrong with them (exit 2); addresses are never shown."""
    wishes = wishes_of(desk_of(context))
    if as_json:
        channels = [{**each.model_dump(mode="json"), "has_url": has_url} for each, has_url in _channels(wishes)]
        routes = [{**each.model_dump(mode="json"), "transitions": list(each.moves)} for each in wishes.routes]
        say_json({"channels": channels, "routes": routes, "templates": sorted(wishes.templates)})
    else:
        say_table(
            ("channel", "address", "languages", "quiet", "dedupe"),
            (
                (
                    each.channel,
                    "known" if has_url else "MISSING",
                    " ".join(each.languages),
                    ", ".join(_hours(window) for window in each.quiet or ()) or "never",
                    write_duration(each.dedupe),
                )
                for each, has_url in _channels(wishes)
            ),
            empty="no channels",
        )
        say_table(
            ("route", "to", "about", "template"),
            ((each.route, " ".join(each.channels), _about(each), each.template) for each in wishes.routes),
            empty="no routes",
        )
    if wishes.routes:
        _whole(wishes)


@app.command()
def check(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List the steps of escalations that no route tells anybody of, and what to do; exit 1 when there are any."""
    desk = desk_of(context)
    wishes = wishes_of(desk)
    found = untold_steps(desk.settings, wishes)
    say_listing(
        ({**msgspec.to_builtins(each), **each.names, "hint": each.hint} for each in found),
        ("rule / 规则", "severity / 级别", "after / 时限", "role / 角色", "told / 已通知", "what to do / 处理"),
        (
            (
                each.rule,
                each.severity.value,
                write_duration(each.after),
                f"{each.role}\n{each.names['en']}\n{each.names['zh']}",
                f"only in {', '.join(each.places)}" if each.places else "nobody / 无人",
                f"add {each.hint}\n增加路由：to: [{each.role}]",
            )
            for each in found
        ),
        empty="every step of every escalation is told to somebody / 每一级升级都有人收到",
        as_json=as_json,
    )
    if found:
        raise typer.Exit(EXIT_FAILED)


def _warn(desk: Desk, wishes: Wishes) -> None:
    """Say at the start what will be told to nobody."""
    try:
        found = untold_steps(desk.settings, wishes)
    except ConfigError as error:
        log.warning("escalations_unread", reason=str(error))
        return
    for role in sorted({each.role for each in found}):
        mine = [each for each in found if each.role == role]
        rules, zh = sorted({each.rule for each in mine}), mine[0].names["zh"]
        log.warning("role_untold", role=role, role_zh=zh, rules=rules, places=mine[0].places, hint=mine[0].hint)


@app.command()
def test(
    context: typer.Context, channel: Annotated[str, typer.Argument(help="As `hub notify list` names it.")]
) -> None:
    """Send one test message through a channel; exit 1 when its service does not take it."""
    wishes = wishes_of(desk_of(context))
    if channel not in wishes.urls:
        hint = f"with an address: {', '.join(sorted(wishes.urls)) or 'none yet'}"
        raise ConfigError("channel_unknown", f"there is no channel {channel!r} with an address", hint=hint)
    notice = Notice(
        title="Test of the hub / 测试消息",
        body=f"Channel {channel} works.\n通道 {channel} 正常。",
        severity="info",
        moved="",
    )
    parcel = Parcel(
        channel=channel, lane="", entry="", event="", name="", kind="", body=msgspec.json.encode(notice), due=0
    )
    answer = asyncio.run(Messenger(channel, recipients(channel, wishes.urls[channel])).send(parcel))
    if answer.verdict is not Verdict.TAKEN:
        raise UnavailableError("message_not_taken", answer.text, channel=channel)
    typer.echo(answer.text)


@app.command()
def ledger(
    context: typer.Context,
    *,
    state: Annotated[State | None, typer.Option(help="Only these.")] = None,
    limit: Annotated[int, typer.Option(min=1)] = 100,
    as_json: AsJson = False,
) -> None:
    """List the newest messages, the oldest of them first: delivered, waiting, dead, or dropped and why."""
    desk = desk_of(context)
    directory = directory_of(desk)
    if not (directory / FILE).exists() and any(journal_path(each.settings.files_dir).exists() for each in desk.each()):
        typer.echo("nothing was sent yet: no `hub notify run` has worked here", err=True)
        say_lines([], {"waiting": 0}, as_json=as_json)
        return
    say_lines(read_lines(directory, state=state, limit=limit), read_counts(directory), as_json=as_json)


def wishes_of(desk: Desk) -> Wishes:
    """Return what the installation wishes; ConfigError."""
    settings = desk.settings.notify
    return read_wishes(settings.dir, settings.urls)


def _channels(wishes: Wishes) -> list[tuple[Channel, bool]]:
    """Return every channel, and whether its address is known."""
    return [(channel, name in wishes.urls) for name, channel in sorted(wishes.channels.items())]


def _hours(window: Window) -> str:
    days = "" if window.days == WEEK else f"{' '.join(window.days)} "
    return f"{days}{window.from_}-{window.until}"


def _about(route: Route) -> str:
    words = {
        "": [f"{route.min_severity.value} and worse", *route.moves],
        "to": route.to,
        "domains": route.domains,
        "places": route.places,
    }
    told = [f"{name} {' '.join(each)}".strip() for name, each in words.items() if each]
    return ", ".join([*told, *(["tests too"] if route.tests else []), *([] if route.drills else ["no drills"])])


def _services(wishes: Wishes) -> dict[str, list[Any]]:
    """Return by channel who gets its messages; ConfigError for an address that is none."""
    return {name: recipients(name, url) for name, url in wishes.urls.items() if name in wishes.channels}


async def _run(means: Means, wishes: Wishes) -> None:
    over = asyncio.Event()
    with on_signals(over.set):  # also while it begins again
        while not over.is_set():
            _warn(means.desk, wishes)
            wishes = await _work(means, wishes, over)


async def _work(means: Means, wished: Wishes, over: asyncio.Event) -> Wishes:
    """Send messages until it is ``over``, or people wish otherwise: return what. It begins again where it was."""
    desk, veil = means.desk, means.veil
    guide = RegistryGuide(desk)
    await guide.look()
    mark = UNMASKED if veil.is_lifted else ""
    services = _services(wished)
    wishes = apart(wished, {name: len(found) for name, found in services.items()})
    notices = Notices(wishes, guide, veil.told, desk.clock, mark)
    errand = Errand(
        directory=directory_of(desk),
        address=RedisAddress(url=desk.settings.redis.url.get_secret_value()),
        streams=[domain_key(each) for each in DOMAINS],
        packer=notices,
        senders={
            share_of(name, number) + each: Messenger(name, [service]).send
            for name, found in services.items()
            for number, service in enumerate(found)
            for each in {"", mark}
        },
        tell=means.tell,
        patience=PATIENCE,
    )
    newest: list[Wishes] = []
    async with OutwardProcess(errand, desk.clock) as process:

        async def look() -> None:
            try:
                found = _whole(wishes_of(replace(desk)))  # one that has not read the settings yet
                if found != wished:
                    _services(found)
                    newest.append(found)
                    process.stop()
            except ConfigError as error:  # what was wished holds until that is mended
                log.error("wishes_not_read", reason=str(error))  # noqa: TRY400 -- the reason is all

        await notices.remember(process.ledger)
        metrics = Metrics()
        metrics.read("hub_escalations_missed_total", lambda: notices.untold)
        looks = (guide.look, partial(learn_kinds, desk, veil), look)
        await work(process, desk.clock, *looks, over=over, http=means.http, metrics=metrics)
    return newest[0] if newest else wished
