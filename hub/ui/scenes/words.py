"""What the check of a scene says, in English and Chinese."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from hub.catalogue import Label


class Words(NamedTuple):
    """A sentence with gaps, and what to do about it, in both languages."""

    en: str
    zh: str
    mend_en: str = ""
    mend_zh: str = ""


ENABLE = "hub scenes enable {scene} --site {site}"
ANSWER = "hub scenes enable {scene} --site {site} --param {name}=…"
THERE = "hub devices add {site} NAME --kind {kind} --place PLACE"
ADD = "hub devices add {site} NAME --kind {kind}"
PLACE = "hub places add {site} NAME --type {kind}"
FACT = "hub places set-fact {site} PLACE {kind}"
ROUTE = "a route with `to: [{role}]`, see `hub notify list`"
ROUTE_ZH = "增加 `to: [{role}]` 的路由，见 `hub notify list`"

LINES: Mapping[str, Words] = {
    "off": Words("it is switched off", "该场景已停用", ENABLE, ENABLE),
    "on": Words("it is switched on", "该场景已启用"),
    "device": Words("{kinds}: {count} registered", "{kinds}：{count} 台"),
    "no_device": Words("no {kinds}: {because}", "没有 {kinds}：{because}", ADD, ADD),
    "place": Words("places of type {kind}: {count}", "{kind} 类型的位置：{count} 处"),
    "no_place": Words("no place of type {kind}: {because}", "没有 {kind} 类型的位置：{because}", PLACE, PLACE),
    "fact": Words("fact {kind} at {count} places", "{count} 处登记了 {kind}"),
    "no_fact": Words("fact {kind} nowhere: {because}", "没有位置登记 {kind}：{because}", FACT, FACT),
    "rules": Words("{count} of {of} rules can be true here", "{of} 条规则中 {count} 条可生效"),
    "no_rules": Words(
        "none of {of} rules can be true here", "{of} 条规则均不生效", "see what rests below", "见下列未生效项"
    ),
    "nobody": Words(
        "{rule} rests: no {names} here", "{rule} 不生效：没有 {names}", "register one", "登记对应设备或位置"
    ),
    "unsaid": Words(
        "{rule} rests: nobody here says {names}", "{rule} 不生效：没有设备上报 {names}",
        "another model, or a profile that says it", "更换型号，或完善设备配置文件",
    ),
    "uncounted": Words(
        "{rule} does not count {devices}: they stand in no {kind}", "{rule} 不计入 {devices}：不在任何 {kind} 内",
        "register them at the {kind} of which they speak", "登记到其所监视的 {kind}",
    ),
    "able": Words("{command}: {count} of {kind} can do it", "{command}：{kind} {count} 台可执行"),
    "nobody_told": Words(
        "{command}: there is no {kind} where it would go", "{command}：没有可下达的 {kind}",
        THERE, THERE,
    ),
    "unable": Words(
        "{command}: {devices} cannot: {because}", "{command}：{devices} 无法执行：{because}",
        "another model, or `commands` in its profile", "更换型号，或在其配置文件中补充 commands",
    ),
    "unknown": Words(
        "{command}: nobody knows yet whether {devices} can", "{command}：尚不清楚 {devices} 能否执行",
        "its network tells: hub sources directory", "由其网络目录给出：hub sources directory",
    ),
    "blind": Words(
        "{command}: {devices} cannot tell {word}, which must be known before it is sent",
        "{command}：{devices} 从不上报 {word}，联锁条件不明时不会下达",
        "another of its kind at the same place that says it; else a person who sees it: hub commands send … --seen",
        "在同一位置增加能上报该状态的同类设备；否则由现场人员确认后下达：hub commands send … --seen",
    ),
    "by_part": Words(
        "{command}: {word} counts for {devices} only by lane, if it watches several or stands at a gate",
        "{command}：{devices} 若监视多条车道或位于出入口，{word} 须按车道上报才有效",
        "who says it names the part (lane-1 …); or a place of type lane for each lane, with its own devices",
        "上报方须注明部件（lane-1 …）；或为每条车道登记一个 lane 类型的位置及其设备",
    ),
    "routed": Words("{role} ({label}) is told over {channels}", "{label}（{role}）经 {channels} 通知"),
    "unrouted": Words(
        "nobody is told as {role} ({label})", "{label}（{role}）无人接收升级通知", ROUTE, ROUTE_ZH
    ),
    "unanswered": Words(
        "{name} is still {value}: {label}", "{name} 仍为默认值 {value}：{label}",
        ANSWER, ANSWER,
    ),
    "beyond": Words(
        "{rule} is set to what nobody can say: {what}", "{rule} 的参数超出可能的取值：{what}",
        "hub params show {rule}", "hub params show {rule}",
    ),
    "played": Words(
        "scenario {name} came as expected, at its own site {at}", "场景演示 {name} 符合预期（在其自己的站点 {at}）"
    ),
    "held": Words(
        "scenario {name} was not played: alarms of an earlier play are still active at its site {at}",
        "场景演示 {name} 未执行：其站点 {at} 仍有上次演示的活动告警",
        "end them: hub alarms list, hub alarms clear ID", "先解除：hub alarms list、hub alarms clear ID",
    ),
    "differs": Words(
        "scenario {name} at its own site {at}: {differs}", "场景演示 {name}（站点 {at}）不符：{differs}",
        "hub sim scenario {name}", "hub sim scenario {name}",
    ),
}  # fmt: skip


def filled(text: str, words: Mapping[str, object], label: Mapping[str, Label], language: str) -> str:
    """Return ``text`` with its gaps filled; ``label`` are those words that differ from one language to another."""
    return text.format_map({**words, **{name: each[language] for name, each in label.items()}})
