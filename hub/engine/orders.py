"""Orders: what operators and other processes ask through the control stream, each answered once."""

from __future__ import annotations

from collections.abc import Callable

from hub.commands.life import DEFAULT_EXPIRY_NS
from hub.engine.acting import Cause, Hands
from hub.engine.alarms import Alarms
from hub.engine.content import Content
from hub.engine.moment import Moment, Output
from hub.engine.state import State
from hub.errors import PoisonError
from hub.model import Control, Reply, Scalar, Severity
from hub.rules.rule import Do, Priority

ANSWER_NS = 300_000_000_000
MAX_ANSWERS = 10_000
LONGEST_NS = 60_000_000_000
"""A command may wait no longer (engine.md, Control)."""
COMMAND_WORDS = frozenset({"site", "device", "part", "command"})


class Orders:
    """Verbs of the control stream: ``ack``, ``clear`` (a latched alarm), ``command``. A known id: its old answer."""

    def __init__(self, state: State, content: Content, alarms: Alarms, hands: Hands, output: Output) -> None:
        self._state = state
        self._content = content
        self._alarms = alarms
        self._hands = hands
        self._output = output

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
        match control.verb:
            case "ack":
                return self._of_alarm(control, self._alarms.acknowledge, moment)
            case "clear":
                return self._of_alarm(control, self._alarms.clear, moment)
            case "command":
                return self._command(control, moment)
            case _:
                return Reply(control.id, ok=False, code="unknown_verb", detail="verbs: ack, clear, command")

    def _of_alarm(self, control: Control, verb: Callable[[str, str, str, Moment], str], moment: Moment) -> Reply:
        rule, key = str(control.args.get("rule", "")), str(control.args.get("key", ""))
        code = verb(rule, key, control.actor, moment)
        return Reply(control.id, ok=code == "ok", code=code, detail=f"{rule} {key}")

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
        args = {word: value for word, value in words.items() if word not in COMMAND_WORDS}
        try:
            device.settle_args(name, args)
        except PoisonError as error:
            return Reply(control.id, ok=False, code=error.code, detail=error.message)
        action = Do(command=name, args=args, priority=Priority.OPERATOR)
        part = str(words.get("part", ""))
        expiry = min(DEFAULT_EXPIRY_NS, control.expires_at - moment.at)
        self._hands.request(device, part, control.id, action, Cause(f"operator {control.actor}", expiry), moment)
        return Reply(control.id, ok=True, code="accepted", detail=control.id)
