"""``hub alarms show``: one alarm, why it is, what people did and what was sent."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec
import typer

from hub.errors import ConfigError, HubError, PoisonError
from hub.model.effects import AlarmState, Event, Transition, Twin
from hub.replay.evidence import decoded
from hub.replay.present import Present, present
from hub.sinks.stream_readers import read_alarms, read_twins
from hub.ui.atlas import Atlas
from hub.ui.desk.desk import AsJson, Desk, desk_of
from hub.ui.desk.personal import Reason, Unmask, veil_of
from hub.ui.desk.whose import desk_for
from hub.ui.history import History, story
from hub.ui.printing import say_json, say_table
from hub.ui.profiles.dump import spoken
from hub.ui.words import details, marks, moment, since, title
from hub.veil import Veil

Which = Annotated[str, typer.Argument(help="The beginning of its id, or its rule.")]
Key = Annotated[str | None, typer.Argument(help="With a rule: site/device or site/device#part.")]

COMMAND_WORDS = ("command", "state", "since", "device", "detail", "id")


def show(
    context: typer.Context,
    which: Which,
    key: Key = None,
    *,
    unmask: Unmask = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Show one alarm, also one that is over: its cause, what the rule saw, what people did, what was sent."""
    desk = desk_of(context)
    subject = f"alarm/{which}" if key is None else f"alarm/{which}/{key}"
    veil = veil_of(desk, "alarm", subject, unmask=unmask, reason=reason)
    found = asyncio.run(_look(desk, veil, which, key))
    commands = list(_commands(found))
    if as_json:
        say_json(
            {
                "alarm": msgspec.to_builtins(found.alarm),
                "is_active": found.is_active,
                "causes": [msgspec.to_builtins(place) for place in found.raised.causes],
                "heard": list(_causes(found)),
                "terms": [dict(zip(("name", "then", "now"), term[:3], strict=True)) for term in _terms(found, desk)],
                "history": [msgspec.to_builtins(event) for event in found.transitions],
                "commands": [dict(zip(COMMAND_WORDS, row, strict=True)) for row in commands],
            }
        )
        return
    alarm = found.alarm
    typer.echo(f"{alarm.severity} {title(alarm.name, alarm.label)}{marks(alarm)}  {found.atlas.place(alarm)}")
    typer.echo(f"id {alarm.id}  rule {alarm.rule} {found.raised.rule_version}  about {alarm.key}".rstrip())
    ended = found.ended_at or desk.clock.wall_ns()
    state = "active" if found.is_active else "over"
    typer.echo(f"{state}: {moment(alarm.since)}, for {since(alarm.since, ended)}{', found late' if alarm.late else ''}")
    if alarm.acknowledged_by:
        typer.echo(f"acknowledged by {alarm.acknowledged_by}")
    if alarm.escalated:
        typer.echo(f"escalated to {alarm.escalated_to} (step {alarm.escalated})")
    if alarm.shelved_until:
        typer.echo(f"shelved until {moment(alarm.shelved_until)} by {alarm.shelved_by}".removesuffix(" by "))
    typer.echo("\ncause")
    for line in _causes(found):
        typer.echo(f"  {line}")
    typer.echo()
    say_table(("term", "then", "now", "measured"), _terms(found, desk), empty="the rule read no values")
    typer.echo()
    say_table(
        ("time", "what", "who", "said"),
        (
            (moment(each.time), each.transition.value, str(each.data.get("actor", "")), _said(each))
            for each in found.transitions
        ),
        empty="its history is no longer kept",
    )
    typer.echo()
    say_table(COMMAND_WORDS, commands, empty="no command was sent")


def name_of(alarm: AlarmState) -> tuple[str, str]:
    return alarm.rule, alarm.key


def chosen(alarms: Sequence[AlarmState], which: str) -> AlarmState:
    """Return the one active alarm whose id begins with ``which``, or the only one of that rule.

    Nothing begins with nothing: it is a variable that was not set, and must not end the only fire there is.
    """
    found = [alarm for alarm in alarms if which and (alarm.id.startswith(which) or alarm.rule == which)]
    if len(found) != 1:
        code = "alarm_ambiguous" if found else "alarm_unknown"
        message = f"{len(found)} active alarms have an id that begins with {which!r}, or are of that rule"
        raise ConfigError(code, message, hint="`hub alarms list` shows them")
    return found[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """An alarm and everything that is known of it."""

    atlas: Atlas
    alarm: AlarmState
    is_active: bool
    raised: Event
    told: Sequence[Event]
    twin: Twin | None
    now: Present | None
    veil: Veil

    @property
    def transitions(self) -> list[Event]:
        """What became of the alarm itself."""
        return [event for event in self.told if event.rule == self.alarm.rule and event.key == self.alarm.key]

    @property
    def ended_at(self) -> int | None:
        """When it was cleared."""
        return next((event.time for event in self.told if event.transition is Transition.CLEARED), None)


async def _look(desk: Desk, veil: Veil, which: str, key: str | None) -> _Found:
    async with desk.redis() as link:
        atlas = await Atlas.open(desk)
        history = History(desk, link, atlas)
        alarms = await read_alarms(link)
        if key is not None:
            alarms = [alarm for alarm in alarms if name_of(alarm) == (which, key)]
        alarm, raised, is_active = await _alarm_of(history, alarms, which)
        twins = await read_twins(link, alarm.site)
        name = f"{alarm.device}#{alarm.part}" if alarm.part else alarm.device
        told = await story(history, raised)
    return _Found(
        atlas=atlas, alarm=veil.told(alarm), is_active=is_active, raised=veil.told(raised),
        told=[veil.told(event) for event in told],
        twin=next((twin for twin in twins if twin.name == name), None),
        now=_present(await desk_for(desk, alarm.site)), veil=veil,
    )  # fmt: skip


async def _alarm_of(history: History, alarms: Sequence[AlarmState], which: str) -> tuple[AlarmState, Event, bool]:
    """Return an alarm with the event that raised it; an alarm that is over is known by its events."""
    mine = [alarm for alarm in alarms if which and (alarm.id.startswith(which) or alarm.rule == which)]
    events = await history.by_id(mine[0].id if len(mine) == 1 else which)
    raised = next((event for event in events if event.transition is Transition.RAISED), None)
    if len(mine) == 1:
        return mine[0], raised or _unremembered(mine[0]), True
    if mine or raised is None or len(events) > 1:
        chosen(alarms, which)
        raise ConfigError("alarm_unknown", f"no alarm has an id that begins with {which!r}", hint="`hub alarms list`")
    told = await story(history, raised)
    acks = [str(event.data.get("actor", "")) for event in told if event.transition is Transition.ACKNOWLEDGED]
    climbed = [event for event in told if event.transition is Transition.ESCALATED]
    over = AlarmState(
        id=raised.id, name=raised.name, severity=raised.severity, key=raised.key, rule=raised.rule, site=raised.site,
        building=raised.building, device=raised.device, part=raised.part, since=raised.time, late=raised.late,
        test=raised.test, drill=raised.drill,
        acknowledged_by=acks[0] if acks else None, place=raised.place, label=raised.label,
        data=raised.data, escalated=int(climbed[-1].data["step"]) if climbed else 0,
        escalated_to=str(climbed[-1].data["to"]) if climbed else "",
    )  # fmt: skip
    return over, raised, False


def _unremembered(alarm: AlarmState) -> Event:
    """Return the raise of an alarm that is older than what streams and store hold."""
    return Event(
        id=alarm.id, name=alarm.name, severity=alarm.severity, transition=Transition.RAISED, time=alarm.since,
        key=alarm.key, rule=alarm.rule, rule_version="", site=alarm.site, building=alarm.building,
        device=alarm.device, part=alarm.part, late=alarm.late,
        test=alarm.test, drill=alarm.drill, place=alarm.place, label=alarm.label,
        data=alarm.data,
    )  # fmt: skip


def _present(desk: Desk) -> Present | None:
    """Return the hub's engine where it runs; elsewhere what Redis says is what is known."""
    try:
        return present(desk.here.files_dir)
    except HubError:
        return None


def _causes(found: _Found) -> Iterator[str]:
    for position, index in found.raised.causes:
        record = None if found.now is None else found.now.tape.find(position)
        if found.now is None or record is None:
            yield f"record {position}, message {index} of the journal; it is not, or no longer, here"
        elif index >= len(record.messages):
            yield f"record {position}, {moment(record.received_at)}: time had passed"
        else:
            message = record.messages[index]
            said = _decoded(found, found.now, position, index)
            yield f"record {position}, message {index}, {moment(record.received_at)}: {message.topic}: {said}"
    if not found.raised.causes:
        yield "not remembered: the event is older than the streams"


def _decoded(found: _Found, now: Present, position: int, index: int) -> str:
    record, device = now.tape.find(position), now.engine.content.find(found.alarm.site, found.alarm.device)
    if record is None or device is None:
        return "its device is not known any more"
    try:
        readings = decoded(now.engine, device, record.messages[index]).readings
        return "; ".join(spoken(found.veil.reading(reading)) for reading in readings)
    except PoisonError as error:
        return str(error)


def _terms(found: _Found, desk: Desk) -> Iterator[tuple[str, str, str, str]]:
    reported = {} if found.twin is None else found.twin.reported
    now = desk.clock.wall_ns()
    for name, value in found.alarm.data.items():
        current = reported.get(name)
        ago = "" if current is None else f"{since(current[1], now)} ago"
        yield name, str(value), "" if current is None else str(found.veil.scalar(name, current[0])), ago


def _said(event: Event) -> str:
    if event.transition is Transition.COMMENTED:
        return str(event.data.get("comment", ""))
    return details({word: value for word, value in event.data.items() if word != "actor"})


def _commands(found: _Found) -> Iterator[tuple[str, ...]]:
    """Yield every command of the alarm with its state: by its event when it has ended, else by the engine."""
    ended = [event for event in found.told if event.name.startswith("command.")]
    rows = {
        str(event.data["id"]): (
            str(event.data.get("command", "")), event.name.removeprefix("command."), moment(event.time),
            f"{event.device}#{event.part}" if event.part else event.device, str(event.data.get("detail", "")),
        )
        for event in ended
    }  # fmt: skip
    for command in () if found.now is None else found.now.commands(found.alarm.id):
        where = f"{command.device}#{command.part}" if command.part else command.device
        open_row = (command.name, command.state.value, moment(command.created_at), where, command.detail)
        rows.setdefault(command.id, open_row)
    for identity, row in rows.items():
        yield *row, identity
