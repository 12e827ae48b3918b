"""The reasons why a rule does or does not stand: which of its words decides, and what it waits for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from hub.durations import nanoseconds
from hub.engine.apply import Engine
from hub.engine.device import Device
from hub.engine.inhibition import explains_at
from hub.engine.places import Subject
from hub.model.values import SEVERITY_RANKS, Scalar
from hub.rules.calendars import after, opening
from hub.rules.inputs import Present
from hub.rules.rule import OnMissing
from hub.rules.states import REAL, CompiledRule, Phase, RuleState
from hub.rules.terms import Condition


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One thing that decides: a stable ``code``, the ``word`` of the rule that it is about, and its facts.

    Facts whose names end in ``_ns`` are spans, in ``_at`` wall times.
    """

    code: str
    word: str = ""
    facts: Mapping[str, Scalar] = field(default_factory=dict)


class Why:
    """The reasons of one rule for one subject; the conditions are as they are now."""

    def __init__(
        self,
        rule: CompiledRule,
        subject: Subject,
        state: RuleState | None,
        conditions: Mapping[str, Condition],
        engine: Engine,
    ) -> None:
        self._rule = rule
        self._words = rule.rule
        self._subject = subject
        self._state = state
        self._conditions = conditions
        self._engine = engine

    def reasons(self, now: Present) -> Iterator[Reason]:
        """Yield what decides, the most decisive first."""
        if self._engine.is_blind:
            yield Reason(code="blind")
        state = self._state
        if state is None or state.phase is Phase.IDLE:
            yield from self._idle(now)
        elif state.phase is Phase.PENDING:
            yield from self._pending(state, now)
        else:
            yield from self._standing(state, now)
        failed = self._engine.state.ledger.failed_rules.get(self._rule.name, 0)
        if failed:
            yield Reason(code="failed", facts={"times": failed})

    # ------------------------------------------------------------------------------------------------- not yet raised

    def _idle(self, now: Present) -> Iterator[Reason]:
        yield from self._closed(now)
        if self._state is not None and self._state.shelved_t is not None:
            yield self._shelved(self._state, now)
        words = self._words
        if words.on_signal is not None:
            yield Reason(code="awaits_signal", word="on_signal", facts={"signal": words.on_signal})
        elif words.on_value is not None:
            yield Reason(code="awaits_value", word="on_value", facts={"name": words.on_value})
        elif self._rule.absent_ns is not None and isinstance(self._subject, Device):
            yield from self._speaks(self._subject, self._rule.absent_ns, now)
        else:
            yield from self._untrue()

    def _closed(self, now: Present) -> Iterator[Reason]:
        if self._words.schedule is None:
            return
        is_open, change = opening(self._words.schedule, now.at, self._subject.row.zone)
        if not is_open:
            yield Reason(code="outside", word="schedule", facts={} if change is None else {"until_at": change})

    def _speaks(self, device: Device, absent_ns: int, now: Present) -> Iterator[Reason]:
        silent = now.awake - device.state.heard_awake
        facts: dict[str, Scalar] = {"silent_ns": silent, "of_ns": absent_ns}
        yield Reason(code="speaks" if device.state.heard_at else "never_heard", word="absent_for", facts=facts)
        if self._words.counting is not None:
            due = after(self._words.counting, device.state.heard_at, absent_ns, device.row.zone)
            yield Reason(code="counts_until", word="counting", facts={"due_at": due})

    def _untrue(self) -> Iterator[Reason]:
        when, unless = self._conditions.get("when"), self._conditions.get("unless")
        if when is None:
            return
        if when.verdict and unless is not None and unless.verdict:
            yield Reason(code="excepted", word="unless", facts={"text": unless.text})
        elif when.verdict is None and self._words.on_missing is not OnMissing.RAISE:
            unknown = sorted(
                {seen.name for term in when.terms if term.verdict is None for seen in term.seen if seen.is_unknown}
            )
            yield Reason(code="unknown", word="when", facts={"text": when.text, "names": ", ".join(unknown)})
        elif when.verdict is False:
            yield Reason(code="untrue", word="when", facts={"text": when.text})
        elif self._rule.is_open:
            yield Reason(code="not_judged", word="when", facts={"text": when.text})

    # --------------------------------------------------------------------------------------------------------- pending

    def _pending(self, state: RuleState, now: Present) -> Iterator[Reason]:
        left = 0 if state.due is None else max(0, state.due - now.t)
        if state.inhibited:
            yield from self._inhibited(state, left)
        elif self._rule.quorum is not None:
            quorum, votes = self._rule.quorum, sum(is_for for _, is_for in state.votes)
            word = "confirm" if self._words.confirm is not None else "count"
            facts: dict[str, Scalar] = {
                "votes": votes, "of": quorum.times, "within_ns": quorum.within_ns, "left_ns": left,
            }  # fmt: skip
            yield Reason(code="too_few", word=word, facts=facts)
        elif self._rule.settle_ns is not None:
            code = "excused" if state.due is None else "settles"
            signals = " or ".join(self._words.without.signal) if self._words.without is not None else ""
            yield Reason(code=code, word="without", facts={"signal": signals, "left_ns": left})
        elif self._words.counting is not None:
            yield Reason(code="counts_until", word="counting", facts={"due_at": now.at + left})
        else:
            of = self._rule.for_ns
            yield Reason(code="lasts", word="for", facts={"passed_ns": max(0, of - left), "of_ns": of})

    def _inhibited(self, state: RuleState, left: int) -> Iterator[Reason]:
        inhibit = self._words.inhibit
        if inhibit is None:
            return
        by, content = [], self._engine.content
        for alarm in self._engine.alarms():
            rule, other = content.rules.get(alarm.rule), content.subject(alarm.key)
            if alarm.rule not in inhibit.by or rule is None or other is None:
                continue
            is_of_it = state.mode != REAL or not (alarm.test or alarm.drill)
            if is_of_it and explains_at(self._subject, inhibit.within, other[0], rule.rule):
                by.append(f"{alarm.rule} {alarm.key}")
        if by:
            yield Reason(code="inhibited", word="inhibit", facts={"by": ", ".join(by)})
        else:
            yield Reason(code="inhibition_settles", word="inhibit", facts={"left_ns": left})

    # --------------------------------------------------------------------------------------------------------- standing

    def _standing(self, state: RuleState, now: Present) -> Iterator[Reason]:
        facts: dict[str, Scalar] = {"since_at": state.raised_at, "severity": state.severity.value}
        yield Reason(code="active_late" if state.late else "active", word="raise", facts=facts)
        yield from self._ends(state, now)
        yield from self._ladder(state, now)
        yield from self._told_again(state, now)
        yield from self._climbs(state, now)
        if state.acknowledged_by is not None:
            yield Reason(code="acknowledged", facts={"by": state.acknowledged_by})
        if state.shelved_t is not None:
            yield self._shelved(state, now)
        if state.owes_commands:
            yield Reason(code="owes", word="do")

    def _ends(self, state: RuleState, now: Present) -> Iterator[Reason]:
        clear = self._words.clear
        if self._rule.latched and clear is not None:
            refuse = self._conditions.get("clear.refuse_while")
            yield Reason(code="latched", word="clear.by", facts={"role": clear.role or ""})
            if refuse is not None and refuse.verdict is not False:
                yield Reason(code="refused_while", word="clear.refuse_while", facts={"text": refuse.text})
        elif state.phase is Phase.CLEARING and state.due is not None:
            of = self._rule.clear_ns
            passed = max(0, of - max(0, state.due - now.t))
            yield Reason(code="clearing", word="clear.for", facts={"passed_ns": passed, "of_ns": of})
        elif self._rule.absent_ns is not None:
            yield Reason(code="silent", word="absent_for")
        else:
            yield from self._lasts()

    def _lasts(self) -> Iterator[Reason]:
        when, ends = self._conditions.get("when"), self._conditions.get("clear.when")
        if when is not None and when.verdict:
            yield Reason(code="still_true", word="when", facts={"text": when.text})
        elif ends is not None:
            code = "clear_unknown" if ends.verdict is None else "clear_untrue"
            yield Reason(code=code, word="clear.when", facts={"text": ends.text})
        elif when is not None and when.verdict is None:
            yield Reason(code="clear_unknown", word="when", facts={"text": when.text})

    def _ladder(self, state: RuleState, now: Present) -> Iterator[Reason]:
        for index, step in enumerate(self._words.ladder):
            condition = self._conditions.get(f"ladder.{index}.when")
            left = state.raised_t + nanoseconds(step.after) - now.t
            facts: dict[str, Scalar] = {"severity": step.severity.value}
            if condition is not None and condition.verdict is not True:
                code = "step_unknown" if condition.verdict is None else "step_untrue"
                yield Reason(code=code, word=f"ladder.{index}", facts={**facts, "text": condition.text})
            elif left > 0:
                yield Reason(code="step_later", word=f"ladder.{index}", facts={**facts, "left_ns": left})
            elif SEVERITY_RANKS[step.severity] <= SEVERITY_RANKS[state.severity]:
                yield Reason(code="step_reached", word=f"ladder.{index}", facts=facts)

    def _told_again(self, state: RuleState, now: Present) -> Iterator[Reason]:
        remind = self._words.remind
        if remind is None:
            return
        after_raise = remind.after(state.reminded)
        facts: dict[str, Scalar] = {"told": state.reminded}
        if after_raise is None:
            yield Reason(code="told_enough", word="remind", facts=facts)
        elif state.shelved_t is None and (state.acknowledged_by is None or remind.until == "cleared"):
            left = max(0, state.raised_t + nanoseconds(after_raise) - now.t)
            yield Reason(code="told_again", word="remind", facts={**facts, "left_ns": left})

    def _climbs(self, state: RuleState, now: Present) -> Iterator[Reason]:
        """Yield who was told last, and of each further step when it comes, or why not."""
        if state.escalated:
            word = f"escalate.{state.escalated - 1}"
            yield Reason(code="escalated", word=word, facts={"to": state.escalated_to})
        for index, step in enumerate(self._words.escalate[state.escalated :], state.escalated):
            facts: dict[str, Scalar] = {"to": step.to}
            if state.acknowledged_by is not None and step.until == "acknowledged":
                yield Reason(
                    code="climbs_no_more", word=f"escalate.{index}", facts={**facts, "by": state.acknowledged_by}
                )
            elif state.mode.test:
                yield Reason(code="climbs_not_in_test", word=f"escalate.{index}", facts=facts)
            else:
                left = max(0, state.raised_t + nanoseconds(step.after) - now.t)
                code = "climbs" if state.shelved_t is None else "climbs_after_shelf"
                yield Reason(code=code, word=f"escalate.{index}", facts={**facts, "left_ns": left})

    def _shelved(self, state: RuleState, now: Present) -> Reason:
        left = 0 if state.shelved_t is None else state.shelved_t - now.t
        facts: dict[str, Scalar] = {"by": state.shelved_by, "left_ns": left, "until_at": state.shelved_until}
        return Reason(code="shelved", facts=facts)
