"""What a rule saw at a moment that is done again: each value, how old it was, who said it, and in which message."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from hub.durations import nanoseconds
from hub.engine.apply import Engine
from hub.engine.device import Device
from hub.engine.places import Place as RulePlace
from hub.engine.state import State
from hub.engine.views import Views
from hub.model.effects import Event
from hub.model.records import Record
from hub.model.values import Quality, Scalar
from hub.rules.held import Held, Stamped
from hub.rules.states import CompiledRule
from hub.rules.timers import Timers

REMEMBERED = 10_000
SHOWN = 50
"""How many witnesses of one input are told."""

Place = tuple[int, int]
"""(record position, message index)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A value that the rule reads, as it was known then; ages in ns. ``place`` is the message that brought it.

    ``key`` is the device or part that said it; nobody, for what an input of the rule came to.
    """

    name: str
    value: Scalar
    measured_at: int
    age: int
    quality: Quality
    stale_after: int | None
    place: Place | None
    key: str = ""

    @property
    def is_stale(self) -> bool:
        """True when the rule took it for unknown."""
        return self.stale_after is not None and self.age > self.stale_after


class Ear:
    """Notes, while records are done again, which message brought which value of the devices that the rule sees."""

    def __init__(self, engine: Engine, event: Event) -> None:
        self._engine = engine
        self._event = event
        self._said: dict[tuple[str, int], Place] = {}
        self._heard_at: dict[str, int] = {}

    def listen(self, record: Record) -> None:
        """Note who said something in ``record``: by the moment at which the engine heard it."""
        for device in self._devices():
            known = device.state
            if known.heard_at == self._heard_at.get(device.key):
                continue
            self._heard_at[device.key] = known.heard_at
            index = known.heard_at - record.received_at
            if 0 <= index < len(record.messages):
                self._said.pop((device.key, known.heard_awake), None)
                self._said[device.key, known.heard_awake] = (record.position, index)
        for oldest in list(islice(self._said, max(0, len(self._said) - REMEMBERED))):
            del self._said[oldest]

    def _devices(self) -> Sequence[Device]:
        found = self._engine.content.subject(self._event.key)
        if found is None:
            return []
        subject = found[0]
        if isinstance(subject, Device):
            return [subject]
        rule = subject.rules.by_name.get(self._event.rule)
        kinds = sorted({kind for kind, _ in rule.wakes}) if rule is not None else []
        return [device for kind in kinds for device in subject.by_kind.get(kind, ())]

    def terms(self, now: int, data: Mapping[str, Scalar]) -> Iterator[Term]:
        """Yield what the rule of the event sees at engine time ``now``; ``data`` are its terms as it tells them."""
        found = self._engine.content.subject(self._event.key)
        rule = None if found is None else self._engine.content.rule_of(self._event.rule, found[0])
        if found is None or rule is None:
            return
        awake = self._engine.state.clock.awake(now)
        subject, part = found
        if isinstance(subject, Device):
            for name, stamped in subject.state.held(part).items():
                if name in rule.names or name in data:
                    yield self._term(name, stamped, subject.key_of(part), awake)
            return
        yield from self._seen(subject, rule, awake)
        for name in sorted(rule.inputs):
            if name in data:
                yield Term(name=name, value=data[name], measured_at=0, age=0, quality=Quality.GOOD, stale_after=None,
                           place=None)  # fmt: skip
            yield from self._witnesses(subject, rule, name, awake)

    def _seen(self, place: RulePlace, rule: CompiledRule, awake: int) -> Iterator[Term]:
        """Yield the newest word about each name that a rule of places reads."""
        modes = self._engine.modes
        for name in sorted(rule.names - rule.inputs.keys()):
            said = [
                (stamped, device.key_of(part), word)
                for kind, word in rule.scope.sources.get(name, ())
                for device in place.by_kind.get(kind, ())
                if modes.sees(rule.name, place, device)
                for part, held in device.state.by_part().items()
                if (stamped := held.get(word)) is not None
            ]
            if said:
                stamped, key, _ = max(said, key=lambda each: (each[0][2], each[0][1]))
                yield self._term(name, stamped, key, awake)

    def _witnesses(self, place: RulePlace, rule: CompiledRule, name: str, awake: int) -> Iterator[Term]:
        """Yield what those said who count for an input, or of whom it is not known."""
        wanted = rule.inputs[name]
        views = Views(State(), Timers(), self._engine.modes)
        found: list[tuple[str, Held]] = [
            (member.key, member.held)
            for member in wanted.members(views.members(rule, wanted, place, ""))
            if wanted.where is None or wanted.where.verdict(member.held, awake) is not False
        ]
        for key, held in found[:SHOWN]:
            for word in sorted(wanted.names):
                stamped = held.get(word)
                if stamped is not None:
                    yield self._term(word, stamped, key, awake)

    def _term(self, name: str, stamped: Stamped, key: str, awake: int) -> Term:
        value, measured_at, came, quality = stamped
        device = self._engine.content.find(*key.partition("#")[0].split("/", 1))
        limit = None if device is None else self._stale_after(device, name)
        said = self._said.get((key.partition("#")[0], came))
        return Term(
            name=name, value=value, measured_at=measured_at, age=max(0, awake - came), quality=quality,
            stale_after=limit, place=said, key=key,
        )  # fmt: skip

    def _stale_after(self, device: Device, name: str) -> int | None:
        known = self._engine.content.kind(device).properties.get(name.rpartition("__")[2])
        return None if known is None or known.stale_after is None else nanoseconds(known.stale_after)
