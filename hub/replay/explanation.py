"""Why a rule does or does not stand for one device or place: its terms, and the word on which it waits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from hub.engine.apply import Engine
from hub.engine.device import Device
from hub.engine.modes import Modes
from hub.engine.places import Subject
from hub.engine.state import State, decode_entries
from hub.engine.views import Views
from hub.errors import ConfigError
from hub.model.values import Scalar
from hub.replay.beginning import Entries, Fidelity
from hub.replay.reasons import Reason, Why
from hub.rules.held import Held, Stamped
from hub.rules.inputs import Memory, Present
from hub.rules.states import CompiledRule, Phase, RuleState
from hub.rules.terms import Condition, Look, Seen, conditions
from hub.rules.timers import Timers

SHOWN = 20
"""How many members of an input are told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """One device or part that an input looks at: does it count? None: not known."""

    input: str
    key: str
    counts: bool | None
    seen: tuple[Seen, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """How a rule stands for a key, at wall time ``at``. ``reasons`` say why, the deciding one first."""

    rule: CompiledRule
    key: str
    at: int
    phase: Phase
    state: RuleState | None
    reasons: tuple[Reason, ...]
    conditions: tuple[Condition, ...] = ()
    inputs: tuple[tuple[Seen, tuple[Membership, ...]], ...] = ()
    params: Mapping[str, Scalar] = field(default_factory=dict)


class Explainer:
    """Explains what an engine that stands still thinks; ``entries`` are its state, ``fidelity`` how sure that is."""

    def __init__(self, engine: Engine, entries: Entries, fidelity: Fidelity = Fidelity.EXACT) -> None:
        clock = engine.state.clock
        self.doubts = () if fidelity is Fidelity.EXACT else (Reason(code="approximate"),)
        self._engine = engine
        self._entries = entries
        self.now = Present(clock.t, clock.received_at, clock.awake(clock.t))

    # ------------------------------------------------------------------------------------------------------------ whom

    def rule(self, name: str) -> CompiledRule:
        """Return a rule of the hub; ConfigError ``unknown_rule``."""
        found = self._engine.content.rules.get(name)
        if found is None:
            hint = "`hub rules apply` makes a running hub take rules that are new on disk"
            raise ConfigError("unknown_rule", f"the hub works without a rule {name!r}", hint=hint)
        return found

    def keys_of_device(self, rule: CompiledRule, key: str) -> list[str]:
        """Return the keys under which ``rule`` may stand for a device or part: its own, or those of its places."""
        subject, part = self._subject(key)
        if not isinstance(subject, Device):
            raise ConfigError("unknown_device", f"{key} is a place", hint="--place SITE/PLACE")
        place = rule.rule.for_each.place
        if place is not None:
            return [each.key for each in subject.places if each.row.type == place]
        named = [part] if part else [each for each in ["", *subject.state.by_part()] if rule in subject.rules.of(each)]
        return [subject.key_of(each) for each in dict.fromkeys(named or [""])]

    def keys_of_place(self, rule: CompiledRule, key: str) -> list[str]:
        """Return the keys under which ``rule`` may stand at a place: its own, or those of the devices there."""
        site, _, name = key.partition("/")
        if rule.rule.for_each.place is not None:
            self._subject(f"{site}/@{name}")
            return [f"{site}/@{name}"]
        content = self._engine.content
        here = [device for device in content.devices_of(site) if name in {device.row.place, device.building, site}]
        return [
            each
            for device in here
            if rule.name in device.rules.by_name
            for each in self.keys_of_device(rule, device.key)
        ]

    def key_of_alarm(self, prefix: str) -> tuple[str, str]:
        """Return rule and key of the active alarm whose id begins so; ConfigError ``alarm_unknown``."""
        found = [alarm for alarm in self._engine.alarms() if alarm.id.startswith(prefix)]
        if len(found) != 1:
            code = "alarm_ambiguous" if found else "alarm_unknown"
            message = f"{len(found)} active alarms have an id that begins with {prefix!r}"
            raise ConfigError(code, message, hint="`hub alarms list` shows them")
        return found[0].rule, found[0].key

    def keys_at_work(self, rule: CompiledRule) -> list[str]:
        """Return the keys for which ``rule`` holds a state."""
        start = f"rule/{rule.name}/"
        return sorted(key.removeprefix(start) for key in self._entries if key.startswith(start))

    def _subject(self, key: str) -> tuple[Subject, str]:
        found = self._engine.content.subject(key)
        if found is None:
            raise ConfigError(
                "unknown_subject", f"the hub knows no {key}", hint="`hub devices list`, `hub places list`"
            )
        return found

    # ------------------------------------------------------------------------------------------------------------- why

    def explain(self, name: str, key: str) -> Explanation:
        """Return why the rule stands as it does for ``key``."""
        subject, part = self._subject(key)
        rule = subject.rules.by_name.get(name)
        if rule is None:
            rests = self._engine.content.is_at_rest(subject.site, name)
            where = Reason(code="scene_off" if rests else "not_about", facts={"key": key})
            return Explanation(
                rule=self.rule(name),
                key=key,
                at=self.now.at,
                phase=Phase.IDLE,
                state=None,
                reasons=(*self.doubts, where),
            )
        state = self._state(name, key)
        held = self._views(name, key).of(rule, subject, part, self.now)
        found = conditions(rule, self._look(rule, subject, part, held), held, self.now.awake)
        why = Why(rule, subject, state, found, self._engine)
        return Explanation(
            rule=rule, key=key, at=self.now.at, phase=Phase.IDLE if state is None else state.phase, state=state,
            reasons=(*self.doubts, *why.reasons(self.now)), conditions=tuple(found.values()),
            inputs=tuple(self._inputs(rule, subject, part, held)), params={**rule.rule.params, **rule.rule.facts},
        )  # fmt: skip

    def _state(self, name: str, key: str) -> RuleState | None:
        entry = f"rule/{name}/{key}"
        if entry not in self._entries:
            return None
        ((_, state),) = decode_entries([(entry, self._entries[entry])])
        return state if isinstance(state, RuleState) else None

    def _views(self, name: str, key: str) -> Views:
        """Return views that remember what the engine does, and forget it: looking changes nothing."""
        views, entry = Views(State(), Timers(), self._engine.modes), f"memory/{name}/{key}"
        if entry in self._entries:
            ((_, memory),) = decode_entries([(entry, self._entries[entry])])
            if isinstance(memory, Memory):
                views.restore(memory)
        return views

    def _look(self, rule: CompiledRule, subject: Subject, part: str, held: Held) -> Look:
        def look(name: str) -> Seen:
            if name in rule.inputs:
                return Seen(name, held.fresh(name, -1), is_input=True)
            found = list(_said(self._engine.modes, rule, subject, part, held, name))
            limit = rule.scope.names[name].stale_after
            if not found:
                return Seen(name, stale_after=limit)
            stamped, by = max(found, key=lambda each: (each[0][2], each[0][1]))
            return Seen(name, stamped[0], max(0, self.now.awake - stamped[2]), limit, by)

        return look

    def _inputs(
        self, rule: CompiledRule, subject: Subject, part: str, held: Held
    ) -> Iterator[tuple[Seen, tuple[Membership, ...]]]:
        views = self._views(rule.name, subject.key_of(part))
        for name, each in rule.inputs.items():
            mine = []
            for member in list(each.members(views.members(rule, each, subject, part)))[:SHOWN]:
                counts = None if each.where is None else each.where.verdict(member.held, self.now.awake)
                seen = tuple(self._seen(member.held, word) for word in sorted(each.names))
                mine.append(Membership(input=name, key=member.key, counts=counts, seen=seen))
            yield Seen(name, held.fresh(name, -1), is_input=True), tuple(mine)

    def _seen(self, held: Held, name: str) -> Seen:
        stamped = held.get(name)
        return (
            Seen(name, held.value(name))
            if stamped is None
            else Seen(name, stamped[0], max(0, self.now.awake - stamped[2]))
        )


def _said(  # noqa: PLR0913, PLR0917 -- one call; each is a part of where to look
    modes: Modes, rule: CompiledRule, subject: Subject, part: str, held: Held, name: str
) -> Iterator[tuple[Stamped, str]]:
    """Yield every word about ``name`` that the rule sees, and the key of who said it."""
    if isinstance(subject, Device):
        stamped = held.get(name)
        if stamped is not None:
            yield stamped, subject.key_of(part)
        return
    for kind, word in rule.scope.sources.get(name, ()):
        for device in subject.by_kind.get(kind, ()):
            if not modes.sees(rule.name, subject, device):
                continue
            for of, said in device.state.by_part().items():
                stamped = said.get(word)
                if stamped is not None:
                    yield stamped, device.key_of(of)
