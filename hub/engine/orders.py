"""Orders: what operators and other processes ask through the control stream, each answered once."""

from __future__ import annotations

from hub.engine.acting import Hands
from hub.engine.content import Content
from hub.engine.judging import Judge
from hub.engine.moment import Moment, Output
from hub.engine.state import State
from hub.model import Control, Reply, Scalar, Severity
from hub.rules.rule import Do, Priority

ANSWER_NS = 300_000_000_000
MAX_ANSWERS = 10_000
COMMAND_WORDS = frozenset({"site", "device", "part", "command"})


class Orders:
    """Verbs of the control stream: ``ack`` and ``command``. A known id gets its old answer."""

    def __init__(self, state: State, content: Content, judge: Judge, hands: Hands, output: Output) -> None:
        self._state = state
        self._content = content
        self._judge = judge
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
        match control.verb:
            case "ack":
                return self._acknowledge(control, moment)
            case "command":
                return self._command(control, moment)
            case _:
                return Reply(control.id, ok=False, code="unknown_verb", detail="verbs: ack, command")

    def _acknowledge(self, control: Control, moment: Moment) -> Reply:
        rule, key = str(control.args.get("rule", "")), str(control.args.get("key", ""))
        code = self._judge.acknowledge(rule, key, control.actor, moment)
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
        action = Do(command=name, args=args, priority=Priority.OPERATOR)
        part = str(words.get("part", ""))
        self._hands.request(device, part, control.id, action, f"operator {control.actor}", moment)
        return Reply(control.id, ok=True, code="accepted", detail=control.id)
