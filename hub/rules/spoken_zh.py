"""Expressions in Chinese: names by their labels, comparisons and truths as people say them; pure."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Container, Sequence

from hub.catalogue import Kind, Property, Typed
from hub.rules.held import SILENT, TESTING

_COMPARED: dict[type[ast.cmpop], str] = {
    ast.Eq: "为", ast.NotEq: "不为", ast.Lt: "低于", ast.LtE: "不高于", ast.Gt: "高于", ast.GtE: "不低于",
}  # fmt: skip
_SIGNS: dict[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "×", ast.Div: "÷"}
_CALLS = {"abs": "{}的绝对值", "max": "{}中的最大者", "min": "{}中的最小者", "round": "{}取整"}
_PLAIN = ".12g"
"""How a number is written: 1234567 is no 1.23457e+06."""
_UNITS = {"Cel": "℃", "1": "", "m3": "m³", "%{LEL}": "%LEL", "/min": "次/分"}
_FACTS = {
    "away": "外出", "care_watch": "已登记看护", "no_ebikes": "禁止电动车", "fire_lane": "消防通道",
    "free_exit": "自由通行", "fire_confirmed": "人工确认火警", "fire_opens_circuit": "断路即火警",
    "fire_door": "防火门",
}  # fmt: skip
"""Facts of places that rules of ours ask for; any other is said by its name."""
_CARRIED = {
    "confidence": "置信度", "review": "复核", "detector": "识别类型", "reason": "原因", "card": "卡号",
    "person": "人员", "direction": "方向", "credential": "凭证",
}  # fmt: skip
"""What signals carry and kinds leave without a label."""
_LISTS = {"block": "黑名单", "allow": "白名单", "temporary": "临时名单", "visitor": "访客名单"}
_WORDS = {
    "normal": "正常", "alarm": "报警", "fault": "故障", "silenced": "已消音", "low_battery": "电量低", "test": "测试",
    "removed": "被拆除", "installed": "已安装", "open": "打开", "closed": "关闭", "opening": "正在打开",
    "closing": "正在关闭", "locked": "已锁", "unlocked": "未锁", "up": "上行", "down": "下行", "stopped": "停止",
    "none": "无", "unknown": "未知", "inspection": "检修", "firefighter": "消防员操作", "fire_operation": "消防运行",
    "out_of_service": "停用", "attendant": "司机操作", "parking": "驻停", "earthquake": "地震运行",
    "emergency_power": "应急电源运行", "cabinet_recall": "控制柜召回", "occupant_evacuation": "人员疏散运行",
    "confirmed": "已确认", "suspected": "疑似", "rejected": "已驳回", "pending": "待复核", "standing": "站立",
    "sitting": "坐着", "falling": "跌倒中", "in": "进", "out": "出", "short_circuit": "短路", "open_circuit": "断路",
    "anti_passback": "反潜回", "blocklisted": "在黑名单中", "block": "黑名单", "fight": "打架斗殴",
    "smoke_or_fire": "烟火", "ebike": "电动车", "piled_goods": "堆物", "manhole_missing": "井盖缺失",
    "overcurrent": "过流", "overheated": "过温", "leakage": "漏电", "smoke": "烟雾", "over_power": "过载",
    "battery": "电池", "mains": "市电",
}  # fmt: skip
"""Members of enums that kinds leave without a label; any other word is said as it is."""

_WITNESSED = {SILENT: "失联", TESTING: "测试中"}
"""What an input may ask of any witness, whether its kind has the word or not."""


class Speaker:
    """Says expressions over what devices of ``kinds`` say, and over ``facts`` of places."""

    def __init__(self, kinds: Sequence[Kind], facts: Container[str]) -> None:
        self._kinds = kinds
        self._facts = facts

    def __call__(self, text: str | None) -> str:
        """Return ``text`` in Chinese."""
        return "" if text is None else self._condition(ast.parse(text.strip(), mode="eval").body)

    def name(self, name: str) -> str:
        """Return what a property, or what a signal carries, is called; other names are what they are."""
        typed = self._typed(name)
        kind = next((each for each in self._kinds if name.startswith(f"{each.kind}__")), None)
        label = None if typed is None or typed.label is None else typed.label.get("zh")
        if label is None and typed is None and name in _WITNESSED:
            return f"“{_WITNESSED[name]}”"
        if label is None:
            told = _FACTS.get(name, name) if name in self._facts else _CARRIED.get(name) if typed is not None else None
            return name if told is None else f"“{told}”"
        return f"{kind.label.get('zh', kind.kind)}的“{label}”" if kind is not None else f"“{label}”"

    def _typed(self, name: str) -> Typed | None:
        for kind in self._kinds:
            own = name.removeprefix(f"{kind.kind}__")
            if own in kind.properties:
                return kind.properties[own]
        carried = (signal.data for kind in self._kinds for signal in kind.signals.values())
        return next((data[name] for data in carried if name in data), None)

    def _condition(self, node: ast.expr) -> str:
        match node:
            case ast.BoolOp():
                parts = [self._grouped(value, node.op) for value in node.values]
                return ("，且" if isinstance(node.op, ast.And) else "，或").join(parts)
            case ast.UnaryOp(op=ast.Not()):
                inner = node.operand
                return (
                    f"没有{self.name(inner.id)}" if isinstance(inner, ast.Name) else f"并非（{self._condition(inner)}）"
                )
            case ast.Name():
                return self.name(node.id)
            case ast.Compare():
                sides = [node.left, *node.comparators]
                return "，且".join(
                    self._compared(left, op, right) for left, op, right in zip(sides, node.ops, sides[1:], strict=False)
                )
            case _:
                return self._value(node, None)

    def _grouped(self, node: ast.expr, within: ast.boolop) -> str:
        said = self._condition(node)
        return f"（{said}）" if _joined_by(node) not in {None, type(within)} else said

    def _compared(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> str:
        if isinstance(left, ast.Constant) and not isinstance(right, ast.Constant):
            left, right, op = right, left, _turned(op)
        unit = self._unit(left)
        here = self._value(left, None)
        if isinstance(op, ast.In | ast.NotIn):
            return self._among(here, right, is_in=isinstance(op, ast.In))
        return f"{here}{_COMPARED[type(op)]}{self._value(right, unit)}"

    def _among(self, here: str, right: ast.expr, *, is_in: bool) -> str:
        if isinstance(right, ast.Call) and right.args:
            name = ast.unparse(right.args[0]).strip("'\"")
            return f"{here}{'在' if is_in else '不在'}{_LISTS.get(name, f'名单 {name} ')}上"
        elements = right.elts if isinstance(right, ast.Tuple | ast.List | ast.Set) else [right]
        words = "、".join(self._value(each, None) for each in elements)
        return f"{here}{'为' if is_in else '不为'}{words}{'之一' if len(elements) > 1 else ''}"

    def _unit(self, node: ast.expr) -> str:
        typed = self._typed(node.id) if isinstance(node, ast.Name) else None
        unit = typed.unit if isinstance(typed, Property) else None
        return "" if unit is None else _UNITS.get(unit, unit)

    def _value(self, node: ast.expr, unit: str | None) -> str:  # noqa: PLR0911 -- one arm a sort of node
        match node:
            case ast.Name():
                return self.name(node.id)
            case ast.Constant():
                return _constant(node.value, unit)
            case ast.UnaryOp(op=ast.USub(), operand=ast.BinOp() as several):
                return f"-（{self._value(several, unit)}）"
            case ast.UnaryOp(op=ast.USub()):
                return f"-{self._value(node.operand, unit)}"
            case ast.BinOp() if (number := _number(node)) is not None:
                return f"{number:{_PLAIN}}{_spaced(unit)}"
            case ast.BinOp():
                is_of_both = isinstance(node.op, ast.Sub | ast.Div)  # what is behind it is taken as a whole
                right = self._operand(node.right, within=ast.Div() if is_of_both else node.op)
                return f"{self._operand(node.left, within=node.op)} {_SIGNS[type(node.op)]} {right}"
            case ast.Call(func=ast.Name(id=name)) if name in _CALLS:
                return _CALLS[name].format("、".join(self._operand(each, within=ast.Mult()) for each in node.args))
            case _:
                return f"（{self._condition(node)}）"

    def _operand(self, node: ast.expr, *, within: ast.operator) -> str:
        """Return a part of what is computed: a sum in a product is one, and all that something is divided by."""
        said = self._value(node, None)
        if not isinstance(node, ast.BinOp) or _number(node) is not None or isinstance(within, ast.Add | ast.Sub):
            return said
        return f"（{said}）" if isinstance(within, ast.Div) or isinstance(node.op, ast.Add | ast.Sub) else said


def _joined_by(node: ast.expr) -> type[ast.boolop] | None:
    """Return what joins the parts of a condition: 40 <= pulse <= 130 are two."""
    if isinstance(node, ast.BoolOp):
        return type(node.op)
    return ast.And if isinstance(node, ast.Compare) and len(node.ops) > 1 else None


def _constant(value: object, unit: str | None) -> str:
    if isinstance(value, bool):
        return "真" if value else "假"
    if isinstance(value, int | float):
        return f"{value:{_PLAIN}}{_spaced(unit)}"
    return _WORDS.get(str(value), str(value))


_COMPUTED: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
}  # fmt: skip


def _number(node: ast.expr) -> float | None:
    """Return what is computed of numbers alone."""
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.BinOp() if type(node.op) in _COMPUTED:
            left, right = _number(node.left), _number(node.right)
            return None if left is None or right is None else _COMPUTED[type(node.op)](left, right)
        case _:
            return None


def _spaced(unit: str | None) -> str:
    return "" if not unit else unit if unit in {"%", "℃"} else f" {unit}"


def _turned(op: ast.cmpop) -> ast.cmpop:
    turned: dict[type[ast.cmpop], type[ast.cmpop]] = {
        ast.Lt: ast.Gt,
        ast.LtE: ast.GtE,
        ast.Gt: ast.Lt,
        ast.GtE: ast.LtE,
    }
    return turned.get(type(op), type(op))()
