"""A rule as one Chinese sentence, for people who did not write it: conditions by the labels of kinds, not by names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import timedelta

from hub.catalogue import Catalogue, Kind
from hub.durations import write_duration
from hub.model.values import SEVERITIES_ZH, PlaceType
from hub.rules.calendars import WEEK, Day, Window
from hub.rules.clauses import ANY_PART, Clear, Input
from hub.rules.roles import role_zh
from hub.rules.rule import Do, OnMissing, Rule
from hub.rules.spoken_zh import Speaker
from hub.rules.told import as_told
from hub.rules.whom import is_for_yards

PLACES = {
    PlaceType.SITE: "小区", PlaceType.BUILDING: "楼栋", PlaceType.UNIT: "单元", PlaceType.FLOOR: "楼层",
    PlaceType.DWELLING: "住户", PlaceType.ELEVATOR: "电梯", PlaceType.GATE: "出入口", PlaceType.LANE: "车道",
    PlaceType.FIRE_ZONE: "防火分区",
}  # fmt: skip
_DAYS = {
    Day.MON: "周一", Day.TUE: "周二", Day.WED: "周三", Day.THU: "周四", Day.FRI: "周五", Day.SAT: "周六",
    Day.SUN: "周日", Day.WORKDAY: "工作日", Day.HOLIDAY: "节假日",
}  # fmt: skip
_NEAR = {"place": "同一地点", "building": "同一楼栋", "site": "同一小区"}
_APART = {"device": "来自不同设备", "part": "来自不同部位", "place": "来自不同地点"}
_PARTS = {"door": "门", "lane": "车道", "zone": "防区", "port": "端口"}
_HAN_THEN_LATIN = re.compile(r"(?<=[\u4e00-\u9fff])(?=[A-Za-z0-9-])")
_LATIN_THEN_HAN = re.compile(r"(?<=[A-Za-z0-9%℃³])(?=[\u4e00-\u9fff])")
_UNITS = {"d": "天", "h": "小时", "ms": "毫秒", "m": "分钟", "s": "秒"}
_COUNTED = {"device": "涉及的设备数", "place": "涉及的地点数"}
_NUMBERS = {
    "distinct": "不同取值数", "sum": "合计", "avg": "平均值", "min": "最小值", "max": "最大值", "increase": "增量",
    "changes": "变化次数", "rate": "每秒增量",
}  # fmt: skip


def sentence_zh(rule: Rule, catalogue: Catalogue) -> str:
    """Return what ``rule`` does: when, what it raises, what it sends, how it ends."""
    said = _Teller(as_told(rule), catalogue).sentence()
    return _LATIN_THEN_HAN.sub(" ", _HAN_THEN_LATIN.sub(" ", said))


def span(length: timedelta) -> str:
    """Return a span of time as people say it: 1小时30分钟."""
    return re.sub(r"d|h|ms|m|s", lambda found: _UNITS[found[0]], write_duration(length))


class _Teller:
    """Tells one rule."""

    def __init__(self, rule: Rule, catalogue: Catalogue) -> None:
        self._rule = rule
        self._catalogue = catalogue
        named = [catalogue.kinds[name] for name in rule.for_each.kinds if name in catalogue.kinds]
        self._kinds: Sequence[Kind] = named or list(catalogue.kinds.values())
        truths = [name for name, value in rule.params.items() if isinstance(value, bool)]
        self._facts = frozenset([*rule.facts, *truths])
        self._say = Speaker(self._kinds, self._facts)

    def sentence(self) -> str:
        rule = self._rule
        title = rule.label.get("zh") or rule.raise_.event
        what, bad = "报警" if rule.is_alarm else "记录", SEVERITIES_ZH[rule.raise_.severity]
        parts = [f"{self._trigger()}，{what}“{title}”（{bad}）"]
        parts += [f"判定之前先{self._action(action)}" for action in rule.while_pending]
        parts += [f"同时{self._action(action)}" for action in rule.do]
        parts += self._standing()
        parts += [part for part in (self._end(), self._missing()) if part]
        return "；".join(parts) + "。"

    def _trigger(self) -> str:
        rule = self._rule
        who = f"{_windows(rule.schedule, '，')}{self._subject()}"
        if rule.is_momentary:
            return who + self._moment()
        if rule.absent_for is not None:
            return f"{who}连续{span(rule.absent_for)}没有任何消息{self._counting()}"
        unless = f"（{self._say(rule.unless)}时除外）" if rule.unless else ""
        return f"{who}，当{self._say(str(rule.when))}{unless}{self._lasting()}{self._counting()}{self._inputs()}"

    def _lasting(self) -> str:
        rule = self._rule
        if rule.confirm is not None:
            votes = rule.confirm
            return f"，{span(votes.within)}内最近{votes.of}次中有{votes.times}次如此时"
        if rule.without is not None:
            signals = "或".join(self._signal(name) for name in rule.without.signal)
            return f"，而前{span(rule.without.within)}到后{span(rule.without.settle)}之间没有{signals}时"
        return f"，持续{span(rule.for_)}时" if rule.for_ else "时"

    def _subject(self) -> str:
        where = self._rule.for_each
        kinds = "、".join(_label(kind) for kind in self._kinds) if where.kinds else ""
        if where.value is not None and where.place is not None:
            of = f"（{kinds}上报）" if kinds else ""
            return f"同一{PLACES[where.place]}内每个{self._say.name(where.value)}{of}"
        if where.place is not None:
            return f"每个{PLACES[where.place]}"
        if where.part is None:
            return f"每台{kinds}"
        part = "部位" if where.part == ANY_PART else _PARTS.get(where.part, where.part)
        return f"{kinds}的每个{part}" if kinds else f"每个{part}"

    def _moment(self) -> str:
        rule = self._rule
        what = f"上报{self._signal(rule.on_signal)}" if rule.on_signal else f"上报{self._say.name(str(rule.on_value))}"
        which = f"（{self._say(rule.where)}）" if rule.where else ""
        which += f"（{self._say(rule.unless)}时除外）" if rule.unless else ""
        if rule.count is None:
            return f"{what}{which}时"
        apart = f"，{_APART[rule.count.distinct]}" if rule.count.distinct else ""
        return f"{span(rule.count.within)}内{what}{which}至少{rule.count.at_least}次{apart}时"

    def _signal(self, name: str) -> str:
        found = (kind.signals[name] for kind in self._kinds if name in kind.signals)
        signal = next(found, None)
        return f"“{name if signal is None else signal.label.get('zh', name)}”"

    def _inputs(self) -> str:
        told = [f"{name}指{self._input(each)}" for name, each in self._rule.inputs.items()]
        return f"（其中{'，'.join(told)}）" if told else ""

    def _input(self, words: Input) -> str:
        kinds = [self._catalogue.kinds[name] for name in words.of if name in self._catalogue.kinds] or self._kinds
        say = Speaker(kinds, self._facts)
        within = f"{span(words.within)}内" if words.within else ""
        of = "、".join(_label(kind) for kind in kinds) if words.of else ""
        unless = f"（{say(words.unless)}的除外）" if words.unless else ""
        who = f"{f'{say(words.where)}的' if words.where else ''}{of or '设备'}{unless}"
        fresh = f"，{span(words.fresh)}没有新值的算未知" if words.fresh else ""
        take, what = words.taken
        match take:
            case "any":
                return f"{within}有{who}{fresh}"
            case "all":
                return f"所有{of or '设备'}都{say(words.where)}{unless}{fresh}"
            case "count":
                return f"{within}{who}的数量{fresh}"
            case _:
                mine = who if words.of or words.where else ""
                of_what = f"{'的' if mine else ''}{say.name(what)}的{_NUMBERS[take]}"
                return f"{within}{mine}{_COUNTED.get(what) or of_what}{fresh}"

    def _counting(self) -> str:
        return f"（只在{_windows(self._rule.counting, '')}计时）" if self._rule.counting else ""

    def _standing(self) -> Iterator[str]:
        rule = self._rule
        for step in rule.ladder:
            when = f"{self._say(step.when)}时" if step.when else ""
            after = f"满{span(step.after)}" if step.after else ""
            yield f"{when}{'且' if when and after else ''}{after}升为“{SEVERITIES_ZH[step.severity]}”"
        if rule.remind is not None:
            until = "解除" if rule.remind.until == "cleared" else "有人确认"
            every = rule.remind.every
            moments = "、".join(span(each) for each in rule.remind.at)
            often = f"{moments}后" if every is None else f"每{span(every)}"
            most = "" if every is None else f"，最多{rule.remind.at_most}次"
            yield f"{often}再次提醒，直到{until}{most}"
        for each in rule.escalate:
            still = "未解除" if each.until == "cleared" else "无人确认"
            yield f"满{span(each.after)}仍{still}时升级通知{role_zh(each.to)}"
        if rule.inhibit is not None:
            wait = f"（先等{span(rule.inhibit.wait)}）" if rule.inhibit.wait else ""
            yield f"{_NEAR[rule.inhibit.within]}已有 {'、'.join(rule.inhibit.by)} 报警时不再单独报{wait}"

    def _action(self, action: Do) -> str:
        to = action.to
        kinds = self._kinds if to is None else [each for each in self._catalogue.kinds.values() if each.kind == to.kind]
        known = next((kind.commands[action.command] for kind in kinds if action.command in kind.commands), None)
        what = action.command if known is None else known.label.get("zh", action.command)
        yard = "及楼外" if is_for_yards(action) else ""
        where = "" if to is None else f"向{_NEAR[to.within]}{yard}的{'、'.join(_label(kind) for kind in kinds)}"
        until = "，保持到解除" if action.until else ""
        bound = f"，最长{span(action.at_most)}" if action.at_most else ""
        return f"{where}发出“{what}”{until}{bound}"

    def _end(self) -> str:
        rule = self._rule
        if not rule.is_alarm:
            return ""
        if rule.absent_for is not None:
            return "恢复上报即解除"
        clear = rule.clear or Clear()
        if clear.by is not None:
            role = f"（角色 {clear.role}）" if clear.role else ""
            refused = f"，{self._say(clear.refuse_while)}时不能解除" if clear.refuse_while else ""
            return f"只能由人解除{role}{refused}"
        if clear.absent_for is not None:
            return f"{span(clear.absent_for)}内不再出现即解除"
        what = f"当{self._say(clear.when)}" if clear.when else "条件不再成立"
        return f"{what}{f'并持续{span(clear.for_)}' if clear.for_ else ''}后解除"

    def _missing(self) -> str:
        match self._rule.on_missing:
            case OnMissing.KEEP:
                return ""
            case OnMissing.CLEAR:
                return "数据未知时按已经结束处理"
            case OnMissing.RAISE:
                return "数据未知时按成立处理"


def _label(kind: Kind) -> str:
    return kind.label.get("zh", kind.kind)


def _windows(windows: Sequence[Window] | None, end: str) -> str:
    if not windows:
        return ""
    told = []
    for each in windows:
        days = "每天" if set(each.days) >= set(WEEK) else "、".join(_DAYS[day] for day in each.days)
        told.append(f"{days}{each.from_}至{each.until}")
    return f"{'和'.join(told)}{end}"
