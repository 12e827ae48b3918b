"""Orders: what operators and other processes ask through the control stream, each answered once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from hub.commands.life import DEFAULT_EXPIRY_NS
from hub.engine.acting import Hands
from hub.engine.alarms import Alarms
from hub.engine.clearing import Person, Refusal
from hub.engine.content import Content
from hub.engine.moment import Moment, Output
from hub.engine.people import People
from hub.engine.sending import Cause, Wish
from hub.engine.state import ExerciseKind, State
from hub.errors import PoisonError
from hub.model import Control, Reply, Scalar, Severity
from hub.rules.rule import DEFAULT_TTL, Do, Priority

ANSWER_NS = 300_000_000_000
MAX_ANSWERS = 10_000
LONGEST_NS = 60_000_000_000
"""A command may wait no longer (engine.md, Control)."""
COMMAND_WORDS = frozenset({"site", "device", "part", "command"})
Verb = Callable[[Control, Moment], Reply]


class Orders:
    """Verbs of the control stream: ``ack``, ``clear`` (a latched one), ``comment`` and ``shelve`` of alarms; others.

    Those are ``command`` and ``reload``; ``test``, ``end_test``, ``drill`` and ``end_drill`` of devices and places. A
    known id gets its old answer.
    """

    def __init__(self, state: State, content: Content, alarms: Alarms, hands: Hands, output: Output) -> None:
        self._state = state
        self._content = content
        self._people = People(state, alarms)
        self._hands = hands
        self._output = output
        modes = alarms.modes
        self._verbs: dict[str, Verb] = {
            "ack": partial(self._of_alarm, self._people.acknowledge),
            "clear": self._clear,
            "comment": self._comment,
            "shelve": self._shelve,
            "command": self._command,
            "reload": self._reloaded,
            "test": self._of_mode(modes.start, ExerciseKind.TEST),
            "end_test": self._of_mode(modes.end, ExerciseKind.TEST),
            "drill": self._of_mode(modes.start, ExerciseKind.DRILL),
            "end_drill": self._of_mode(modes.end, ExerciseKind.DRILL),
        }

    def control(self, control: Control, moment: Moment) -> None:
        """Answer ``control``; what it asks happens at most once. A report of our own rim becomes an event."""
        if not control.entry:
            data = {word: value for word, value in control.args.items() if word != "name"}
            self._output.report(f"device.{control.args['name']}", Severity.HIGH, data, moment)
            return
        self._state.clock.last_entry = control.entry
        answers = self._state.answers.by_id
        for old in [key for key, (until, _) in answers.items() if until < moment.t][:100]:
            del answers[old]
        known = answers.get(control.id)
        reply = known[1] if known is not None else self._answer(control, moment)
        if known is None and len(answers) < MAX_ANSWERS:
            answers[control.id] = (moment.t + ANSWER_NS, reply)
        self._output.effects.replies.append(reply)

    def _answer(self, control: Control, moment: Moment) -> Reply:
        if control.expires_at < moment.at:
            return Reply(control.id, ok=False, code="expired", detail="it came after its expires_at")
        if control.verb == "command" and control.expires_at > moment.at + LONGEST_NS:
            return Reply(control.id, ok=False, code="bad_expiry", detail="a command expires within 60 s")
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
        person = Person(control.actor, str(control.args.get("role", "")))
        return _reply(control, f"{rule} {key}", self._people.clear(rule, key, person, moment))

    def _of_mode(self, verb: Callable[[ExerciseKind, Control, Moment], Refusal | None], kind: ExerciseKind) -> Verb:
        def answer(control: Control, moment: Moment) -> Reply:
            about = f"{control.args.get('site', '')}: {control.args.get('what', '')}"
            return _reply(control, about, verb(kind, control, moment))

        return answer

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
        device = self._content.find(str(words.get("site", "")), str(words.get("device", "")))
        if device is None:
            where = f"{words.get('site')}/{words.get('device')}"
            return Reply(control.id, ok=False, code="unknown_device", detail=where)
        name = str(words.get("command", ""))
        if name not in device.commands:
            known = ", ".join(sorted(device.commands)) or "none"
            return Reply(control.id, ok=False, code="unknown_command", detail=f"a {device.kind} takes: {known}")
        if not device.can(name):
            detail = f"{device.profile or device.row.source} does not say how {device.key} is told to {name}"
            return Reply(control.id, ok=False, code="unknown_command", detail=detail)
        args = {word: value for word, value in words.items() if word not in COMMAND_WORDS}
        try:
            device.settle_args(name, args)
        except PoisonError as error:
            return Reply(control.id, ok=False, code=error.code, detail=error.message)
        if device.is_hold(name):
            args.setdefault("ttl", DEFAULT_TTL)
        action = Do(command=name, args=args, priority=Priority.OPERATOR)
        part = str(words.get("part", ""))
        expiry = min(DEFAULT_EXPIRY_NS, control.expires_at - moment.at)
        wish = Wish(control.id, device, part, action, Cause(f"operator {control.actor}", expiry))
        refusal = self._hands.request(wish, moment)
        if refusal is not None:
            return Reply(control.id, ok=False, code=refusal.code, detail=refusal.why)
        return Reply(control.id, ok=True, code="accepted", detail=control.id)


def _reply(control: Control, about: str, refusal: Refusal | None) -> Reply:
    code, why = ("ok", "") if refusal is None else refusal
    return Reply(control.id, ok=refusal is None, code=code, detail=f"{about}: {why}" if why else about)
