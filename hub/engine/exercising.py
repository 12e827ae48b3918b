"""What people are told of tests and drills: as they stand among the alarms, and what a drill hides of what is real."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hub.engine.clearing import in_both
from hub.engine.state import Exercise, ExerciseKind
from hub.model.effects import AlarmState
from hub.model.values import Scalar, Severity
from hub.rules.rule import Rule

SHOWN_AS = "_"
"""Before the kind: where readers find it among the alarms, beside rules, whose names begin with a letter."""
LABELS = {
    "under_test": {"en": "Under test", "zh": "测试中"},
    "under_drill": {"en": "Drill", "zh": "演练中"},
    "test_started": {"en": "Test started", "zh": "测试开始"},
    "test_ended": {"en": "Test ended", "zh": "测试结束"},
    "drill_started": {"en": "Drill started", "zh": "演练开始"},
    "drill_ended": {"en": "Drill ended", "zh": "演练结束"},
    "drill_overridden": {"en": "Drill ended by a real alarm", "zh": "真实报警，演练中止"},
}
NAME_RULES = {
    "en": "name the rules that are drilled (--rule): whatever is not named stays real",
    "zh": "请用 --rule 指明要演练的规则；未指明的照常报警和联动",
}


def shown(exercise: Exercise) -> AlarmState:
    """Return a test or drill as it stands among the alarms: nobody may overlook what is not real now."""
    site, _, name = exercise.key.partition("/")
    is_test = exercise.kind is ExerciseKind.TEST
    return AlarmState(
        id=f"{exercise.kind}:{exercise.key}", name=f"device.under_{exercise.kind}", severity=Severity.INFO,
        key=exercise.key, rule=shown_as(exercise), site=site, building="", part="",
        device="" if name.startswith("@") else name, since=exercise.since, late=False, test=is_test, drill=not is_test,
        label=LABELS[f"under_{exercise.kind}"],
        data={
            "actor": exercise.actor, "reason": exercise.reason, "until": exercise.until_at // 10**6,
            "rules": " ".join(exercise.rules), "with_commands": exercise.with_commands, "request": exercise.request,
        },
    )  # fmt: skip


def shown_as(exercise: Exercise) -> str:
    """Return the name under which readers find it."""
    return f"{SHOWN_AS}{exercise.kind}"


def what_it_hides(rules: Iterable[Rule], args: Mapping[str, Scalar]) -> str:
    """Return the warning to who drills ``rules``, asked by ``args``, that tell of danger to life; else nothing.

    What a detector reports in a drill is real or played, and nobody but who plays it can tell which.
    """
    names = ", ".join(each.rule for each in rules if _may_be_critical(each))
    if not names:
        return ""
    site, what = args.get("site", ""), args.get("what", "")
    no_command, no_linkage = ("", "") if args.get("with_commands") else (" AND SENDS NO COMMAND", "，且不联动")
    return in_both({
        "en": f"UNTIL IT ENDS A REAL {names} THERE IS MARKED AS A DRILL TOO{no_command}. In an emergency: "
        f"hub drill end {site} {what}. Beside hub drill fire a real alarm stays real",
        "zh": f"警告：演练期间，该范围内真实的 {names} 也会标为演练{no_linkage}。"
        f"如遇真实险情，立即执行 hub drill end {site} {what}",
    })  # fmt: skip


def _may_be_critical(rule: Rule) -> bool:
    return Severity.CRITICAL in {rule.raise_.severity, *(step.severity for step in rule.ladder)}
