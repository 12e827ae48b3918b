"""``hub sim scenario``: devices that answer, answer late, refuse or lie, beside a real hub; its timeline compared."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated

import msgspec
import typer

from hub.model.effects import Event, Transition
from hub.model.values import Scalar
from hub.registry import many
from hub.registry.nouns import Site
from hub.registry.registry import Registry
from hub.sinks.control import Request
from hub.sinks.redis_link import Link
from hub.sinks.stream_readers import read_alarms, read_events
from hub.ui.desk.desk import EXIT_FAILED, AsJson, Desk, as_duration, desk_of
from hub.ui.desk.reply import ask
from hub.ui.printing import say_json, say_table
from simulators.actors import Actor, Troupe
from simulators.link import Broker
from simulators.scenario import Scenario, Step, Timeline, read_scenarios

ZONE = "Asia/Shanghai"
TAKE_UP_SECONDS = 6.0
"""A hub looks into the registry every 5.2 s; what people read says the same number."""
LOOK_SECONDS = 0.1
SETTLE_SECONDS = 0.5
"""How long what was expected must stay so: nothing may come on top of it."""
MOST_EVENTS = 100_000
_ALARMS = frozenset({Transition.RAISED, Transition.CLEARED, Transition.OCCURRED, Transition.SEVERITY_CHANGED})
_OF_PEOPLE = ("command.requested", "command.confirmed", "command.unconfirmed")


@dataclass(slots=True, kw_only=True)
class Stage:
    """One scenario at work: its actors, and what people were answered."""

    scenario: Scenario
    answers: list[str] = field(default_factory=list)

    def came_of(self, actors: Mapping[tuple[str, str], Actor], events: Sequence[Event]) -> Timeline:
        """Return what has come of it so far."""
        mine = [event for event in events if event.site == self.scenario.site]
        found = Timeline(alarms={}, commands={}, unsent={}, answers=self.answers)
        ends: dict[str, Event] = {}
        for event in mine:
            if event.name.startswith("command.") and event.name not in _OF_PEOPLE:
                ends[str(event.data["id"])] = event
            elif event.rule and event.transition in _ALARMS and not event.name.startswith("command."):
                subject = event.key.partition("/")[2]
                found.alarms.setdefault(subject, []).append(f"{event.transition} {event.name}")
        for (site, device), actor in actors.items():
            if site == self.scenario.site and actor.taken:
                found.commands[device] = [
                    f"{each.name} {_end(ends.pop(each.id, None))}" for each in actor.taken
                ]  # fmt: skip
        for event in ends.values():
            found.unsent.setdefault(event.device, []).append(f"{event.data['command']} {_end(event)}")
        return found


def _end(event: Event | None) -> str:
    return "open" if event is None else event.name.removeprefix("command.")


def scenario(
    context: typer.Context,
    names: Annotated[list[str] | None, typer.Argument(help="Which; else all, side by side.")] = None,
    *,
    register: Annotated[bool, typer.Option("--register", help="Put their sites into the registry first.")] = False,
    play: Annotated[bool, typer.Option(help="Play them, or only register.")] = True,
    wait: Annotated[str, typer.Option(help="How long their timelines may take.")] = "20s",
    as_json: AsJson = False,
) -> None:
    """Play scenarios beside a running hub, each at a site of its own, and compare what came of them. Exit 1: otherwise.

    For a hub and a broker to try things with: devices connect without passwords, and what is raised is real there.
    """
    desk, found = desk_of(context), read_scenarios(names or ())
    if register:
        asyncio.run(put_stages(desk, found, waits=play))
    if not play:
        return
    came = asyncio.run(play_stages(desk, found, as_duration(wait).total_seconds()))
    if as_json:
        told = {name: {**msgspec.to_builtins(one), "differs": differs} for name, (one, differs) in came.items()}
        say_json(told)
    else:
        rows = ((name, "as expected" if not differs else "\n".join(differs)) for name, (_, differs) in came.items())
        say_table(("scenario", "what came of it"), rows)
    if any(differs for _, differs in came.values()):
        raise typer.Exit(EXIT_FAILED)


async def play_fresh(desk: Desk, names: Sequence[str], seconds: float) -> dict[str, list[str] | None]:
    """Register and play scenarios; return where each differs from what it expects, by name.

    None for one that was not played: alarms of an earlier play are still active at its site.
    """
    found = read_scenarios(names) if names else []
    async with desk.redis() as link:
        held = {alarm.site for alarm in await read_alarms(link, [each.site for each in found])}
    fresh = [each for each in found if each.site not in held]
    await put_stages(desk, fresh, waits=True)
    came = await play_stages(desk, fresh, seconds) if fresh else {}
    return {each.scenario: came[each.scenario][1] if each in fresh else None for each in found}


def simulated_site(desk: Desk, name: str) -> Site:
    """Return a site that nobody lives at."""
    return Site(id=name, zone=ZONE, partition=desk.settings.partition, facts={"simulated": True})


async def put_stages(desk: Desk, scenarios: Sequence[Scenario], *, waits: bool) -> None:
    """Register the sites of ``scenarios`` that are not there; wait for the hub to have taken them up."""
    async with Registry(desk.settings.registry_url()) as registry:
        known = {site.id for site in await registry.sites()}
        fresh = [each for each in scenarios if each.site not in known]
        for each in fresh:
            await registry.add_site(simulated_site(desk, each.site))
            await many.put_places(registry, each.place_rows())
            await many.put_devices(registry, each.device_rows())
    if fresh and waits:
        await desk.clock.sleep(TAKE_UP_SECONDS)


async def play_stages(
    desk: Desk, scenarios: Sequence[Scenario], seconds: float
) -> dict[str, tuple[Timeline, list[str]]]:
    """Play ``scenarios`` side by side; return what came of each, and where that differs from what it expects."""
    mqtt, clock = desk.settings.mqtt, desk.clock
    broker = Broker(host=mqtt.host, port=mqtt.port)
    stages = {each.scenario: Stage(scenario=each) for each in scenarios}
    since = datetime.fromtimestamp(clock.wall_ns() / 1e9, UTC)

    async def asks(one: Scenario, step: Step) -> None:
        args: dict[str, Scalar] = {"site": one.site, **step.args}
        if "key" in args:
            args["key"] = f"{one.site}/{args['key']}"
        reply = await ask(desk, Request(actor="scenario", verb=step.ask, args=args), site=one.site)
        stages[one.scenario].answers.append(reply.code)

    actors = [actor for each in scenarios for actor in each.actors(broker, clock)]
    async with desk.redis() as link, Troupe(actors, clock) as troupe:
        async with asyncio.TaskGroup() as group:
            for each in scenarios:
                group.create_task(each.play(troupe.actors, asks, clock), name=f"scenario.{each.scenario}")
        return await _compare(link, troupe.actors, stages, since, (desk, seconds))


async def _compare(
    link: Link,
    actors: Mapping[tuple[str, str], Actor],
    stages: Mapping[str, Stage],
    since: datetime,
    life: tuple[Desk, float],
) -> dict[str, tuple[Timeline, list[str]]]:
    """Look until each is as expected and has stayed so for a moment, or time is over."""
    desk, seconds = life
    deadline = desk.clock.monotonic_ns() + round(seconds * 1e9)
    found: dict[str, tuple[Timeline, list[str]]] = {}
    calm_since: dict[str, int] = {}
    settled: set[str] = set()
    while len(settled) < len(stages) and desk.clock.monotonic_ns() < deadline:
        await desk.clock.sleep(LOOK_SECONDS)
        events, now = await read_events(link, since=since, count=MOST_EVENTS), desk.clock.monotonic_ns()
        for name in stages.keys() - settled:
            came = stages[name].came_of(actors, events)
            found[name] = came, differences(stages[name].scenario.expect, came)
            if found[name][1]:
                calm_since.pop(name, None)
            elif now - calm_since.setdefault(name, now) > SETTLE_SECONDS * 1e9:
                settled.add(name)
    return {name: found[name] for name in stages}


def differences(expected: Timeline, found: Timeline) -> list[str]:
    """Return where two timelines differ, a sentence each."""
    told: list[str] = []
    for what in ("alarms", "commands", "unsent"):
        wanted, came = getattr(expected, what), getattr(found, what)
        told += [
            f"{what} of {name}: expected {wanted.get(name, [])}, came {came.get(name, [])}"
            for name in sorted({*wanted, *came})
            if wanted.get(name, []) != came.get(name, [])
        ]
    if expected.answers != found.answers:
        told.append(f"answers: expected {expected.answers}, came {found.answers}")
    return told
