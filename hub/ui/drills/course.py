"""The course of a drill: begun, its cause published, watched until everything has ended, ended; only facts are kept."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import aiomqtt

from hub.bridge import paho_client
from hub.bridge.paho_client import ClientConfig
from hub.bridge.topics import drill_topic
from hub.clock import Clock
from hub.engine.rows import DOUBLE
from hub.errors import ConfigError, UnavailableError
from hub.model.effects import AlarmState, Event, Transition
from hub.model.records import Batch, Outcome, OutcomeKind
from hub.model.values import TopicClass
from hub.replay.tape import tape_of
from hub.sinks.redis_link import Link
from hub.sinks.rounds import now_of
from hub.sinks.stream_readers import read_alarms, read_entries
from hub.ui.drills.cause import Speaker
from hub.ui.words import named

LOOK_SECONDS: Final = 0.05
GRACE_SECONDS: Final = 2.0
"""How long after the last answer a device may still show what it did."""
MOST_EVENTS: Final = 100_000
CONFIRMED: Final = "fire.confirmed"
OPEN_ENDED: Final = ("command.executed", "command.unverified")
REFUSED_HINT: Final = (
    "mqtt.passwords.drill is a user that may publish hub/+/+/drill: `hub broker apply`, or your ACL; and the hub runs"
)
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """What was said in the place of a detector: published and acknowledged by the broker at these wall ns."""

    speaker: Speaker
    published_at: int
    puback_at: int


@dataclass(slots=True, kw_only=True)
class Course:
    """What happened, as it was seen; moments are wall ns.

    ``request`` is what asked the hub for it: the drill of somebody else, there and then, has another. ``events`` are
    those of the site with the millisecond at which each was written: Redis dates them, and its clock is
    ``redis_ahead`` ms before ours. ``heard`` by detector, ``left`` and ``delivered`` by command, and ``answers`` are of
    the journal: of whatever was on its way. ``words`` are where the journal holds what was said for a detector, as the
    causes of an event name it.
    """

    site: str
    place: str
    started_at: int
    with_actuators: bool
    redis_ahead: int = 0
    request: str = ""
    spoken: list[Spoken] = field(default_factory=list)
    events: list[tuple[int, Event]] = field(default_factory=list)
    heard: dict[str, int] = field(default_factory=dict)
    words: set[tuple[int, int]] = field(default_factory=set)
    left: dict[str, int] = field(default_factory=dict)
    delivered: dict[str, int] = field(default_factory=dict)
    answers: list[tuple[int, bytes]] = field(default_factory=list)
    ended_at: int = 0
    remaining: list[AlarmState] = field(default_factory=list)

    @property
    def key(self) -> str:
        """The key of the zone."""
        return f"{self.site}/@{self.place}"

    @property
    def confirmed(self) -> tuple[int, Event] | None:
        """The confirmed fire of the drill."""
        mine = (
            entry
            for entry in self.while_it_ran()
            if entry[1].drill and entry[1].key == self.key and entry[1].name == CONFIRMED
            if entry[1].transition is Transition.RAISED
        )
        return next(mine, None)

    def while_it_ran(self) -> list[tuple[int, Event]]:
        """Return the events since it began: what an earlier drill there has raised is not of this one."""
        began = (number for number, (_, event) in enumerate(self.events) if self._is_of_it(event, "started"))
        return self.events[next(began, len(self.events)) :]

    def runs_as(self, alarm: AlarmState) -> bool:
        """Return whether ``alarm`` is how readers see that it runs."""
        return (alarm.rule, alarm.data.get("request")) == ("_drill", self.request)

    def _is_of_it(self, event: Event, what: str) -> bool:
        return event.name == f"device.drill_{what}" and event.data.get("request") == self.request

    @property
    def sent(self) -> dict[str, int]:
        """The commands of the drill that left, by id."""
        alarm = self.confirmed
        return {} if alarm is None else {name: at for name, at in self.left.items() if name.startswith(alarm[1].id)}

    def answered(self, command: str) -> int | None:
        """Return when a device first answered ``command``: whatever the form of an answer, the id is in it.

        Ids of one alarm end with a number: that of the tenth begins with that of the first.
        """
        named = re.compile(re.escape(command.encode()) + rb"(?!\d)")
        return next((at for at, payload in self.answers if named.search(payload)), None)

    @property
    def overridden_by(self) -> str:
        """The real alarm that ended it, if one did."""
        return next((str(event.data.get("overridden_by", "")) for _, event in self._ends()), "")

    @property
    def is_over(self) -> bool:
        """True when the hub has ended it: because of a real alarm, because somebody said so, or because it is time."""
        return bool(self._ends())

    def _ends(self) -> list[tuple[int, Event]]:
        return [entry for entry in self.events if self._is_of_it(entry[1], "ended")]

    def commands(self) -> list[tuple[int, Event]]:
        """Return what became of commands of the drill."""
        return [entry for entry in self.while_it_ran() if entry[1].drill and entry[1].name.startswith("command.")]

    def still_held(self) -> set[str]:
        """Return the devices and parts that were told to hold something, and of which no release has come to an end."""
        told = [event for _, event in self.commands() if event.name != "command.rehearsed"]
        held = {named(event) for event in told if str(event.data["command"]).startswith("hold_")}
        return held - {named(event) for event in told if str(event.data["command"]).startswith("release_")}

    def is_mine(self, event: Event) -> bool:
        """Return whether an event is about the zone or one of those that the drill spoke for, or came of its words."""
        doubles = {f"{self.site}/{one.speaker.device}{DOUBLE}" for one in self.spoken}
        return event.key.partition("#")[0] in doubles | {self.key} or not self.words.isdisjoint(event.causes)


class Watch:
    """Looks at streams and journal for one :class:`Course`."""

    def __init__(self, course: Course, link: Link, files: Path, clock: Clock) -> None:
        self.course = course
        self._link = link
        self._files = files
        self._clock = clock
        self._read_until: int | None = None

    async def play(self, speakers: Sequence[Speaker], config: ClientConfig) -> None:
        """Publish the cause; ConfigError ``drill_refused`` when the broker does not take it, or gives it to nobody."""
        try:
            async with paho_client.open_client(config) as client:
                for speaker in speakers:
                    began = self._clock.wall_ns()
                    await paho_client.deliver(client, drill_topic(self.course.site, speaker.device), speaker.payload)
                    ended = self._clock.wall_ns()
                    self.course.spoken.append(Spoken(speaker=speaker, published_at=began, puback_at=ended))
        except aiomqtt.MqttError as error:
            raise ConfigError("drill_refused", paho_client.explain(error), hint=REFUSED_HINT) from error

    async def until_over(self, seconds: float, tell: Tell) -> None:
        """Look until every command has come to its end, the drill is over, or ``seconds`` are."""
        deadline = self._clock.monotonic_ns() + round(seconds * 1e9)
        while self._clock.monotonic_ns() < deadline:
            await self.look()
            course = self.course
            if course.is_over or self._is_done():
                return
            state = "confirmed" if course.confirmed else "not yet confirmed"
            tell(f"{len(course.heard)} heard, {state}, {len(course.commands())} words on commands")
            await self._clock.sleep(LOOK_SECONDS)

    def _is_done(self) -> bool:
        course = self.course
        if course.confirmed is None:
            return False
        if not course.with_actuators:
            return bool(course.commands())
        ended = {str(event.data["id"]): event for _, event in course.commands()}
        if not ended or not set(course.sent) <= set(ended):
            return False
        shown = [event for event in ended.values() if event.name in OPEN_ENDED]
        latest = max(event.time for event in ended.values())
        return not shown or self._clock.wall_ns() > latest + round(GRACE_SECONDS * 1e9)

    async def until_gone(self, seconds: float) -> None:
        """Look until nothing of the drill stands any more and every hold was let go, or ``seconds`` are over."""
        deadline = self._clock.monotonic_ns() + round(seconds * 1e9)
        while True:
            await self.look()
            alarms = await read_alarms(self._link, [self.course.site])
            self.course.remaining = [alarm for alarm in alarms if alarm.drill and self._stands(alarm)]
            open_ones = set(self.course.sent) - {str(event.data["id"]) for _, event in self.course.commands()}
            is_over = not (self.course.remaining or open_ones or self.course.still_held())
            if is_over or self._clock.monotonic_ns() >= deadline:
                break
            await self._clock.sleep(LOOK_SECONDS)
        self.course.ended_at = self._clock.wall_ns()

    def _stands(self, alarm: AlarmState) -> bool:
        return alarm.key == self.course.key or alarm.device.endswith(DOUBLE)

    async def look(self) -> None:
        """Read the events since the start again, for a drill is short; of the journal only what is new."""
        course = self.course
        since = datetime.fromtimestamp(course.started_at / 1e9 + course.redis_ahead / 1e3, UTC)
        found = await read_entries(self._link, since=since, count=MOST_EVENTS)
        course.events = [(ms - course.redis_ahead, event) for ms, event in found if event.site == course.site]
        await asyncio.to_thread(self._read_journal)

    def _read_journal(self) -> None:
        course, tape = self.course, tape_of(self._files)
        topics = {drill_topic(course.site, one.speaker.device): one.speaker.device for one in course.spoken}
        after = tape.before(course.started_at) if self._read_until is None else self._read_until
        for record in tape.read(after):
            match record.body:
                case Batch():
                    for index, message in enumerate(record.messages):
                        if message.topic in topics:
                            course.words.add((record.position, index))
                            course.heard.setdefault(topics[message.topic], record.received_at + index)
                        elif message.topic.endswith(f"/{TopicClass.RESPONSE}"):
                            course.answers.append((record.received_at + index, message.payload))
                case Outcome(command=command, kind=OutcomeKind.SENT):
                    course.left.setdefault(command, record.received_at)
                case Outcome(command=command, kind=OutcomeKind.DELIVERED):
                    course.delivered.setdefault(command, record.received_at)
                case _:
                    pass
            self._read_until = record.position


async def ahead_of(link: Link, clock: Clock) -> int:
    """Return how many ms the clock of Redis is before ours; 0 where the time that asking took could explain it."""
    began = clock.wall_ns() // 1_000_000
    theirs = await now_of(link)
    ended = clock.wall_ns() // 1_000_000
    return min(theirs - began, 0) or max(theirs - ended, 0)


async def until_agreed(link: Link, clock: Clock, course: Course, seconds: float) -> AlarmState:
    """Wait until the drill runs, because a second person has agreed; UnavailableError ``nobody_agreed``."""
    deadline, key = clock.monotonic_ns() + round(seconds * 1e9), course.key
    while clock.monotonic_ns() < deadline:
        for alarm in await read_alarms(link, [course.site]):
            if course.runs_as(alarm):
                return alarm
        await clock.sleep(LOOK_SECONDS)
    raise UnavailableError("nobody_agreed", f"no second person has agreed to a drill of {key}")
