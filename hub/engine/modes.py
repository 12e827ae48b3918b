"""Test and drill: what is tried on purpose, by whom, why and until when; each ends by itself, also while blind."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from hub.durations import nanoseconds, read_duration
from hub.engine.clearing import Refusal, in_both
from hub.engine.content import Content
from hub.engine.device import Device
from hub.engine.exercising import LABELS, NAME_RULES, shown, shown_as, what_it_hides
from hub.engine.moment import Moment, Output
from hub.engine.places import Place, Subject, is_near
from hub.engine.rows import DOUBLE
from hub.engine.standing import Case
from hub.engine.state import Exercise, ExerciseKind, State
from hub.model.effects import AlarmChange, AlarmState, Event, Transition
from hub.model.records import Control
from hub.model.values import Scalar, Severity
from hub.rules.states import REAL, Mode
from hub.rules.timers import TimerClass, Timers

LONGEST_NS = 8 * 3_600_000_000_000
"""A working day: whoever needs longer says so again."""
SWITCHED_OFF = "its scene is switched off here, see hub scenes list"


class Modes:
    """The tests and drills that run; each is an entry of the engine's state, and shown among the alarms of its site."""

    def __init__(
        self, state: State, content: Content, timers: Timers, output: Output, alarming: Callable[[], Iterator[Case]]
    ) -> None:
        self._state = state
        self._content = content
        self._timers = timers
        self._output = output
        self._alarming = alarming
        self._known: dict[str, Exercise] = {}
        self._modes: dict[tuple[str, str], Mode] = {}
        self._were_any = True

    def restore(self, exercise: Exercise) -> None:
        """Take an entry of a checkpoint."""
        self._known[_entry(exercise)] = exercise
        if not exercise.is_over:
            self._timers.set(TimerClass.MODE, exercise.until_t, exercise.kind, exercise.key)

    # ------------------------------------------------------------------------------------------------- what is in which

    def of(self, rule: str, subject: Subject) -> Mode:
        """Return the mode in which an alarm of ``rule`` for ``subject`` would be raised now."""
        if not self._known:
            return REAL
        wish = (rule, subject.key)
        found = self._modes.get(wish)
        if found is None:
            found = self._modes[wish] = self._mode(rule, subject)
        return found

    def _mode(self, rule: str, subject: Subject) -> Mode:
        if isinstance(subject, Device) and subject.is_double:
            return Mode(drill=True, acts=any(each.with_commands for each in self._speaking_as(subject)), played=True)
        mine = [each for each in self._about(rule, subject) if not each.doubles or isinstance(subject, Place)]
        drills = [each for each in mine if each.kind is ExerciseKind.DRILL]
        if not mine:
            return REAL
        acts = any(each.with_commands for each in drills)
        played = any(each.doubles for each in mine)
        return Mode(test=len(mine) > len(drills), drill=bool(drills), acts=acts, played=played)

    def _running(self) -> Iterator[Exercise]:
        return (each for each in self._known.values() if not each.is_over)

    def _about(self, rule: str, subject: Subject) -> list[Exercise]:
        around = self._content.around(subject)
        return [each for each in self._running() if each.key in around and rule in (each.rules or [rule])]

    def _speaking_as(self, double: Device) -> list[Exercise]:
        name = double.device.removesuffix(DOUBLE)
        return [each for each in self._running() if each.site == double.site and name in each.doubles]

    def sees(self, rule: str, subject: Subject, device: Device) -> bool:
        """Return whether ``device`` counts for ``rule`` at ``subject``: one that is tried only where all is tried.

        Where doubles speak only they do, and nowhere else.
        """
        if not self._known or subject is device:
            return True
        played = [each for each in self._about(rule, subject) if each.doubles]
        if device.is_double or played:
            return device.is_double and any(each in played for each in self._speaking_as(device))
        return self.of(rule, device) is REAL or self.of(rule, subject) is not REAL

    def doubled(self) -> set[tuple[str, str]]:
        """Return site and name of every device that a drill speaks for."""
        return {(each.site, name) for each in self._running() for name in each.doubles}

    def look(self, case: Case, moment: Moment) -> None:
        """End the drills with doubles beside which something critical is raised for real: nobody must doubt that."""
        if case.state.mode != REAL or case.state.severity is not Severity.CRITICAL:
            return
        for each in [one for one in self._running() if one.doubles]:
            place = self._content.subject(each.key)
            if place is None or _are_beside(place[0], case.device):
                self._end(each, moment, {"overridden_by": f"{case.rule.name} {case.state.key}"})

    def may_have_tried(self) -> bool:
        """Return whether a test or drill is known, or was when this was asked last; True the first time."""
        before, self._were_any = self._were_any, bool(self._known)
        return before or self._were_any

    def is_testing(self, device: Device) -> bool:
        """Return whether ``device`` is under test."""
        return bool(self._known) and self.of("", device).test

    def forget_places(self) -> None:
        """Look up again what stands where."""
        self._modes = {}

    # ------------------------------------------------------------------------------------------------------ from people

    def start(self, kind: ExerciseKind, control: Control, moment: Moment) -> Refusal | None:
        """Begin, or prolong or shorten, what ``control`` asks; return why not.

        ``args``: ``site``, ``what`` (names of devices and places), ``for``, ``reason``; of a drill also ``rules`` (only
        these are drilled), ``with_commands``, and ``doubles``: the detectors of one place that it speaks for, by
        default with the rules of that. ``request``: what asked for it first, where a second person had to agree.
        """
        asked = self._asked(kind, control, moment)
        if isinstance(asked, Refusal):
            return asked
        for each in asked:
            self._begin(each, moment)
        return None

    def why_not(self, kind: ExerciseKind, control: Control, moment: Moment) -> Refusal | None:
        """Return why :meth:`start` would not begin what ``control`` asks."""
        asked = self._asked(kind, control, moment)
        return asked if isinstance(asked, Refusal) else None

    def _asked(self, kind: ExerciseKind, control: Control, moment: Moment) -> list[Exercise] | Refusal:
        args = control.args
        found = self._found(args)
        rules = str(args.get("rules", "")).split()
        reason = str(args.get("reason", "")).strip()
        span = _span(str(args.get("for", "")))
        if isinstance(found, Refusal):
            return found
        if wrong := self._wrong_rules(kind, rules, args):
            return wrong
        if not reason:
            return Refusal("reason_missing", "say why: whoever sees it will ask")
        if span is None:
            return Refusal("bad_duration", "longer than 0s, and 8h at most")
        doubles = str(args.get("doubles", "")).split()
        refusal = self._is_taken(kind, found, doubles) or (self._cannot_double(found, doubles) if doubles else None)
        if refusal is not None:
            return refusal
        if doubles and not rules:
            rules = sorted(found[0].rules.by_name)
        return [
            Exercise(
                kind=kind, key=subject.key, site=subject.site, actor=control.actor, reason=reason, since=moment.at,
                until_t=moment.t + span, until_at=moment.at + span, rules=rules,
                with_commands=bool(args.get("with_commands", False)), doubles=doubles,
                request=str(args.get("request") or control.id),
            )
            for subject in found
        ]  # fmt: skip

    def _wrong_rules(self, kind: ExerciseKind, rules: list[str], args: dict[str, Scalar]) -> Refusal | None:
        """Return why not these ``rules``; a drill names its own: nobody means to drill whatever may happen there."""
        if unknown := [rule for rule in rules if rule not in self._content.rules]:
            return Refusal("unknown_rule", " ".join(unknown))
        if resting := [rule for rule in rules if self._content.is_at_rest(str(args.get("site", "")), rule)]:
            return Refusal("scene_off", f"{' '.join(resting)}: {SWITCHED_OFF}")
        is_unnamed = kind is ExerciseKind.DRILL and not (rules or args.get("doubles"))
        return Refusal("rules_missing", in_both(NAME_RULES)) if is_unnamed else None

    def _is_taken(self, kind: ExerciseKind, found: list[Subject], doubles: list[str]) -> Refusal | None:
        """Return why not: where somebody speaks for detectors nobody else begins, and nobody speaks into a drill."""
        known = (self._known.get(f"mode/{kind}/{subject.key}") for subject in found)
        for each in known:
            if each is not None and not each.is_over and (each.doubles or doubles):
                return Refusal("drill_runs", f"{each.actor} drills {each.key} ({each.reason}): end that first")
        return None

    def hides(self, control: Control) -> str:
        """Return what is said to who has begun the drill that ``control`` asks, of what is real there; or nothing."""
        rules = (self._content.rules[name].rule for name in str(control.args.get("rules", "")).split())
        return "" if control.args.get("doubles") else what_it_hides(rules, control.args)

    def _cannot_double(self, found: list[Subject], names: list[str]) -> Refusal | None:
        """Return why nobody can speak for the devices ``names`` at what was ``found``."""
        place = found[0]
        if len(found) > 1 or not isinstance(place, Place) or not place.rules.by_name:
            if resting := self._rest_at(place):
                return Refusal("scene_off", f"{' '.join(resting)}: {SWITCHED_OFF}")
            return Refusal("no_rules", "name one place that rules are for: a fire zone with its detectors")
        there = [one for one in self._content.devices_of(place.site) if place.key in self._content.around(one)]
        if unknown := sorted(set(names) - {one.device for one in there if not one.is_double}):
            return Refusal("unknown_name", f"not at {place.key}: {' '.join(unknown)}")
        for rule, state, subject in self._alarming():
            if state.severity is Severity.CRITICAL and state.mode == REAL and _are_beside(place, subject):
                return Refusal("real_alarm", f"{rule.name} {state.key} stands: a drill would hide it")
        return None

    def _rest_at(self, place: Subject) -> list[str]:
        """Return the rules for such a place that are off there."""
        kind = place.row.type if isinstance(place, Place) else ""
        mine = (name for name, rule in self._content.rules.items() if rule.rule.for_each.place == kind)
        return [name for name in mine if self._content.is_at_rest(place.site, name)]

    def end(self, kind: ExerciseKind, control: Control, moment: Moment) -> Refusal | None:
        """End what ``control`` names, of a ``request`` only that, before its time; return why not."""
        found = self._found(control.args)
        if isinstance(found, Refusal):
            return found
        known = [self._known.get(f"mode/{kind}/{subject.key}") for subject in found]
        request = control.args.get("request")
        running = [each for each in known if each is not None and not each.is_over and request in {None, each.request}]
        if len(running) < len(found):
            return Refusal(f"no_such_{kind}", f"hub {kind} list shows those that run")
        for each in running:
            self._end(each, moment, {"actor": control.actor})
        return None

    def _found(self, args: dict[str, Scalar]) -> list[Subject] | Refusal:
        """Return what is named, each once; a name is a device's, or a place's, which may have an @ before it."""
        site = str(args.get("site", ""))
        found: dict[str, Subject] = {}
        for name in str(args.get("what", "")).split():
            device = self._content.find(site, name)
            place = self._content.place(site, name.removeprefix("@"))
            if device is not None and place is not None:
                return Refusal("ambiguous_name", f"{site} has a device and a place {name}: the place is @{name}")
            subject = device or place
            if subject is None:
                return Refusal("unknown_name", f"{site} has neither a device nor a place {name}")
            found[subject.key] = subject
        return list(found.values()) or Refusal("unknown_name", "name devices or places")

    def _begin(self, exercise: Exercise, moment: Moment) -> None:
        self._keep(exercise)
        self._timers.set(TimerClass.MODE, exercise.until_t, exercise.kind, exercise.key)
        words: dict[str, Scalar] = {
            "actor": exercise.actor, "reason": exercise.reason, "until": exercise.until_at // 10**6,
            "request": exercise.request,
        }  # fmt: skip
        words |= {"rules": " ".join(exercise.rules)} if exercise.rules else {}
        words |= {"with_commands": exercise.with_commands} if exercise.kind is ExerciseKind.DRILL else {}
        words |= {"doubles": " ".join(exercise.doubles)} if exercise.doubles else {}
        self._tell(exercise, "started", words, moment)
        self._output.effects.alarms.append(
            AlarmChange(exercise.site, shown_as(exercise), exercise.key, shown(exercise))
        )

    def _keep(self, exercise: Exercise) -> None:
        """Say that ``exercise`` is new or about to change, and is to be judged."""
        self._state.touch(_entry(exercise), exercise)
        exercise.is_judged, self._were_any = False, True
        self._known[_entry(exercise)] = exercise
        self._modes = {}

    def _end(self, exercise: Exercise, moment: Moment, words: dict[str, Scalar]) -> None:
        self._timers.drop(TimerClass.MODE, exercise.kind, exercise.key)
        self._keep(exercise)
        exercise.is_over = True
        self._tell(exercise, "ended", {"reason": exercise.reason, "request": exercise.request, **words}, moment)
        self._output.effects.alarms.append(AlarmChange(exercise.site, shown_as(exercise), exercise.key, None))

    def _tell(self, exercise: Exercise, what: str, words: dict[str, Scalar], moment: Moment) -> None:
        found = self._content.subject(exercise.key)
        name = f"device.{exercise.kind}_{what}"
        label = LABELS[f"{exercise.kind}_{'overridden' if 'overridden_by' in words else what}"]
        severity = Severity.HIGH if "overridden_by" in words else Severity.INFO
        self._output.event(
            Event(
                id=self._output.event_id(name, exercise.key, moment.t, 1), name=name, severity=severity,
                transition=Transition.OCCURRED, time=moment.at, key=exercise.key, rule="", rule_version="",
                site=exercise.site, building="" if found is None else found[0].building,
                device="" if found is None else found[0].device, label=label, data=words,
                causes=(moment.cause,),
            )
        )  # fmt: skip

    # ------------------------------------------------------------------------------------------------------------- time

    def ripen(self, kind: str, key: str, moment: Moment) -> None:
        """End what has come to its time."""
        exercise = self._known.get(f"mode/{kind}/{key}")
        if exercise is not None and not exercise.is_over:
            self._end(exercise, moment, {})

    def take_unjudged(self) -> list[Exercise]:
        """Return those that began or ended since the last call, which are over being forgotten now."""
        found = [each for each in self._known.values() if not each.is_judged]
        for each in found:
            if each.is_over:
                del self._known[_entry(each)]
                self._state.remove(_entry(each))
            else:
                self._state.touch(_entry(each), each)
                each.is_judged = True
        return found

    def shown(self) -> Iterator[AlarmState]:
        """Yield what runs as readers see it, in the order of keys."""
        return (shown(self._known[name]) for name in sorted(self._known) if not self._known[name].is_over)


def _are_beside(place: Subject, other: Subject) -> bool:
    """Return whether both are in one building, or at one site where one of them is in none."""
    is_wide = not (place.building and other.building)
    return is_near(place, other, "site" if is_wide else "building")


def _entry(exercise: Exercise) -> str:
    return f"mode/{exercise.kind}/{exercise.key}"


def _span(text: str) -> int | None:
    try:
        span = nanoseconds(read_duration(text))
    except ValueError:
        return None
    return span if 0 < span <= LONGEST_NS else None
