"""What a rule sees of its subject: the words of one part, of a whole place, and what inputs make of them over time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from typing_extensions import override

from hub.durations import nanoseconds
from hub.engine.device import Device, Part
from hub.engine.modes import Modes
from hub.engine.places import Place, Subject, is_at
from hub.engine.state import State
from hub.engine.woken import Rested
from hub.model.values import Scalar
from hub.rules.held import NOTHING, OF_WITNESSES, SILENT, TESTING, Held, Stamped
from hub.rules.inputs import NEVER, CompiledInput, Member, Memory, Present, Track, Value
from hub.rules.intervals import Between
from hub.rules.states import CompiledRule, RuleState
from hub.rules.timers import TimerClass, Timers

NOTED = 16
"""How many signals that keep a rule from raising are remembered: those of the last seconds matter."""


class View(Held):
    """Names looked up where they are: inputs, else the newest word of those that ``find`` returns for a name."""

    __slots__ = ("_find", "_inputs")

    def __init__(self, find: Callable[[str], Sequence[Stamped]], inputs: Mapping[str, Value]) -> None:
        super().__init__()
        self._find = find
        self._inputs = inputs

    @override
    def get(self, name: str) -> Stamped | None:
        return max(self._find(name), key=lambda stamped: (stamped[2], stamped[1]), default=None)

    @override
    def value(self, name: str) -> Scalar | None:
        if name in self._inputs:
            found = self._inputs[name]
            return found.said if isinstance(found, Between) else found
        stamped = self.get(name)
        return None if stamped is None else stamped[0]

    @override
    def fresh(self, name: str, since: int) -> Scalar | None:
        if name in self._inputs:
            return self._inputs[name]  # type: ignore[return-value] # a number between two compares as one
        stamped = self.get(name)
        return None if stamped is None or stamped[2] < since else stamped[0]


class Views:
    """Makes views, and keeps what inputs remember; each memory is an entry of the engine's state."""

    def __init__(self, state: State, timers: Timers, modes: Modes) -> None:
        self._state = state
        self._timers = timers
        self._modes = modes
        self._memories: dict[tuple[str, str], Memory] = {}
        self.at_rest: dict[str, tuple[Rested, int]] = {}
        """By key: what left all its memories as they are when it was so last, and the engine time until which it does.

        Nothing has changed any of them since then. A word of which the same is so again need not look at them.
        """

    def restore(self, memory: Memory) -> None:
        """Take a memory of a checkpoint."""
        self._memories[memory.rule, memory.key] = memory
        self._timers.put(TimerClass.WINDOW, memory.due, memory.rule, memory.key)

    def forget(self, rule: str, key: str) -> None:
        """Forget what the inputs of a rule remember for a key."""
        self.at_rest.pop(key, None)
        if self._memories.pop((rule, key), None) is not None:
            self._timers.drop(TimerClass.WINDOW, rule, key)
            self._state.remove(f"memory/{rule}/{key}")

    def remembered(self) -> Iterable[tuple[str, str]]:
        """Return the (rule, key) of which inputs remember something."""
        return self._memories

    def forget_all(self, rule: str, at: str) -> None:
        """Forget what is remembered for a rule that is gone, or that is off ``at`` a site ("": any)."""
        for name, key in sorted(name for name in self._memories if name[0] == rule and is_at(name[1], at)):
            self.forget(name, key)

    def forget_subject(self, subject: Subject, rules: Iterable[str]) -> None:
        """Forget what is remembered for a device or place that is gone, by any of ``rules``."""
        parts = ("", *(subject.state.seldom.parts or ())) if isinstance(subject, Device) else ("",)
        for rule in rules:
            for part in parts:
                self.forget(rule, subject.key_of(part))
        if isinstance(subject, Device):
            self.forget_member(subject, subject.places)

    def forget_member(self, device: Device, places: Iterable[Place]) -> None:
        """Forget what a device has said to the inputs of places that it has left: one of its name begins anew there."""
        for place in places:
            for rule in place.rules.by_name:
                memory = self._memories.get((rule, place.key))
                for tracks in () if memory is None else memory.tracks.values():
                    for member in [name for name in tracks if name.partition("#")[0] == device.key]:
                        self._state.touch(f"memory/{rule}/{place.key}", memory)  # type: ignore[arg-type] # it is there
                        del tracks[member]

    def of(self, rule: CompiledRule, subject: Subject, part: str, now: Present) -> Held:
        """Return what ``rule`` sees of ``subject`` now."""
        if rule.is_plain and isinstance(subject, Device):
            return subject.state.held(part)
        inputs = self._inputs(rule, subject, part, now) if rule.inputs else {}
        if isinstance(subject, Place):
            return self.said(rule, subject, inputs)
        return _over(subject.state.held(part), inputs)

    def said(self, rule: CompiledRule, place: Place, inputs: Mapping[str, Value]) -> View:
        """Return what ``rule`` sees of what stands at ``place``, with what its ``inputs`` come to."""
        return View(lambda name: self._at(place, rule, name), inputs)

    def _at(self, place: Place, rule: CompiledRule, name: str) -> list[Stamped]:
        found = [
            held.get(word)
            for kind, word in rule.scope.sources.get(name, ())
            for device in place.by_kind.get(kind, ())
            if self._modes.sees(rule.name, place, device)
            for held in device.state.by_part().values()
        ]
        return [stamped for stamped in found if stamped is not None]

    def members(self, rule: CompiledRule, wanted: CompiledInput, subject: Subject, part: str) -> list[Member]:
        """Return the devices and parts that an input of ``rule`` for ``subject`` looks at."""
        if isinstance(subject, Device):
            return [_member(subject, part, subject.state.held(part))]
        return [
            _member(device, name, held if OF_WITNESSES.isdisjoint(wanted.names) else self._known(device, held))
            for kind in wanted.kinds
            for device in subject.by_kind.get(kind, ())
            if self._modes.sees(rule.name, subject, device)
            for name, held in ({"": NOTHING} | device.state.by_part()).items()
        ]

    def _known(self, device: Device, held: Held) -> View:
        """Return a view of a witness with what the hub itself knows of it; ``testing`` it may say itself, too."""
        is_testing = self._modes.is_testing(device) or held.value(TESTING) is True
        return _over(held, {TESTING: is_testing, SILENT: device.is_silent})

    def note(self, rule: CompiledRule, device: Device, part: str, happened: int) -> None:
        """Remember that a signal came which keeps ``rule`` from raising."""
        key = device.key_of(part)
        memory = self._memories.setdefault((rule.name, key), Memory(rule.name, key))
        self._state.touch(f"memory/{rule.name}/{key}", memory)
        track = memory.tracks.setdefault("without", {}).setdefault("", Track())
        track.steps = [*track.steps, (happened, 0.0)][-NOTED:]

    def is_excused(self, rule: CompiledRule, device: Device, state: RuleState) -> bool:
        """Return whether such a signal, of the same part or of the whole device, came close enough to ``state``."""
        words = rule.rule.without
        if words is None:
            return False
        first, last = state.since - nanoseconds(words.within), state.since + nanoseconds(words.settle)
        for key in (state.key, device.key):
            memory = self._memories.get((rule.name, key))
            track = None if memory is None else memory.tracks.get("without", {}).get("")
            if track is not None and any(first <= at <= last for at, _ in track.steps):
                return True
        return False

    # ----------------------------------------------------------------------------------------------------------- inputs

    def _inputs(self, rule: CompiledRule, subject: Subject, part: str, now: Present) -> dict[str, Value]:
        memory = self._about_to_change(rule.name, subject.key_of(part))
        found: dict[str, Value] = {}
        soonest = NEVER
        for name, each in rule.inputs.items():
            tracks = memory.tracks.setdefault(name, {})
            found[name], due = each.value(self.members(rule, each, subject, part), tracks, now)
            soonest = soonest if due is None else min(soonest, due)
        self._keep(rule, memory, soonest)
        return found

    def _about_to_change(self, rule: str, key: str) -> Memory:
        """Return what is remembered for a key, or a new memory that is not kept yet."""
        memory = self._memories.get((rule, key))
        self.at_rest.pop(key, None)
        if memory is None:
            return Memory(rule, key)
        self._state.touch(f"memory/{rule}/{key}", memory)
        return memory

    def _keep(self, rule: CompiledRule, memory: Memory, due: int) -> None:
        """Keep a memory, of which something is ``due`` by itself (NEVER: not), if there is anything in it."""
        due, key = NEVER if _awaits_nothing(rule, memory) else due, (memory.rule, memory.key)
        if due == NEVER and not any(memory.tracks.values()):
            self.forget(*key)
            return
        if key not in self._memories:
            self._memories[key] = memory
            self._state.touch(f"memory/{memory.rule}/{memory.key}", memory)
        self._wait(memory, due)

    def rests_until(self, rule: CompiledRule, is_so: Sequence[bool], key: str, t: int) -> int:
        """Return until when what a part says at ``t`` leaves what ``rule`` remembers as it is; 0: it moves.

        What is due may then come later than it was, but no sooner: :meth:`waits_on` finds that out when it is due. It
        is what nearly every word of a device does, so no more is asked than must be; for 0 see :meth:`rest`.
        """
        memory = self._memories.get((rule.name, key))
        if memory is None:
            return 0 if True in is_so else NEVER
        if memory.due is None or not rule.dues_grow:
            return 0
        until = NEVER
        for (name, each), this in zip(rule.inputs.items(), is_so, strict=True):
            track = memory.tracks[name].get(key) if name in memory.tracks else None
            until = min(until, each.stays_until(track, t, is_so=this))
        return until

    def rest(self, rule: CompiledRule, is_so: Sequence[bool], part: Part, now: Present) -> int:
        """Remember what ``part`` says now for the inputs of ``rule``, which may rest; nobody asks what they come to.

        Return until when the same leaves it as it is, as :meth:`rests_until` does.
        """
        memory, device = self._about_to_change(rule.name, part.key), part.device
        member = Member(part.key, device.key, device.row.place, part, device.state.clock_error)
        due = until = NEVER
        for (name, each), this in zip(rule.inputs.items(), is_so, strict=True):
            tracks = memory.tracks.get(name)
            if tracks is None:
                tracks = memory.tracks[name] = {}
            leaves, ends = each.remember(member, tracks, now, is_so=this)
            until, due = min(until, leaves), min(due, leaves, ends)
        self._keep(rule, memory, due)
        return until if memory.due is not None and rule.dues_grow else 0

    def waits_on(self, rule: CompiledRule, device: Device, part: str, now: Present) -> bool:
        """Return whether what the inputs of ``rule`` remember has come to be due later, and wait for that."""
        key = device.key_of(part)
        memory = self._memories.get((rule.name, key))
        due = None if memory is None else self._rests_until(rule, memory, device.state.held(part), key, now)
        if memory is None or due is None or due == NEVER:
            return False
        if due != memory.due:
            self._state.touch(f"memory/{memory.rule}/{memory.key}", memory)
            self._wait(memory, due)
        return True

    @staticmethod
    def _rests_until(rule: CompiledRule, memory: Memory | None, held: Held, key: str, now: Present) -> int | None:
        """Return when the inputs of ``rule`` change by themselves (NEVER: not); None when one changes now."""
        tracks = {} if memory is None else memory.tracks
        due = NEVER
        for name, each in rule.inputs.items():
            soon = each.rest(held, tracks[name].get(key) if name in tracks else None, now)
            if soon is None:
                return None
            due = min(due, soon)
        return due

    def _wait(self, memory: Memory, due: int) -> None:
        """Look again at ``due`` (NEVER: not); whoever calls has said that the memory changes."""
        wanted = None if due == NEVER else due
        if wanted != memory.due:
            memory.due = wanted
            self._timers.put(TimerClass.WINDOW, wanted, memory.rule, memory.key)


def _awaits_nothing(rule: CompiledRule, memory: Memory) -> bool:
    """Return whether time alone brings the inputs of ``rule`` to nothing that it would act on.

    Nobody counts who would cease to, so something can only become unknown, and the rule takes that for nothing: what
    is not known to be true any more could be ended by ``clear.when``.
    """
    return not rule.minds_staleness and rule.clear is None and not any(memory.tracks.values())


def _over(base: Held, inputs: Mapping[str, Value]) -> View:
    view = View(lambda name: [stamped] if (stamped := base.get(name)) is not None else [], inputs)
    view.at = base.at
    return view


def _member(device: Device, part: str, held: Held) -> Member:
    return Member(device.key_of(part), device.key, device.row.place, held, device.state.clock_error)
