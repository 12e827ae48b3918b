"""The wording of messages: an event in the words of a template, in Chinese and English."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec

from hub.model.effects import Event, Transition
from hub.model.values import SEVERITIES_ZH, Severity
from hub.outward.own_events import label_of
from hub.outward.wishes import Language, Template
from hub.rules.roles import ROLES

_SEVERITIES: Mapping[str, Mapping[Severity, str]] = {
    "en": {each: each.value.upper() for each in Severity},
    "zh": SEVERITIES_ZH,
}
_MOVES: Mapping[str, Mapping[str, str]] = {
    "en": {"severity_changed": "severity changed", "occurred": ""},
    "zh": {
        "raised": "触发",
        "cleared": "解除",
        "acknowledged": "已确认",
        "commented": "有备注",
        "severity_changed": "级别变化",
        "reminded": "再次提醒",
        "shelved": "已搁置",
        "unshelved": "恢复提醒",
        "escalated": "升级",
        "occurred": "",
    },
}
WITHDRAWN = "withdrawn"
"""How an alarm ended that nothing and nobody found to be over: who reads that it is cleared goes to sleep."""
_WITHDRAWN = {"en": "WITHDRAWN ({}), not known to be over", "zh": "撤销（{}），未确认已解除"}
REASONS_ZH: Mapping[str, str] = {
    "inhibited": "由其他报警涵盖",
    "test over": "测试结束",
    "drill over": "演练结束",
    "scene switched off": "场景已停用",
    "rule removed": "规则已删除",
    "device removed": "设备已移除",
    "place removed": "位置已移除",
    "not judged there any more": "不再在此判断",
    "forgotten": "久无消息，不再跟踪",
    "came again": "再次触发，另行报警",
}
"""Why the hub ends an alarm, in the words of its events."""
_MARKS: Mapping[str, Mapping[str, str]] = {
    "en": {"late": " (reported late)", "test": " (TEST)", "drill": " (DRILL)"},
    "zh": {"late": "（迟报）", "test": "（测试）", "drill": "（演练）"},
}
_ROLE = {"en": "\nFor: {}", "zh": "\n通知对象：{}"}


class Notice(msgspec.Struct, frozen=True):
    """A message as it is sent."""

    title: str
    body: str
    severity: str
    moved: str


def worded(event: Event, template: Template, languages: Sequence[Language], where: tuple[str, str]) -> Notice:
    """Return an event in the words of ``languages``; ``where`` is its place for people, and the site's time zone."""
    titles = [_filled(template.title.get(each, ""), event, each, where) for each in languages]
    bodies = [_filled(template.body[each], event, each, where) for each in languages]
    return Notice(
        title=" / ".join(each for each in titles if each),
        body="\n\n".join(bodies),
        severity=event.severity.value,
        moved=WITHDRAWN if _withdrawn_because(event) else event.transition.value,
    )


def _withdrawn_because(event: Event) -> str:
    """Return why the hub ended an alarm that it did not find to be over; empty for any other event."""
    reason = str(event.data.get("reason", ""))  # of a signal, too: access.denied has one of its own
    is_told = event.transition is Transition.CLEARED and "actor" not in event.data
    return reason if is_told and reason in REASONS_ZH else ""


def _moved(event: Event, language: Language) -> str:
    if reason := _withdrawn_because(event):
        return _WITHDRAWN[language].format(REASONS_ZH[reason] if language == "zh" else reason)
    return _MOVES[language].get(event.transition.value, event.transition.value)


def local_time(time: int, zone: str) -> str:
    """Return wall ns as people at a site read it, with the zone's offset."""
    return datetime.fromtimestamp(time // 1_000_000_000, ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M:%S %z")


def _called(role: str, language: Language) -> str:
    """Return who is called, by what a role that ships is called in a language."""
    return _ROLE[language].format(ROLES.get(role, {}).get(language, role))


def _filled(text: str, event: Event, language: Language, where: tuple[str, str]) -> str:
    place, zone = where
    marks = _MARKS[language]
    role = event.data.get("to")
    told = {name: value for name, value in event.data.items() if name != "to"}
    words = {
        "severity": _SEVERITIES[language][event.severity],
        "event": label_of(event.name, event.label).get(language) or event.name,
        "moved": _moved(event, language),
        "where": place,
        "time": local_time(event.time, zone),
        "marks": "".join(marks[each] for each in marks if getattr(event, each)),
        "to": _called(str(role), language) if event.transition is Transition.ESCALATED and role else "",
        "details": " ".join(f"{name}={value}" for name, value in told.items()),
        "id": event.id[:8],
    }
    lines = [line.rstrip() for line in text.format(**words).splitlines()]
    return "\n".join(line for line in lines if line)
