"""Explanations of rules in words that people read, in Chinese and English."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum

from hub.durations import write_duration
from hub.model.values import SEVERITIES_ZH, Scalar, Severity
from hub.replay.reasons import Reason
from hub.rules.intervals import Between
from hub.rules.roles import role_zh
from hub.rules.states import Phase
from hub.rules.terms import Seen
from hub.ui.words import moment

_SECOND = 1_000_000_000


class Language(StrEnum):
    """The languages that people here read."""

    ZH = "zh"
    EN = "en"


_SAID: Mapping[str, tuple[str, str]] = {
    "approximate": (
        "日志前段已清除，且此刻之前没有检查点：更早的情况未知",
        "the journal has lost its front, and no checkpoint lies before that moment: what was before is not known",
    ),
    "blind": (
        "正在补读积压的消息，读完之前不判断",
        "the hub is reading what was queued: nothing is judged until it has been read",
    ),
    "scene_off": (
        "该规则所属场景已在 {key} 所在站点停用（hub scenes list）",
        "its scene is switched off at the site of {key} (hub scenes list)",
    ),
    "not_about": ("这条规则不适用于 {key}", "the rule is not for {key}"),
    "failed": (
        "这条规则出过 {times} 次错，见事件 device.rule_failed",
        "the rule failed {times} times: see device.rule_failed",
    ),
    "outside": ("schedule：不在时段内，{until} 起生效", "schedule: outside its windows until {until}"),
    "awaits_signal": ("on_signal：还没有收到 {signal}", "on_signal: {signal} has not come"),
    "awaits_value": ("on_value：还没有报告 {name}", "on_value: {name} has not been said"),
    "speaks": (
        "absent_for：静默了 {silent}，满 {of} 才算失联",
        "absent_for: silent for {silent} of {of}",
    ),
    "never_heard": (
        "absent_for：从未上报；登记后已过 {silent}，满 {of} 才算失联",
        "absent_for: never heard; {silent} of {of} since it was registered",
    ),
    "counts_until": (
        "counting：只在时段内计时，最早 {due} 到点",
        "counting: time counts only in its windows, until {due}",
    ),
    "excepted": ("unless：例外成立：{text}", "unless: {text} is true"),
    "unknown": ("when：无法判断：{text}（不知道 {names}）", "when: {text} is unknown: nothing is known of {names}"),
    "untrue": ("when：条件不成立：{text}", "when: {text} is false"),
    "not_judged": (
        "when：条件成立，等下一条消息再判断：{text}",
        "when: {text} is true, it is judged with the next word",
    ),
    "inhibited": ("inhibit：被 {by} 抑制", "inhibit: held back by {by}"),
    "inhibition_settles": (
        "inhibit：现在没有报警抑制它，{left} 后再判断",
        "inhibit: nothing holds it back now, it is judged in {left}",
    ),
    "too_few": (
        "{word}：{within} 内要 {of} 次，现有 {votes} 次，再等 {left}",
        "{word}: {votes} of {of} within {within}, for another {left}",
    ),
    "excused": ("without：有 {signal}，不算异常", "without: {signal} came, so it may be so"),
    "settles": ("without：再等 {left} 看有没有 {signal}", "without: waits {left} more for {signal}"),
    "lasts": ("for：已持续 {passed}，满 {of} 才报警", "for: {passed} of {of}"),
    "active": ("正在报警：{severity}，始于 {since}", "active: {severity}, since {since}"),
    "active_late": ("正在报警：{severity}，始于 {since}；消息迟到", "active: {severity}, since {since}; found late"),
    "latched": ("clear.by：要由人解除{role}", "clear.by: a person must end it{role}"),
    "refused_while": ("clear.refuse_while：现在还不能解除：{text}", "clear.refuse_while: not while {text}"),
    "clearing": ("clear.for：恢复了 {passed}，满 {of} 才解除", "clear.for: {passed} of {of}"),
    "silent": ("absent_for：再次上报就解除", "absent_for: it ends when the device speaks"),
    "still_true": ("when：条件仍然成立：{text}", "when: {text} is still true"),
    "clear_untrue": ("clear.when：解除条件还不成立：{text}", "clear.when: {text} is false"),
    "clear_unknown": ("{word}：无法判断是否已经结束：{text}", "{word}: whether it is over is unknown: {text}"),
    "step_unknown": (
        "{word}：升到 {severity} 的条件无法判断：{text}",
        "{word}: whether it is {severity} is unknown: {text}",
    ),
    "step_untrue": ("{word}：不到 {severity}：{text} 不成立", "{word}: not {severity}: {text} is false"),
    "step_later": ("{word}：{left} 后升为 {severity}", "{word}: {severity} in {left}"),
    "step_reached": ("{word}：已到 {severity}", "{word}: {severity} is reached"),
    "told_enough": ("remind：已提醒 {told} 次，不再提醒", "remind: told {told} times, no more"),
    "told_again": ("remind：已提醒 {told} 次，{left} 后再提醒", "remind: told {told} times, again in {left}"),
    "escalated": ("{word}：已升级通知 {to}", "{word}: {to} was told"),
    "climbs": ("{word}：{left} 后升级通知 {to}", "{word}: {to} is told in {left}"),
    "climbs_after_shelf": (
        "{word}：搁置期间不升级通知 {to}",
        "{word}: {to} is not told while it is shelved",
    ),
    "climbs_no_more": ("{word}：{by} 已确认，不再通知 {to}", "{word}: {to} is not told: {by} has acknowledged it"),
    "climbs_not_in_test": ("{word}：测试中不升级通知 {to}", "{word}: {to} is not told in a test"),
    "acknowledged": ("{by} 已确认", "acknowledged by {by}"),
    "shelved": ("{by} 已搁置，至 {until}（还有 {left}）", "shelved by {by} until {until}, {left} more"),
    "owes": ("do：命令还没发，确认仍然成立后补发", "do: its commands are owed until it is known to be still true"),
}
PHASES: Mapping[Phase, tuple[str, str]] = {
    Phase.IDLE: ("未触发", "idle"), Phase.PENDING: ("待定", "pending"),
    Phase.ACTIVE: ("报警中", "active"), Phase.CLEARING: ("恢复中", "clearing"),
}  # fmt: skip
ANSWERS: Mapping[bool | None, tuple[str, str]] = {
    True: ("成立", "true"),
    False: ("不成立", "false"),
    None: ("未知", "unknown"),
}


def in_words(pair: tuple[str, str], language: Language | None) -> str:
    """Return the text of a language, or both for None."""
    zh, en = pair
    return f"{zh} / {en}" if language is None else zh if language is Language.ZH else en


def sentence(reason: Reason, language: Language) -> str:
    """Return why, as one line."""
    text = _SAID[reason.code][language is Language.EN]
    facts = {name.removesuffix("_ns").removesuffix("_at"): _fact(name, value) for name, value in reason.facts.items()}
    if "to" in facts and language is Language.ZH:
        facts["to"] = role_zh(facts["to"])
    if "severity" in facts and language is Language.ZH:
        facts["severity"] = SEVERITIES_ZH[Severity(facts["severity"])]
    if "role" in facts:
        named = f"，角色 {facts['role']}" if language is Language.ZH else f", in the role {facts['role']}"
        facts["role"] = named if facts["role"] else ""
    return text.format(**{"until": "—", **facts, "word": reason.word})


def _fact(name: str, value: Scalar) -> str:
    if name.endswith("_ns") and isinstance(value, int):
        return span(value)
    return moment(value) if name.endswith("_at") and isinstance(value, int) else str(value)


def span(nanoseconds: int) -> str:
    """Return a span to the nearest second, or millisecond below one."""
    grain = _SECOND if nanoseconds >= _SECOND // 2 else 1_000_000
    return write_duration(timedelta(microseconds=(nanoseconds + grain // 2) // grain * grain // 1_000))


def known(seen: Seen, language: Language | None) -> str:
    """Return what is known of a name and how old that is."""
    if seen.value is None:
        return f"{seen.name} {in_words(('未知', 'unknown') if seen.is_input else ('从未上报', 'never said'), language)}"
    said = f"{seen.name}={value(seen.value)}"
    if seen.age is None:
        return said
    old = in_words((f"{span(seen.age)}前", f"{span(seen.age)} ago"), language)
    stale = seen.stale_after if seen.is_stale and seen.stale_after is not None else None
    over = (
        ""
        if stale is None
        else f", {in_words((f'超过{span(stale)}，视为未知', f'older than {span(stale)}: unknown'), language)}"
    )
    return f"{said} ({old}{over})"


def value(said: Scalar | Between | None) -> str:
    """Return a value with all its digits; what lies between two numbers as both."""
    if isinstance(said, Between):
        return f"{value(said.low)}…{value(said.high)}"
    return f"{said:.15g}" if isinstance(said, float) else str(said)
