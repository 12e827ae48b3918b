"""A history at play: two engines hear the same, and one of them is restarted whenever the history says so."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
import orjson
from typing_extensions import override

from hub.model.effects import Effects
from hub.model.heard import Publish
from hub.model.records import Body, Control, Outcome, OutcomeKind, Revision, SessionCaughtUp, SessionConnected, Started
from hub.model.values import Scalar
from hub.normalize.networks.downlink import network_id
from tests.engine.desk import SECOND, SESSIONS, Desk, encoded
from tests.engine.histories.showing import changed_twins, entries_of, told
from tests.engine.histories.sound import unsound
from tests.engine.histories.town import morning, town

LAST = 6
"""Of how many that came last one is meant, or some come again."""
MILLISECOND = 1_000_000
AGO, NUMBER = "<ago>", "<number>"
"""Stand in what is said for its moment, and for the number of the message."""
INTERNAL = "internal_error"


class Step(NamedTuple):
    """One thing that happens: a method of :class:`Playing` and its words. Nothing is left to chance."""

    what: str
    words: Mapping[str, Any] = {}

    @override
    def __str__(self) -> str:
        return f"{self.what}({', '.join(f'{name}={word!r}' for name, word in self.words.items())})"


class WrongError(Exception):
    """What no history may come to, in words."""


class Playing:
    """The engine that runs through, ``steady``, and the one that is ``restarted``; each record goes to both."""

    def __init__(self) -> None:
        self.steady = morning().revive(morning().checkpoint)
        self.restarted = morning().revive(morning().checkpoint)
        self._first = self._kept = self._begun = len(self.steady.records)
        self._size = 0
        self._compared = 0
        self._connection = 1
        self._heard: list[Publish] = []
        self._sent: list[tuple[str, str]] = []
        self._ids = Counter[str]()

    # --------------------------------------------------------------------------------------------- what devices say

    def says(
        self, name: str, readings: Sequence[Mapping[str, Any]], as_class: str = "telemetry", times: int = 1
    ) -> None:
        """Let a device say ``readings`` in one message, ``times`` over; ``ago_ms`` stands for its time."""
        said = [self._timed(reading) for reading in readings]
        place = name if "/" in name else f"s1/{name}"
        message = Publish(f"hub/{place}/{as_class}", orjson.dumps(said if len(said) > 1 else said[0]))
        self._hear(*[message] * times)

    def hears(self, topic: str, said: str, ago_ms: int = 0, times: int = 1, *, retain: bool = False) -> None:
        """Let anything be published, ``times`` over; ``ago_ms`` is how old it is, where it says so."""
        moment = datetime.fromtimestamp((self.steady.wall // MILLISECOND - ago_ms) / 1_000, UTC).isoformat()
        text = said.replace(AGO, moment).replace(NUMBER, str(len(self._heard)))
        self._hear(*[Publish(topic, text.encode(), retain=retain)] * times)

    def _timed(self, reading: Mapping[str, Any]) -> dict[str, Any]:
        words = dict(reading)
        ago = words.pop("ago_ms", None)
        return words if ago is None else {"t": self.steady.wall // MILLISECOND - ago, **words}

    def _hear(self, *messages: Publish) -> None:
        numbered = [msgspec.structs.replace(each, packet_id=len(self._heard) + n) for n, each in enumerate(messages, 1)]
        self._heard += numbered
        self._both(lambda desk: desk.hear(*numbered, connection=self._connection))

    def is_cut_off(self, again: int, lost: int) -> None:
        """Lose the sessions in mid delivery: the last ``again`` messages come again, the last ``lost`` for once."""
        self._both(Desk.lose)
        self._connection += 1
        mine = self._connection
        for session in SESSIONS:
            self._say(SessionConnected(session, mine, session_present=True))
        resent = [msgspec.structs.replace(each, duplicate=True) for each in self._heard[len(self._heard) - again :]]
        if resent:
            self._both(lambda desk: desk.hear(*resent, connection=mine))
        for each in self._heard[-lost:] if lost else ():
            self._hear(each)
        for session in SESSIONS:
            self._say(SessionCaughtUp(session, mine))

    # ------------------------------------------------------------------------------------------------- time and life

    def ticks(self, seconds: float) -> None:
        self._both(lambda desk: desk.tick(seconds))

    def our_clock_steps(self, seconds: int) -> None:
        for desk in (self.steady, self.restarted):
            desk.wall += seconds * SECOND
        self.ticks(1)

    def is_lost(self) -> None:
        self._both(Desk.lose)

    def catches_up(self) -> None:
        self._connection += 1
        self._both(lambda desk: desk.catch_up(self._connection))

    def starts(self) -> None:
        """Let a start be written down, as one is behind every restart sooner or later."""
        self._say(Started("test", SESSIONS))

    # ------------------------------------------------------------------------------------------- checkpoints, restarts

    def restarts(self) -> None:
        """Stop with a checkpoint, and begin again with it."""
        self._finish()
        self.restarted = self.restarted.restart()
        self._kept = len(self.restarted.records)

    def begins_a_checkpoint(self, size: int) -> None:
        """Begin one; ``size`` bytes of it are encoded after each record."""
        self._finish()
        self.restarted.engine.state.begin_checkpoint()
        self._begun, self._size = len(self.restarted.records), size

    def is_killed(self) -> None:
        """Begin again with the last checkpoint that was finished, and with every record since."""
        records = self.restarted.records
        self.restarted = self.restarted.revive(self.restarted.checkpoint)
        again = [self.restarted.engine.apply(record) for record in records[self._kept :]]
        changed_twins(self.restarted)
        self._compare(self.steady.effects[self._kept - self._first :], again)

    def _finish(self) -> None:
        """Finish the checkpoint that is being made, if one is."""
        desk = self.restarted
        if desk.engine.state.is_checkpointing:
            found = {**desk.checkpoint, **desk.engine.state.take_checkpoint()}
            desk.checkpoint = {key: body for key, body in found.items() if body is not None}
            self._kept = self._begun

    # -------------------------------------------------------------------------------------------------------- documents

    def is_changed(self, key: str, **words: object) -> None:
        """Let words of a document, if it is there, be others."""
        known = self.steady.engine.content.bodies()
        if key in known:
            self.is_put(key, orjson.loads(known[key]) | words)

    def is_put(self, key: str, document: Mapping[str, object]) -> None:
        known = dict(self.steady.engine.content.bodies())
        self._revise(known, known | {key: orjson.dumps(document, option=orjson.OPT_SORT_KEYS)})

    def is_removed(self, key: str) -> None:
        known = dict(self.steady.engine.content.bodies())
        self._revise(known, {each: body for each, body in known.items() if each != key})

    def is_barred(self, name: str, state: str) -> None:
        """Let a device, if it is there, be one that nobody wants to hear."""
        known = dict(self.steady.engine.content.bodies())
        body = known.get(f"device/s1/{name}")
        if body is not None:
            gone = {key: each for key, each in known.items() if key != f"device/s1/{name}"}
            self._revise(known, {**gone, f"barred/s1/{name}": orjson.dumps({**orjson.loads(body), "state": state})})

    def everything_is_as_it_was(self) -> None:
        """Import the documents of the town again."""
        self._revise(dict(self.steady.engine.content.bodies()), dict(town()))

    def _revise(self, known: Mapping[str, bytes], wanted: Mapping[str, bytes]) -> None:
        """Move to other documents without trying them out on the side first: that takes most of the time."""
        put = {key: key for key, body in wanted.items() if known.get(key) != body}
        removed = sorted(known.keys() - wanted.keys())
        if put or removed:
            self._finish()
            self._say(Revision("test", put, removed), bodies=wanted)

    # --------------------------------------------------------------------------------------------------------- people

    def is_asked(self, verb: str, actor: str = "li", **args: Scalar) -> None:
        self._ask(verb, actor, {"site": "s1", **args})

    def is_asked_of_an_alarm(self, verb: str, which: int, **args: Scalar) -> None:
        """Let a person say something of one of the alarms that there are."""
        there = [alarm for alarm in self.steady.engine.alarms() if not alarm.rule.startswith("_")]
        if there:
            alarm = there[which % len(there)]
            self._ask(verb, "li", {"rule": alarm.rule, "key": alarm.key, **args})

    def is_agreed_to(self, actor: str) -> None:
        """Let a second person agree to what was last asked of two."""
        replies = [reply for effects in self.steady.effects for reply in effects.replies]
        for reply in [each for each in replies if each.code == "needs_second_person"][-1:]:
            self._ask("confirm", actor, {"site": "s1", "request": reply.id})

    def _ask(self, verb: str, actor: str, args: dict[str, Scalar]) -> None:
        number = len(self.steady.records)
        until = self.steady.wall + 30 * SECOND
        self._say(Control(f"{number}-0", f"id-{number}", actor, verb, until, args))

    # ------------------------------------------------------------------------------------------------------- commands

    def a_command_is(self, which: int, kind: OutcomeKind) -> None:
        """Let the rim say what it saw of one of the last commands."""
        for command, _ in self._one_of(self._sent, which):
            self._say(Outcome(command, kind, "x"))

    def a_command_is_answered(self, which: int, *, ok: bool, state: Mapping[str, Scalar]) -> None:
        """Let the device answer one of the last commands, and say in what ``state`` it is; or its network, for it."""
        for command, topic in self._one_of(self._sent, which):
            if topic.startswith("application/"):
                said: object = {"queueItemId": network_id(command), "acknowledged": ok}
                self._hear(Publish(topic.replace("command/down", "event/ack"), orjson.dumps(said)))
            else:
                said = {"id": command, "ok": ok, **({"state": dict(state)} if state else {})}
                self._hear(Publish(topic.replace("/command", "/response"), orjson.dumps(said)))

    @staticmethod
    def _one_of(found: Sequence[tuple[str, str]], which: int) -> Sequence[tuple[str, str]]:
        last = found[-LAST:]
        return [last[which % len(last)]] if last else []

    # ----------------------------------------------------------------------------------------------- what must be so

    def _say(self, body: Body, bodies: Mapping[str, bytes] | None = None) -> None:
        self._both(lambda desk: desk.say(body, bodies=bodies))

    def _both(self, act: Callable[[Desk], object]) -> None:
        """Let both do the same, and look at what they want done."""
        for desk in (self.steady, self.restarted):
            act(desk)
        mine, self.restarted.effects = self.restarted.effects, []
        new = self.steady.effects[self._compared :]
        self._compared = len(self.steady.effects)
        self._compare(new, mine)
        self._compare_twins()
        self._look(new)
        self._sent += [(sent.command, sent.topic) for each in new for sent in each.transmissions]
        if self.restarted.engine.state.is_checkpointing and self.restarted.engine.state.encode_some(self._size):
            self._finish()

    def _compare(self, steady: Sequence[Effects], restarted: Sequence[Effects]) -> None:
        for one, other in zip(steady, restarted, strict=True):
            if encoded([one]) != encoded([other]):
                said = [f"without: {'; '.join(told(one))}", f"with:    {'; '.join(told(other))}"]
                raise WrongError("\n".join([f"a restart makes a difference to record {one.position}", *said]))

    def _compare_twins(self) -> None:
        one, other = changed_twins(self.steady), changed_twins(self.restarted)
        if one != other:
            said = [f"without: {sorted(one - other)}", f"with:    {sorted(other - one)}"]
            raise WrongError("\n".join(["a restart makes a difference to the twins", *said]))

    def _look(self, new: Sequence[Effects]) -> None:
        """Look for what is wrong whatever was heard."""
        found = [each for effects in new for each in self._wrongs(effects)]
        for desk, which in ((self.steady, "the engine"), (self.restarted, "the restarted engine")):
            found += [f"{which} holds {each}" for each in unsound(desk.engine)]
        if found:
            raise WrongError(found[0])

    def _wrongs(self, effects: Effects) -> Iterator[str]:
        self._ids.update(event.id for event in effects.events)
        for event in effects.events:
            if self._ids[event.id] > 1:
                yield f"two events have one id: {event.transition} {event.name} {event.key}"
            if event.name == "device.rule_failed":
                yield f"a rule fails: {event.data}"
        yield from (f"it cannot be taken: {each.detail}" for each in effects.dead_letters if each.code == INTERNAL)

    def ends(self) -> None:
        """Let all come to rest; then both know the same."""
        self.catches_up()
        for seconds in (1, 30, 400, 1):
            self.ticks(seconds)
        self._finish()
        one, other = (entries_of(desk) for desk in (self.steady, self.restarted))
        for key in sorted(one.keys() | other.keys()):
            if one.get(key) != other.get(key):
                said = [f"without: {one.get(key)}", f"with:    {other.get(key)}"]
                raise WrongError("\n".join([f"a restart leaves {key} otherwise", *said]))


def complaint(history: Iterable[Step]) -> str:
    """Play ``history``; return what is wrong with what it comes to, nothing when all is well."""
    playing = Playing()
    try:
        for what, words in history:
            getattr(playing, what)(**words)
        playing.ends()
    except WrongError as wrong:
        return str(wrong)
    except Exception as error:  # noqa: BLE001 -- whatever the engine dies of
        where = "".join(traceback.format_tb(error.__traceback__)[-3:])
        return f"the engine dies of {error!r}\n{where}"
    return ""
