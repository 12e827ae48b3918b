"""Orders: what operators and other processes ask through the control stream, each answered once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import msgspec

from hub.commands.desired import Desired
from hub.commands.life import DEFAULT_EXPIRY_NS, Command, Lease
from hub.commands.shown import ASKS
from hub.engine.acting import Hands
from hub.engine.alarms import Alarms
from hub.engine.answers import AHEAD_NS, ANSWER_NS
from hub.engine.areas import DRILL, Areas
from hub.engine.clearing import Person, Refusal, in_both
from hub.engine.desires import Desires
from hub.engine.device import Device
from hub.engine.inquiries import Inquiries
from hub.engine.moment import Moment, Output
from hub.engine.people import People
from hub.engine.sending import Cause, Wish
from hub.engine.state import Asked, Exercise, ExerciseKind, State, Wanted
from hub.errors import PoisonError
from hub.model.effects import Reply
from hub.model.records import Control
from hub.model.values import Scalar, Severity
from hub.rules.rule import Do, Priority

LONGEST_NS = 60_000_000_000
"""A command may wait no longer (engine.md, Control)."""
COMMAND_WORDS = frozenset({"site", "device", "place", "part", "command", "seen"})
Verb = Callable[[Control, Moment], Reply]


class Orders:
    """Verbs of the control stream: ``ack``, ``clear`` (a latched one), ``comment`` and ``shelve`` of alarms; others.

    Those are ``command``, ``confirm``, ``cancel``, ``commands``, ``desire``, ``reload``, and ``retry`` of dead letters;
    ``test``, ``end_test``, ``drill`` and ``end_drill`` of devices and places. A known id gets its old answer.
    """

    def __init__(  # noqa: PLR0913, PLR0917 -- the parts of the engine that people ask something of
        self, state: State, areas: Areas, alarms: Alarms, hands: Hands, desires: Desires, output: Output, retake: Verb
    ) -> None:
        self._state = state
        self._areas = areas
        self._content = areas.content
        self._people = People(state, alarms)
        self._hands = hands
        self._desires = desires
        self._output = output
        inquiries = Inquiries(areas, hands, desires)
        modes = self._modes = alarms.modes
        self._verbs: dict[str, Verb] = {
            "ack": partial(self._of_alarm, self._people.acknowledge),
            "clear": self._clear,
            "comment": self._comment,
            "shelve": self._shelve,
            "command": self._command,
            "confirm": self._confirm,
            "cancel": inquiries.cancel,
            "desire": desires.desire,
            ASKS: inquiries.commands,
            "reload": self._reloaded,
            "retry": retake,
            "test": self._of_mode(modes.start, ExerciseKind.TEST),
            "end_test": self._of_mode(modes.end, ExerciseKind.TEST),
            "drill": self._drill,
            "end_drill": self._of_mode(modes.end, ExerciseKind.DRILL),
        }

    def restore(self, entry: Asked) -> None:
        """Take an entry of a checkpoint."""
        match entry:
            case Command() | Lease():
                self._hands.restore(entry)
            case Exercise():
                self._modes.restore(entry)
            case Wanted():
                self._areas.restore(entry)
            case Desired():
                self._desires.restore(entry)

    def control(self, control: Control, moment: Moment) -> None:
        """Answer ``control``; what it asks happens at most once. A report of our own rim becomes an event."""
        if not control.entry:
            self._report({word: value for word, value in control.args.items() if word != "name"}, control, moment)
            return
        clock, answers = self._state.clock, self._state.answers
        clock.last_entry = control.entry
        is_news = _place(control.entry) > _place(answers.newest)  # else Redis went back, and its ids with it
        if is_news:
            answers.newest = control.entry
        answers.forget(moment)
        known = answers.by_id.get(control.id)
        if known is not None:
            reply = known[1]
        elif not is_news and control.expires_at <= answers.forgotten <= moment.at + AHEAD_NS:
            reply = Reply(control.id, ok=False, code="expired", detail="Redis went back: it may be answered already")
        else:
            reply = self._answer(control, moment)
        if known is None and control.verb != ASKS:
            answers.keep(control, reply, moment)
        self._output.effects.replies.append(reply)

    def _report(self, data: dict[str, Scalar], control: Control, moment: Moment) -> None:
        """Tell what our rim noticed; of what somebody counts (``total``, from 0 again when he begins anew) the news."""
        if "total" in data:
            known, total = self._state.clock.dropped, int(data.pop("total"))
            self._state.clock.dropped = total
            data["dropped"] = total - known if total >= known else total
        if data.get("dropped") != 0:
            self._output.report(f"device.{control.args['name']}", Severity.HIGH, data, moment)

    def _answer(self, control: Control, moment: Moment) -> Reply:
        if control.expires_at < moment.at:
            return Reply(control.id, ok=False, code="expired", detail="it came after its expires_at")
        if control.verb == "command" and control.expires_at > moment.at + LONGEST_NS:
            return Reply(control.id, ok=False, code="bad_expiry", detail="a command expires within 60 s")
        if control.expires_at > moment.at + ANSWER_NS:
            return Reply(control.id, ok=False, code="bad_expiry", detail="a request expires within 5 minutes")
        verb = self._verbs.get(control.verb)
        if verb is None:
            return Reply(control.id, ok=False, code="unknown_verb", detail=f"verbs: {', '.join(self._verbs)}")
        return verb(control, moment)

    def _of_alarm(self, verb: Callable[[str, str, str, Moment], str], control: Control, moment: Moment) -> Reply:
        rule, key = str(control.args.get("rule", "")), str(control.args.get("key", ""))
        code = verb(rule, key, control.actor, moment)
        return Reply(control.id, ok=code == "ok", code=code, detail=f"{rule} {key}")

    def _clear(self, control: Control, moment: Moment) -> Reply:
        rule, key = str(control.args.get("rule", "")), str(control.args.get("key", ""))
        person = Person(control.actor, str(control.args.get("role", "")), str(control.args.get("reason", "")))
        return _reply(control, f"{rule} {key}", self._people.clear(rule, key, person, moment))

    def _of_mode(self, verb: Callable[[ExerciseKind, Control, Moment], Refusal | None], kind: ExerciseKind) -> Verb:
        def answer(control: Control, moment: Moment) -> Reply:
            about = f"{control.args.get('site', '')}: {control.args.get('what', '')}"
            return _reply(control, about, verb(kind, control, moment))

        return answer

    def _drill(self, control: Control, moment: Moment) -> Reply:
        """Begin a drill; one that tells devices what to do when a second person has agreed."""
        if not control.args.get("with_commands"):
            return self._begin_drill(control, moment)
        refusal = self._modes.why_not(ExerciseKind.DRILL, control, moment) or self._areas.ask(control, {}, moment)
        if refusal is not None:
            return _reply(control, f"{control.args.get('site', '')}: {control.args.get('what', '')}", refusal)
        return _waits(control, "its commands leave")

    def _begin_drill(self, control: Control, moment: Moment) -> Reply:
        """Begin a drill; who does is told what it hides."""
        reply = self._of_mode(self._modes.start, ExerciseKind.DRILL)(control, moment)
        warning = self._modes.hides(control) if reply.ok else ""
        return msgspec.structs.replace(reply, detail=f"{reply.detail}. {warning}") if warning else reply

    def _comment(self, control: Control, moment: Moment) -> Reply:
        return self._of_alarm(partial(self._people.comment, str(control.args.get("text", ""))), control, moment)

    def _shelve(self, control: Control, moment: Moment) -> Reply:
        return self._of_alarm(partial(self._people.shelve, str(control.args.get("for", ""))), control, moment)

    def _reloaded(self, control: Control, moment: Moment) -> Reply:
        """Answer what came of reading rules and profiles again: the rim did, and ``args`` say what it found."""
        refused = str(control.args.get("refused", ""))
        if refused:
            return Reply(control.id, ok=False, code="revision_refused", detail=refused)
        changed = int(control.args.get("changed", 0))
        if changed:
            data: dict[str, Scalar] = {"actor": control.actor, "changed": changed}
            self._output.report("device.content_reloaded", Severity.INFO, data, moment)
        code = "reloaded" if changed else "unchanged"
        return Reply(control.id, ok=True, code=code, detail=f"{changed} documents changed")

    def _command(self, control: Control, moment: Moment) -> Reply:
        words: dict[str, Scalar] = control.args
        if words.get("place"):
            return self._area(control, moment)
        device = self._content.find(str(words.get("site", "")), str(words.get("device", "")))
        if device is None:
            where = f"{words.get('site')}/{words.get('device')}"
            return Reply(control.id, ok=False, code="unknown_device", detail=where)
        expiry = min(DEFAULT_EXPIRY_NS, control.expires_at - moment.at)
        wish = _wish(control.id, device, words, Cause(f"operator {control.actor}", expiry))
        wish = _refuse_seen(words, [device]) or wish
        if isinstance(wish, Refusal):
            return Reply(control.id, ok=False, code=wish.code, detail=wish.why)
        first, *others = _each(wish._replace(is_seen=words.get("seen") is True))
        if others:
            reply = self._request(control, [first, *others], moment)
            return msgspec.structs.replace(reply, detail=f"{first.identity} to {others[-1].identity}: {reply.detail}")
        refusal = self._hands.request(first, moment)
        code, detail = (self._hands.standing(control.id), control.id) if refusal is None else refusal
        return Reply(control.id, ok=refusal is None, code=code, detail=detail)

    # ------------------------------------------------------------------------------------------ with a second person

    def _area(self, control: Control, moment: Moment) -> Reply:
        """Send a command to the only device of a place that takes it; to several when a second person has agreed."""
        words, actor = control.args, f"operator {control.actor}"
        devices = self._targets(words)
        if isinstance(devices, Refusal):
            return _reply(control, str(words.get("place")), devices)
        wishes = [_wish(control.id, device, words, Cause(actor)) for device in devices]
        refused = next((each for each in wishes if isinstance(each, Refusal)), None)
        if refused is not None:
            return _reply(control, str(words.get("place")), refused)
        if len(devices) == 1:
            only = {**words, "device": devices[0].device}
            return self._command(msgspec.structs.replace(control, args={**only, "place": ""}), moment)
        refused = _refuse_seen(words, devices) or self._areas.ask(control, {"devices": len(devices)}, moment)
        if refused is not None:
            return _reply(control, str(words.get("place")), refused)
        return _waits(control, f"{len(devices)} devices")

    def _targets(self, words: Mapping[str, Scalar]) -> list[Device] | Refusal:
        name = str(words.get("command", ""))
        found = self._areas.targets(str(words.get("site", "")), str(words.get("place", "")), name)
        if found is None:
            return Refusal("unknown_place", f"{words.get('site')} has no place {words.get('place')}")
        return found or Refusal("unknown_command", f"nothing there takes {name}")

    def _confirm(self, control: Control, moment: Moment) -> Reply:
        """Send what waited for a second person, to those that stand there now; each is told what becomes of it."""
        wanted = self._areas.agree(control, moment)
        if isinstance(wanted, Refusal):
            return _reply(control, str(control.args.get("request", "")), wanted)
        if DRILL in wanted.args:
            args = {**wanted.args, "request": wanted.id}
            both = msgspec.structs.replace(control, actor=f"{wanted.actor} with {control.actor}", args=args)
            return self._begin_drill(both, moment)
        devices = self._targets(wanted.args)
        if isinstance(devices, Refusal):
            return _reply(control, wanted.id, devices)
        cause = Cause(f"operator {wanted.actor} with {control.actor}")
        wishes = [_wish(f"{wanted.id}-{n}", device, wanted.args, cause) for n, device in enumerate(devices, 1)]
        apart = ([wish] if isinstance(wish, Refusal) else _each(wish) for wish in wishes)
        return self._request(control, [each for some in apart for each in some], moment)

    def _request(self, control: Control, wishes: Sequence[Wish | Refusal], moment: Moment) -> Reply:
        """Send several commands; what becomes of each is told."""
        refusals = [each if isinstance(each, Refusal) else self._hands.request(each, moment) for each in wishes]
        sent = sum(refusal is None for refusal in refusals)
        code = "accepted" if sent == len(wishes) else "partly_accepted" if sent else "refused"
        reasons = ", ".join(sorted({f"{each.code}: {each.why}" for each in refusals if each is not None}))
        detail = f"{sent} of {len(wishes)}" + (f"; {reasons}" if reasons else "")
        return Reply(control.id, ok=sent > 0, code=code, detail=detail)


def _place(entry: str) -> tuple[int, ...]:
    """Return the two numbers of a stream's entry, which compare as entries do."""
    return tuple(map(int, entry.split("-")))


def _wish(identity: str, device: Device, words: Mapping[str, Scalar], cause: Cause) -> Wish | Refusal:
    """Return what a person wants of a device, or what is wrong with it."""
    name = str(words.get("command", ""))
    if name not in device.commands:
        known = ", ".join(sorted(device.commands)) or "none"
        return Refusal("unknown_command", f"a {device.kind} takes: {known}")
    if not device.can(name):
        return Refusal("unknown_command", in_both(device.why_not(name)))
    args = {word: value for word, value in words.items() if word not in COMMAND_WORDS}
    try:
        device.settle_args(name, args)
    except PoisonError as error:
        return Refusal(error.code, error.message)
    action = Do(command=name, args=args, priority=Priority.OPERATOR)
    return Wish(identity, device, str(words.get("part", "")), action, cause)


def _each(wish: Wish) -> list[Wish]:
    """Return what is wanted of each part, where the whole of a device is told so; else the wish."""
    parts = wish.device.told_as(wish.action.command, wish.part)
    names = [f"{wish.identity}-{n}" for n, _ in enumerate(parts, 1)] if len(parts) > 1 else [wish.identity]
    return [wish._replace(identity=name, part=part) for name, part in zip(names, parts, strict=True)]


def _refuse_seen(words: Mapping[str, Scalar], devices: Sequence[Device]) -> Refusal | None:
    """Return why what a person saw is no reason to send this to ``devices``; None when it is, or nobody says so."""
    name = str(words.get("command", ""))
    if words.get("seen") is not True:
        return None
    if len(devices) > 1:
        return Refusal(
            "seen_is_of_one_device", f"--seen is for one device, this is for {len(devices)}: name the device"
        )
    if any(device.is_hold(name) for device in devices if device.can(name)):
        return Refusal("seen_is_of_now", f"{name} holds longer than what a person saw is true: send it without --seen")
    return None


def _waits(control: Control, what: str) -> Reply:
    """Return what the first of two persons is answered."""
    how = f"somebody else says hub commands confirm {control.args.get('site')} {control.id}"
    return Reply(control.id, ok=True, code="needs_second_person", detail=f"{what}: within 5 minutes {how}")


def _reply(control: Control, about: str, refusal: Refusal | None) -> Reply:
    code, why = ("ok", "") if refusal is None else refusal
    return Reply(control.id, ok=refusal is None, code=code, detail=f"{about}: {why}" if why else about)
