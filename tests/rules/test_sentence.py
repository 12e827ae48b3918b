"""Rules as sentences."""

from __future__ import annotations

import re

import pytest

from hub.config.settings import packaged
from hub.rules.held import OF_WITNESSES
from hub.rules.rule import Rule
from hub.rules.sentence import sentence, subject
from hub.rules.sentence_zh import sentence_zh
from hub.rules.spoken_zh import Speaker
from hub.yaml_documents import Document, load_documents, validate
from tests.rules.words import rule
from tests.shipped import profiles as shipped_profiles

SENTENCES: dict[str, dict[str, object]] = {
    "for each sensor, when tamper, raise fire.test (high); clear when that is over": {"when": "tamper"},
    "for each sensor, when battery < 5 unless tamper for 1m, raise fire.test (high); clear when battery > 9 for 10s; "
    "what is unknown counts as over": {
        "when": "battery < 5",
        "unless": "tamper",
        "for": "60s",
        "clear": {"when": "battery > 9", "for": "10s"},
        "on_missing": "clear",
    },
    "for each sensor, when tamper, raise fire.test (high); clear by operator; what is unknown counts as true": {
        "when": "tamper",
        "clear": {"by": "operator"},
        "on_missing": "raise",
    },
    "for each sensor, when tamper, raise fire.test (high); clear by operator in the role security, not while "
    "battery < 5": {
        "when": "tamper",
        "clear": {"by": "operator", "role": "security", "refuse_while": "battery < 5"},
    },
    "for each sensor, when tamper, raise fire.test (high); not while other in the building, waiting 30s for it; "
    "clear when that is over": {"when": "tamper", "inhibit": {"by": "other", "wait": "30s"}},
    "for each sensor, when tamper, raise fire.test (high); tell lead after 1m unless acknowledged before; tell city "
    "after 30m unless cleared before; clear when that is over": {
        "when": "tamper",
        "escalate": [{"after": "1m", "to": "lead"}, {"after": "30m", "to": "city", "until": "cleared"}],
    },
    "for each by of sensor in a site, when a device reports button.pressed at least 3 times within 1m by as many "
    "devices, raise fire.test (high); clear when there was none for 10m": {
        "for_each": {"value": "by", "of": "sensor", "forget_after": "1h"},
        "on_signal": "button.pressed",
        "count": {"at_least": 3, "within": "1m", "distinct": "device"},
        "clear": {"absent_for": "10m"},
    },
    "for each sensor that says nothing for 2d2h, raise fire.test (high); clear when it speaks": {"absent_for": "50h"},
    "for each door that reports door.forced, raise fire.test (high)": {
        "for_each": {"part": "door"},
        "on_signal": "door.forced",
    },
    "for each sensor that reports button.pressed where by == 'Li' at least 2 times within 5s, raise fire.test (high)": {
        "on_signal": "button.pressed",
        "where": "by == 'Li'",
        "count": {"at_least": 2, "within": "5s"},
    },
    "for each sensor that says serial, raise fire.test (high)": {"on_value": "serial"},
    "for each sensor, when tamper, raise fire.test (high); send silence; send unlock to every gate in the building "
    "until it is cleared, at most 5m; clear when that is over for 3s": {
        "when": "tamper",
        "clear": {"for": "3s"},
        "do": [
            {"command": "silence"},
            {"command": "unlock", "to": {"kind": "gate"}, "until": "cleared", "at_most": "5m"},
        ],
    },
    "for each sensor, when tamper, raise fire.test (high); send unlock to every gate in the building or in none; "
    "clear when that is over": {
        "when": "tamper",
        "do": [{"command": "unlock", "to": {"kind": "gate"}, "priority": "life_safety"}],
    },
}


@pytest.mark.parametrize("text", SENTENCES)
def test_a_rule_is_a_sentence(text: str) -> None:
    assert sentence(rule(**SENTENCES[text])) == text


def test_the_subject_is_the_kind_the_part_or_both() -> None:
    words = {"on_signal": "door.forced"}
    assert subject(rule(**words, for_each={"kind": "gate", "part": "door"}).for_each) == "gate#door"
    assert subject(rule(**words, for_each={"part": "door"}).for_each) == "door"
    assert subject(rule(when="tamper").for_each) == "sensor"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gone >= 0.5 * (gone + there)", "gone不低于0.5 × （gone + there）"),
        ("a - (b - c) > 0", "a - （b - c）高于0"),
        ("a / (b * c) < 1", "a ÷ （b × c）低于1"),
        ("abs(a - b) > 1", "（a - b）的绝对值高于1"),
        ("-(a + b) > a + b * 2", "-（a + b）高于a + b × 2"),
        ("40 <= a <= 130 or b", "（a不低于40，且a不高于130），或b"),
        ("a > 1234567", "a高于1234567"),
        ("a == (not b)", "a为（没有b）"),
    ],
)
def test_a_condition_means_in_chinese_what_it_means(text: str, said: str) -> None:
    assert Speaker([], frozenset())(text) == said


SHIPPED, _ = shipped_profiles()
DOCUMENTS = [document for path in sorted(packaged("rules").rglob("*.yaml")) for document in load_documents(path)]

CHINESE: dict[str, dict[str, object]] = {
    "每台水浸传感器，当“漏水”，且“电量”不高于 20%（没有“防拆”时除外），持续 1 分钟时，报警“测试”（重要）；"
    "满 30 分钟升为“紧急”；每 15 分钟再次提醒，直到有人确认，最多 8 次；"
    "当“电量”高于 30%，或没有“漏水”并持续 10 秒后解除；"
    "数据未知时按成立处理。": {
        "for_each": "leak_sensor",
        "when": "leak and battery <= $low",
        "params": {"low": 20},
        "unless": "not tamper",
        "for": "1m",
        "ladder": [{"after": "30m", "severity": "critical"}],
        "remind": {"every": "15m", "at_most": 8},
        "clear": {"when": "30 < battery or not leak", "for": "10s"},
        "on_missing": "raise",
    },
    "工作日 22:00 至 06:00，门禁控制器的每个门，"
    "当“门磁”为打开，而前 5 秒到后 2 秒之间没有“认证通过”时，报警“测试”（重要）；"
    "同时向同一小区的智能摄像机发出“抓拍”；只能由人解除（角色 security）。": {
        "for_each": {"kind": "access_controller", "part": "door"},
        "when": "door == 'open'",
        "without": {"signal": "access.granted", "within": "5s"},
        "schedule": {"days": ["workday"], "from": "22:00", "until": "06:00"},
        "do": [{"command": "snapshot", "to": {"kind": "ai_camera", "in": "site"}}],
        "clear": {"by": "operator", "role": "security"},
    },
    "每台水浸传感器，当“漏水”时，报警“测试”（重要）；同时向同一楼栋及楼外的门禁控制器发出“门常开”；"
    "条件不再成立后解除。": {
        "for_each": "leak_sensor",
        "when": "leak",
        "do": [{"command": "hold_door", "to": {"kind": "access_controller"}, "priority": "life_safety"}],
    },
    "每个住户，当 used 低于 0.01，且 any 不低于 2（“外出”时除外）时"
    "（其中 used 指 12 小时内智能水表的“累计水量”的增量，any 指“开合状态”为打开的门磁的数量），"
    "报警“测试”（重要）；同一楼栋已有 other 报警时不再单独报（先等 30 秒）；条件不再成立后解除。": {
        "for_each": "dwelling",
        "facts": {"away": False},
        "inputs": {
            "used": {"of": "water_meter", "take": "increase(volume)", "within": "12h"},
            "any": {"of": "door_contact", "where": "contact == 'open'", "take": "count"},
        },
        "when": "used < 0.01 and any >= 2",
        "unless": "$away",
        "inhibit": {"by": "other", "wait": "30s"},
    },
    "每台水浸传感器，当“漏水”时，报警“测试”（重要）；满 1 分钟仍无人确认时升级通知 lead；"
    "满 30 分钟仍未解除时升级通知市级主管部门；条件不再成立后解除。": {
        "for_each": "leak_sensor",
        "when": "leak",
        "escalate": [{"after": "1m", "to": "lead"}, {"after": "30m", "to": "city", "until": "cleared"}],
    },
    "每台车牌识别上报“车牌”（“车牌”在黑名单上）时，记录“测试”（重要）。": {
        "for_each": {"kind": "plate_reader"},
        "on_value": "plate",
        "where": "plate in list('block')",
    },
    "每台感烟火灾探测报警器连续 2 天 2 小时没有任何消息，报警“测试”（重要）；恢复上报即解除。": {
        "for_each": "smoke_sensor",
        "absent_for": "50h",
    },
}


@pytest.mark.parametrize("text", CHINESE)
def test_a_rule_is_a_chinese_sentence(text: str) -> None:
    assert sentence_zh(rule(**CHINESE[text]), SHIPPED) == text


@pytest.mark.parametrize("document", DOCUMENTS, ids=[document.name for document in DOCUMENTS])
def test_a_rule_that_ships_is_told_in_chinese_without_the_names_of_its_properties(document: Document) -> None:
    shipped = validate(document, Rule)
    said = sentence_zh(shipped, SHIPPED)
    others = {*shipped.inputs, *(shipped.inhibit.by if shipped.inhibit else ())}
    names = {*OF_WITNESSES, *(name for kind in SHIPPED.kinds.values() for name in kind.properties)} - others
    assert sorted(names & set(re.findall(r"(?<![a-z-])[a-z_]+(?![a-z-])", said))) == []
    assert shipped.label["zh"] in said


def test_a_fact_is_told_by_its_name_and_a_number_by_what_it_is() -> None:
    words: dict[str, object] = {
        "params": {"low": 5},
        "facts": {"away": False},
        "when": "battery < $low",
        "unless": "$away",
    }
    assert sentence(rule(**words)).startswith("for each sensor, when battery < 5 unless away, raise")
