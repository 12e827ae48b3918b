"""What is desired of devices, lastingly: taken from people, shown beside what is reported, sent until it is so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from zlib import crc32

import msgspec

from hub.commands.desired import Desired, Move, Progress, Seen, hindered, is_same, look, overruled, tried
from hub.commands.life import OPEN, Command, CommandState
from hub.engine.acting import Hands
from hub.engine.clearing import Refusal, in_both
from hub.engine.content import Content
from hub.engine.device import Device, Part
from hub.engine.guards import is_gone
from hub.engine.leasing import numbered
from hub.engine.moment import Moment, Output
from hub.engine.sending import Cause, Wish
from hub.engine.state import State
from hub.model.effects import DesiredValue, Event, Reply, Transition, Twin
from hub.model.records import Control
from hub.model.values import Scalar, Severity
from hub.rules.rule import Do, Priority
from hub.rules.timers import TimerClass, Timers

DESIRED = "desired"
LOOK_NS, LOOK_AGAIN_NS = 2_000_000_000, 10_000_000_000
"""How often one that is pending is looked at, and any other: messages wake none, so they pay for none. At which moments
follows from its name alone, each a little apart: whoever goes on from a checkpoint looks at the same."""
MOST = 10_000
_LABELS = {
    "desired_set": {"en": "Something is desired of a device", "zh": "已设置期望值"},
    "desired_cleared": {"en": "It is no longer desired of a device", "zh": "已取消期望值"},
    "desired_refused": {"en": "A device does not become what is desired", "zh": "期望值无法达成"},
    "diverged": {"en": "A device is no longer what is desired", "zh": "设备状态偏离期望值"},
    "reconciled": {"en": "A device is what is desired", "zh": "设备状态已与期望值一致"},
}
_SEVERITIES = {"diverged": Severity.LOW, "desired_refused": Severity.MEDIUM}


class Desires:
    """Desired values by twin; each is an entry of the state.

    Their commands are of the lowest priority: whoever holds an actuator, or commands it, has his way, and whoever had
    something else done has it for good. A wish is not an order.
    """

    def __init__(self, state: State, content: Content, timers: Timers, hands: Hands, output: Output) -> None:
        self._state, self._content = state, content
        self._timers, self._hands, self._output = timers, hands, output
        self._wanted: dict[str, Desired] = {}
        self._of: dict[tuple[str, str], dict[tuple[str, str], Desired]] = {}
        self._changed: dict[tuple[str, str, str], None] = {}

    def restore(self, wanted: Desired) -> None:
        """Take an entry of a checkpoint, behind its clock: the next look is when it would have been."""
        self._put(wanted)
        self._wait(wanted.key, wanted, self._state.clock.t)

    def _put(self, wanted: Desired) -> None:
        self._wanted[wanted.key] = wanted
        self._of.setdefault((wanted.site, wanted.device), {})[wanted.part, wanted.name] = wanted

    def _keep(self, wanted: Desired, moment: Moment) -> None:
        self._put(wanted)
        self._state.touch(f"desired/{wanted.key}", wanted)
        self._changed[wanted.site, wanted.device, wanted.part] = None
        self._wait(wanted.key, wanted, moment.t)

    def _call_back(self, wanted: Desired, moment: Moment) -> None:
        """End the command of a wish that is over, if it still waits for its device to speak."""
        last = self._hands.commands.get(wanted.last)
        if last is not None and last.state is CommandState.WAITING:
            self._hands.take_back(last, "no longer desired", moment)

    def _forget(self, wanted: Desired, moment: Moment) -> None:
        self._call_back(wanted, moment)
        del self._wanted[wanted.key]
        beside = self._of[wanted.site, wanted.device]
        del beside[wanted.part, wanted.name]
        if not beside:
            del self._of[wanted.site, wanted.device]
        self._state.remove(f"desired/{wanted.key}")
        self._timers.drop(TimerClass.RUNNING, DESIRED, wanted.key)
        self._changed[wanted.site, wanted.device, wanted.part] = None

    # ------------------------------------------------------------------------------------------------------ from people

    def desire(self, control: Control, moment: Moment) -> Reply:
        """Want ``value`` of the property ``name`` from now on; without a value, no longer want anything of it."""
        words = control.args
        device = self._content.find(str(words.get("site", "")), str(words.get("device", "")))
        if device is None:
            return _refused(control, Refusal("unknown_device", f"{words.get('site')}/{words.get('device')}"))
        if "value" not in words:
            return self._clear(control, device, moment)
        wanted = self._desired(control, device, moment)
        if isinstance(wanted, Refusal):
            return _refused(control, wanted)
        before = self._wanted.get(wanted.key)
        if before is not None:
            self._call_back(before, moment)
        self._tell(wanted, "desired_set", {"by": f"operator {control.actor}", "detail": wanted.reason}, moment)
        self._keep(wanted, moment)
        if self._state.clock.blind_since is None:
            wanted = self._look(wanted, device, moment, is_new=True)
        detail = f"{wanted.name}={words['value']}" + (f": {wanted.detail}" if wanted.detail else "")
        return Reply(control.id, ok=True, code=wanted.progress.value, detail=detail)

    def _desired(self, control: Control, device: Device, moment: Moment) -> Desired | Refusal:
        words = control.args
        name, value, part = str(words.get("name", "")), words["value"], str(words.get("part", ""))
        found = {command: kind for command, kind in device.commands.items() if name in kind.makes}
        made = [command for command, kind in found.items() if is_same(kind.makes[name], value)]
        if not made:
            known = sorted(f"{each}={said}" for kind in device.commands.values() for each, said in kind.makes.items())
            code = "bad_value" if found else "not_writable"
            return Refusal(code, f"of a {device.kind} can be desired: {', '.join(known) or 'nothing'}")
        if not device.can(made[0]):
            return Refusal("unknown_command", in_both(device.why_not(made[0])))
        return _no_such_part(device, part, name) or self._too_many(device, part, name) or Desired(
            id=control.id, site=device.site, device=device.device, part=part, name=name, value=value, command=made[0],
            sets=device.commands[made[0]].sets or "", actor=control.actor, reason=str(words.get("reason", "")),
            set_at=moment.at, since=moment.at,
        )  # fmt: skip

    def _too_many(self, device: Device, part: str, name: str) -> Refusal | None:
        is_new = f"{device.key}#{part}/{name}" not in self._wanted
        return Refusal("too_many", f"{MOST} values are desired") if is_new and len(self._wanted) >= MOST else None

    def _clear(self, control: Control, device: Device, moment: Moment) -> Reply:
        name, part = str(control.args.get("name", "")), str(control.args.get("part", ""))
        wanted = self._wanted.get(f"{device.key}#{part}/{name}")
        if wanted is None:
            return _refused(control, Refusal("not_desired", f"nothing is desired of {name} there"))
        self._forget(wanted, moment)
        words: dict[str, Scalar] = {"by": f"operator {control.actor}", "detail": str(control.args.get("reason", ""))}
        self._tell(wanted, "desired_cleared", words, moment)
        return Reply(control.id, ok=True, code="cleared", detail=f"{name} was to be {wanted.value}")

    # ------------------------------------------------------------------------------------------------ held to the world

    def ripen(self, owner: str, key: str, moment: Moment) -> None:
        """Look at one whose time has come; while the hub is blind, what is reported may be long over."""
        wanted = self._wanted.get(key) if owner == DESIRED else None
        if wanted is None:
            return
        clock = self._state.clock
        if clock.blind_since is None and _next(key, wanted.progress, clock.t) <= moment.t:
            device = self._content.find(wanted.site, wanted.device)
            if device is not None and not _is_at_rest(wanted, device):
                wanted = self._look(wanted, device, moment)
        self._wait(key, wanted, moment.t)

    def _wait(self, key: str, wanted: Desired, t: int) -> None:
        self._timers.set(TimerClass.RUNNING, _next(key, wanted.progress, t), DESIRED, key)

    def _look(self, wanted: Desired, device: Device, moment: Moment, *, is_new: bool = False) -> Desired:
        """Hold what is desired to what is reported, and do what follows; return what became of it."""
        before = wanted
        wanted, move = look(wanted, self._seen(wanted, device, moment))
        match move:
            case Move.TRY:
                wanted = self._try(wanted, device, moment)
            case Move.DIVERGED:
                self._tell(wanted, "diverged", self._said(wanted, device), moment)
            case Move.RECONCILED if not is_new:
                self._tell(wanted, "reconciled", {"tries": wanted.tries}, moment)
            case Move.GAVE_UP:
                self._tell(wanted, "desired_refused", {"detail": wanted.detail}, moment)
            case _:
                pass
        if wanted is not before:
            self._keep(wanted, moment)
        return wanted

    def _seen(self, wanted: Desired, device: Device, moment: Moment) -> Seen:
        stamped = device.state.held(wanted.part).get(wanted.name)
        known, last = device.state, self._hands.commands.get(wanted.last)
        is_away = is_gone(device) or not known.heard_at
        is_open = last is not None and last.state in OPEN
        end = "" if last is None else f"{last.state} {last.detail}".rstrip()
        return Seen(None if stamped is None else stamped[0], not is_away, is_open, end, moment.at, moment.t)

    def _try(self, wanted: Desired, device: Device, moment: Moment) -> Desired:
        why = self._hands.hindrance(device, wanted.part, wanted.command, moment)
        if why:
            return hindered(wanted, why)
        identity = numbered(f"{wanted.id}-", wanted.sent + 1, self._state.clock)
        cause = Cause(f"desired by operator {wanted.actor}")
        action = Do(command=wanted.command, args={}, priority=Priority.CONVENIENCE)
        self._hands.request(Wish(identity, device, wanted.part, action, cause), moment)
        return tried(wanted, identity, moment.t)

    def look_at_commands(self, moment: Moment) -> None:
        """Give up what somebody had otherwise done by a command of this record, or took back; a hold ends by itself.

        Who takes the command of a wish back has read what it would do, and does not want it done: not later either.
        """
        for command in self._hands.take_taken_back():
            wanted = self.behind(command)
            if wanted is not None:
                self._overrule(wanted, f"{command.name} was cancelled by {command.detail}", moment)
        for command in self._hands.take_sent():
            for wanted in self._at(command.site, command.device):
                device = self._content.find(wanted.site, wanted.device)
                known = None if device is None else device.commands.get(command.name)
                sets = command.sets if known is None else known.sets  # this very record may have taken it from its kind
                if not wanted.is_overruled and _is_contrary(command, sets, wanted):
                    self._overrule(wanted, f"{command.cause} sent {command.name}", moment)

    def behind(self, command: Command) -> Desired | None:
        """Return the wish that sent ``command`` and is not over; None for any other command."""
        whose = command.id.rpartition("-")[0]
        mine = (each for each in self._at(command.site, command.device) if each.id == whose)
        return next((each for each in mine if not each.is_overruled), None)

    def _overrule(self, wanted: Desired, why: str, moment: Moment) -> None:
        wanted = overruled(wanted, why, moment.at)
        self._keep(wanted, moment)
        self._tell(wanted, "desired_refused", {"detail": wanted.detail}, moment)

    def forget(self, device: Device, moment: Moment) -> list[tuple[str, str]]:
        """Want nothing any more of a device that is taken away; return (site, name) of its twins."""
        twins = self.begin_anew(device)
        for wanted in self._at(*device.identity):
            self._forget(wanted, moment)
            self._tell(wanted, "desired_cleared", {"by": "", "detail": "the device is taken away"}, moment)
        return twins

    def begin_anew(self, device: Device) -> list[tuple[str, str]]:
        """Return (site, name) of its twins, before its words are forgotten; what is desired of it is shown again."""
        self._changed |= {(each.site, each.device, each.part): None for each in self._at(*device.identity)}
        return [(twin.site, twin.name) for twin in self.twins_of(device)]

    def _said(self, wanted: Desired, device: Device) -> dict[str, Scalar]:
        stamped = device.state.held(wanted.part).get(wanted.name)
        return {} if stamped is None else {"reported": stamped[0]}

    def _tell(self, wanted: Desired, what: str, words: Mapping[str, Scalar], moment: Moment) -> None:
        data: dict[str, Scalar] = {
            "property": wanted.name, "desired": wanted.value, "wanted_by": f"operator {wanted.actor}", **words,
        }  # fmt: skip
        device = self._content.find(wanted.site, wanted.device)
        self._output.event(
            Event(
                id=self._output.event_id(DESIRED, f"{wanted.key} {what}", moment.t, 1), name=f"device.{what}",
                severity=_SEVERITIES.get(what, Severity.INFO), transition=Transition.OCCURRED, time=moment.at,
                key=f"{wanted.site}/{wanted.device}" + (f"#{wanted.part}" if wanted.part else ""), rule="",
                rule_version="", site=wanted.site, building="" if device is None else device.building,
                device=wanted.device, part=wanted.part, label=_LABELS[what], data=data, causes=(moment.cause,),
            )
        )  # fmt: skip

    # ------------------------------------------------------------------------------------------------------ as it looks

    def twins_of(self, device: Device) -> list[Twin]:
        """Return the twins of a device: of each part that has said something, or that something is desired of."""
        wanted = (each.part for each in self._at(*device.identity)) if self._of else ()
        return [self._twin(device, part) for part in dict.fromkeys([*device.state.by_part(), *wanted])]

    def changed_twins(self, parts: Sequence[Part]) -> Iterator[Twin]:
        """Return the changed twins of ``parts``, and of what is desired: each in its turn, for 100,000 are 70 MB."""
        mine, self._changed = self._changed, {}
        return self._changed_twins(parts, mine)

    def _changed_twins(self, parts: Sequence[Part], mine: dict[tuple[str, str, str], None]) -> Iterator[Twin]:
        find = self._content.find
        for each in parts:  # nearly one a message where messages are few, or devices many
            device = each.device
            if device.whole is each or device.parts.get(each.name) is each:  # else it is of a device that is gone
                yield self._twin(device, each.name) if self._of else each.twin()
                if mine:
                    mine.pop((device.site, device.device, each.name), None)
        own = ((find(site, name), part) for site, name, part in mine)
        yield from (self._twin(device, part) for device, part in own if device is not None)

    def _twin(self, device: Device, part: str) -> Twin:
        """Return a twin with what is desired of its part."""
        twin = device.twin(part)
        if not self._of or (device.site, device.device) not in self._of:
            return twin
        mine = [each for each in self._at(*device.identity) if each.part == part]
        if not mine:
            return twin
        shown = {
            each.name: DesiredValue(
                value=each.value, progress=each.progress.value, since=each.since, set_at=each.set_at,
                by=f"operator {each.actor}", reason=each.reason, detail=each.detail,
            )
            for each in mine
        }  # fmt: skip
        return msgspec.structs.replace(twin, desired=shown)

    def _at(self, site: str, device: str) -> list[Desired]:
        """Return what is desired of a device, by part and property."""
        return [each for _, each in sorted(self._of.get((site, device), {}).items())]


def _next(key: str, progress: Progress, t: int) -> int:
    """Return the first moment after ``t`` at which the one of this key is looked at."""
    every = LOOK_NS if progress is Progress.PENDING else LOOK_AGAIN_NS
    return t + every - (t - crc32(key.encode())) % every


def _is_at_rest(wanted: Desired, device: Device) -> bool:
    """Return whether it is as desired and was before, as nearly all are."""
    if wanted.progress is not Progress.SATISFIED or wanted.was_away:
        return False
    stamped = device.state.held(wanted.part).get(wanted.name)
    return stamped is not None and is_same(stamped[0], wanted.value)


def _is_contrary(command: Command, sets: str | None, wanted: Desired) -> bool:
    overlaps = command.part == wanted.part or not (command.part and wanted.part)
    return sets == wanted.sets and overlaps and command.name != wanted.command


def _no_such_part(device: Device, part: str, name: str) -> Refusal | None:
    """Refuse a part of which a device that has spoken never did; or the whole, where its parts alone say ``name``."""
    by_part = device.state.by_part()
    saying = [each for each, held in by_part.items() if held.get(name) is not None]
    if not any(by_part) or part in ((not part and saying) or by_part):
        return None
    return Refusal("unknown_part" if part else "part_needed", f"its parts: {', '.join(sorted(filter(None, by_part)))}")


def _refused(control: Control, refusal: Refusal) -> Reply:
    return Reply(control.id, ok=False, code=refusal.code, detail=refusal.why)
