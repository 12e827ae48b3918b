"""Why a rule does not stand: for each word that can hold it back, the reason that names it, in both languages."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import orjson
import pytest

from hub.config.settings import packaged
from hub.errors import ConfigError
from hub.model.records import Control
from hub.model.values import Scalar
from hub.replay.beginning import entries_of
from hub.replay.explanation import Explainer, Explanation
from hub.rules.rule import Rule
from hub.rules.testing import RuleTest
from hub.ui.cli.rules_explain import document, lines
from hub.ui.rules.bench import Bench, Scene
from hub.ui.rules.explained import Language, sentence
from hub.yaml_documents import Document, load_documents, validate
from tests.engine.desk import transmitted
from tests.engine.one_rule import desk_with, warm
from tests.rules.cases.case import (
    CONFIRM,
    DOOR,
    FORCED,
    NIGHT,
    OPEN,
    OTHER,
    TWO,
    UNLESS_AWAY,
    ZONE,
    at,
    door,
    place,
    says,
)
from tests.rules.words import CATALOGUE, rule
from tests.shipped import profiles as shipped_profiles

KEY = "site/device"
Step = dict[str, object]


def stands(words: Mapping[str, object], *given: Step, **documents: Mapping[str, object]) -> Bench:
    """Return an engine that knows one rule and was told what is given."""
    case = RuleTest.model_validate({"name": "x", "given": given, "expect": []})
    bodies = {key.replace("__", "/"): orjson.dumps(body) for key, body in documents.items()}
    bench = Bench(Scene(rule(**words), case, CATALOGUE, bodies))
    for step in case.given:
        bench.take(step)
    return bench


def explained(bench: Bench, key: str = KEY) -> Explanation:
    return Explainer(bench.engine, entries_of(bench.engine, {})).explain("test", key)


class Case(NamedTuple):
    """A rule, what is said, and why it stands as it does, in English."""

    words: dict[str, object]
    given: list[Step]
    reasons: list[str]
    key: str = KEY
    documents: Mapping[str, Mapping[str, object]] = {}


DOOR_1 = f"{KEY}#door-1"
CASES = {
    "a false condition": Case({"when": "tamper"}, [at("1s", tamper=False)], ["when: tamper is false"]),
    "nothing was ever said": Case(
        {"when": "tamper or battery < 5"},
        [at("1s", tamper=False)],
        ["when: tamper or battery < 5 is unknown: nothing is known of battery"],
    ),
    "an exception": Case(
        {"when": "tamper", "unless": "battery > 5"},
        [at("1s", tamper=True, battery=9.0)],
        ["unless: battery > 5 is true"],
    ),
    "a fact of the place": Case(
        UNLESS_AWAY,
        [at("1s", tamper=True)],
        ["unless: True is true"],
        documents={"place__site__place": place(away=True)["place/site/place"]},
    ),
    "time": Case({"when": "tamper", "for": "60s"}, [at("1s", tamper=True), at("41s", battery=1.0)], ["for: 40s of 1m"]),
    "one vote": Case(
        {**OPEN, "confirm": CONFIRM}, [door("1s", "open")], ["confirm: 1 of 2 within 3s, for another 3s"], DOOR_1
    ),
    "one signal": Case(
        {"on_signal": "button.pressed", "count": {"at_least": 3, "within": "10s"}},
        [{"at": "1s", "signal": "button.pressed"}],
        ["count: 1 of 3 within 10s, for another 10s"],
    ),
    "no signal": Case(
        {"on_signal": "button.pressed"}, [at("1s", tamper=True)], ["on_signal: button.pressed has not come"]
    ),
    "a word that it may": Case(
        {**OPEN, "without": FORCED},
        [{"at": "9s", "part": "door-1", "signal": "button.pressed"}, door("10s", "open"), at("20s")],
        ["without: button.pressed came, so it may be so"],
        DOOR_1,
    ),
    "a word that may still come": Case(
        {**OPEN, "without": FORCED}, [door("10s", "open")], ["without: waits 2s more for button.pressed"], DOOR_1
    ),
    "a device that speaks": Case(
        {"absent_for": "1h"}, [at("1s", tamper=True), {"at": "10m", "values": {}}, {"at": "20m", "values": {}}],
        ["absent_for: silent for 0ms of 1h"],
    ),
    "another alarm": Case(
        {"when": "tamper", "inhibit": {"by": "other"}},
        [{"at": "0s", "device": "gate", "values": {"status": "stuck"}}, at("1s", tamper=True)],
        ["inhibit: held back by other site/gate"],
        documents={"rule__other": OTHER},
    ),
    "a person must end it": Case(
        {"when": "tamper", "clear": {"by": "operator", "role": "security", "refuse_while": "battery < 5"}},
        [at("1s", tamper=True, battery=1.0)],
        ["clear.by: a person must end it, in the role security", "clear.refuse_while: not while battery < 5"],
    ),
    "it has to be over for a while": Case(
        {"when": "tamper", "clear": {"for": "1m"}},
        [at("1s", tamper=True), at("2s", tamper=False), at("32s", battery=1.0)],
        ["clear.for: 30s of 1m"],
    ),
    "its end is not known": Case(
        {"when": "tamper", "clear": {"when": "battery > 5"}},
        [at("1s", tamper=True), at("2s", tamper=False)],
        ["clear.when: whether it is over is unknown: battery > 5"],
    ),
    "a ladder": Case(
        {
            "when": "tamper",
            "ladder": [{"after": "5m", "severity": "critical"}, {"when": "battery < 5", "severity": "critical"}],
        },
        [at("1s", tamper=True, battery=9.0), at("61s", battery=9.0)],
        ["when: tamper is still true", "ladder.0: critical in 4m", "ladder.1: not critical: battery < 5 is false"],
    ),
    "reminders": Case(
        {"when": "tamper", "remind": {"every": "5m", "at_most": 2}},
        [at("0s", tamper=True), at("6m", battery=1.0)],
        ["when: tamper is still true", "remind: told 1 times, again in 4m"],
    ),
    "steps that come": Case(
        {"when": "tamper", "escalate": [{"after": "1m", "to": "lead"}, {"after": "5m", "to": "city"}]},
        [at("0s", tamper=True), at("2m", battery=1.0)],
        ["when: tamper is still true", "escalate.0: lead was told", "escalate.1: city is told in 3m"],
    ),
    "steps that an acknowledgement ended": Case(
        {
            "when": "tamper",
            "escalate": [{"after": "1m", "to": "lead"}, {"after": "5m", "to": "city", "until": "cleared"}],
        },
        [at("0s", tamper=True), {"at": "1s", "ask": "ack"}, at("4m", battery=1.0)],
        [
            "when: tamper is still true",
            "escalate.0: lead is not told: tester has acknowledged it",
            "escalate.1: city is told in 1m",
            "acknowledged by tester",
        ],
    ),
    "two witnesses": Case(
        {**ZONE, "inputs": TWO, "when": "alarming >= 2"},
        [says("1s", "sensor", status="alarm"), says("2s", "sensor-2", status="normal")],
        ["when: alarming >= 2 is false"],
        "site/@place",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_word_that_decides_is_named(name: str) -> None:
    case = CASES[name]
    found = explained(stands(case.words, *case.given, **case.documents), case.key)
    said = [sentence(reason, Language.EN) for reason in found.reasons if reason.code != "active"]
    assert said == case.reasons


def test_a_role_that_ships_and_how_bad_it_is_are_told_in_chinese_by_their_names_there() -> None:
    worse = {"ladder": [{"severity": "critical", "after": "2m"}], "escalate": [{"after": "5m", "to": "city"}]}
    found = explained(stands({"when": "tamper", **worse}, at("1s", tamper=True)))
    said = [sentence(reason, Language.ZH) for reason in found.reasons]
    assert "escalate.0：5m 后升级通知 市级主管部门" in said
    assert "ladder.0：2m 后升为 紧急" in said


@pytest.mark.parametrize(
    ("verb", "words", "expected"),
    [
        ("test", {"site": "s1", "what": "room", "for": "2h", "reason": "x"}, "escalate.0: lead is not told in a test"),
        ("shelve", {"rule": "hot", "key": "s1/room", "for": "1h"}, "escalate.0: lead is not told while it is shelved"),
    ],
)
def test_an_alarm_that_climbs_to_nobody_says_why(
    tmp_path: Path, verb: str, words: dict[str, Scalar], expected: str
) -> None:
    desk = desk_with(tmp_path, "escalate: [{after: 1m, to: lead}]")
    warm(desk, 60)
    assert desk.say(Control("1-0", "id-1", "li", verb, desk.wall + 30 * 10**9, words)).replies[0].ok
    warm(desk, 20)
    desk.tick()
    warm(desk, 60)  # raised anew: on its shelf, or in the test
    found = Explainer(desk.engine, entries_of(desk.engine, {})).explain("hot", "s1/room")
    assert expected in [sentence(reason, Language.EN) for reason in found.reasons]


def test_of_what_was_found_late_it_says_what_is_owed_and_once_that_was_sent_nothing(tmp_path: Path) -> None:
    """It said that no commands were sent, beside a door that was held."""
    hold = "{command: unlock, args: {ttl: 30s}, to: {kind: access_controller, in: building}, until: cleared}"
    desk = desk_with(tmp_path, f"do: [{hold}]").start_again()
    desk.lose()
    warm(desk, 60)
    owing = Explainer(desk.engine, entries_of(desk.engine, {})).explain("hot", "s1/room")
    desk.catch_up(3)
    found = Explainer(desk.engine, entries_of(desk.engine, {})).explain("hot", "s1/room")
    assert [name for _, name in transmitted(desk)] == ["unlock"]
    assert [any(each.code == "owes" for each in told.reasons) for told in (owing, found)] == [True, False]
    assert not [each for each in found.reasons if "command" in sentence(each, Language.EN)]


def test_a_closed_window_is_named_with_the_moment_at_which_it_opens() -> None:
    found = explained(stands({"when": "tamper", "schedule": NIGHT}, at("1h", tamper=True)))
    outside = found.reasons[0]
    assert (outside.code, outside.word) == ("outside", "schedule")
    assert outside.facts["until_at"] == found.at // 10**9 * 10**9 + 13 * 3600 * 10**9


def test_time_that_does_not_count_is_named() -> None:
    words = {"when": "tamper", "for": "15h", "counting": {"from": "06:00", "until": "22:00"}}
    (reason,) = explained(stands(words, at("1h", tamper=True))).reasons
    assert (reason.code, reason.facts["due_at"]) == ("counts_until", 1_772_352_000_000_000_000 + 24 * 3600 * 10**9)


def test_a_term_tells_its_value_its_age_and_when_it_is_too_old() -> None:
    words = {"when": "status == 'alarm' and not tamper"}
    found = explained(stands(words, at("0s", status="normal"), at("51h", tamper=False)))
    status, tamper = found.conditions[0].terms
    assert (status.verdict, status.seen[0].value, status.seen[0].is_stale) == (None, "normal", True)
    assert (tamper.text, tamper.verdict) == ("tamper", False)
    told = "\n".join(lines(found, Language.EN))
    assert "unknown  status == 'alarm'  status=normal (2d3h ago, older than 2d2h: unknown)" in told


def test_a_place_tells_who_said_it_and_which_members_count() -> None:
    words = {**ZONE, "inputs": TWO, "when": "alarming >= 2 and gate__door == 'open'"}
    given = [says("1s", "sensor", status="alarm"), says("2s", "sensor-2", tamper=True), says("3s", "gate", door="open")]
    found = explained(stands(words, *given), "site/@place")
    _, gate = found.conditions[0].terms
    assert [(seen.value, seen.by) for seen in gate.seen] == [("open", "site/gate")]
    ((whole, members),) = found.inputs
    assert document(found)["inputs"][0]["value"] == [1, 2]  # type: ignore[index] # one, or two: nobody knows
    assert [(each.key, each.counts) for each in members] == [("site/sensor", True), ("site/sensor-2", None)]
    assert whole.name == "alarming"


def test_every_reason_is_said_in_chinese_and_english_without_a_gap() -> None:
    for case in CASES.values():
        for reason in explained(stands(case.words, *case.given, **case.documents), case.key).reasons:
            zh, en = sentence(reason, Language.ZH), sentence(reason, Language.EN)
            assert zh != en
            assert "{" not in zh + en


SHIPPED, _ = shipped_profiles()
DOCUMENTS = [document for path in sorted(packaged("rules").rglob("*.yaml")) for document in load_documents(path)]


@pytest.mark.parametrize("shown", DOCUMENTS, ids=[document.name for document in DOCUMENTS])
def test_every_rule_that_ships_is_explained_wherever_it_has_begun(shown: Document) -> None:
    shipped = validate(shown, Rule)
    bench = Bench(Scene(shipped, shipped.tests[0], SHIPPED))
    for step in shipped.tests[0].given[:1]:
        bench.take(step)
    explainer = Explainer(bench.engine, entries_of(bench.engine, {}))
    where = "site/device" if shipped.for_each.place is None else "site/@place"
    for key in explainer.keys_at_work(explainer.rule(shipped.rule)) or [where]:
        told = list(lines(explainer.explain(shipped.rule, key), None))
        assert told[0].startswith(f"{shipped.rule}  {shipped.label['zh']}")
        assert len(told) > 1


def test_explaining_changes_nothing() -> None:
    bench = stands({**ZONE, "inputs": TWO, "when": "alarming >= 2"}, says("1s", "sensor", status="alarm"))
    before = entries_of(bench.engine, {})
    Explainer(bench.engine, before).explain("test", "site/@place")
    assert entries_of(bench.engine, before) == before


def test_the_places_of_a_device_and_the_devices_of_a_place_are_found() -> None:
    zone = stands({**ZONE, "when": "tamper"}, says("1s", "sensor", tamper=False))
    of_zone = Explainer(zone.engine, {})
    assert of_zone.keys_of_device(of_zone.rule("test"), "site/sensor") == ["site/@place"]
    doors = stands({**DOOR, "when": "door == 'open'"}, door("1s", "open"))
    of_doors = Explainer(doors.engine, {})
    assert of_doors.keys_of_place(of_doors.rule("test"), "site/place") == [DOOR_1]
    assert of_doors.keys_of_device(of_doors.rule("test"), DOOR_1) == [DOOR_1]


def test_what_does_not_exist_is_told() -> None:
    explainer = Explainer(stands({"when": "tamper"}, at("0s")).engine, {})
    for ask, code in (
        (lambda: explainer.rule("tset"), "unknown_rule"),
        (lambda: explainer.explain("test", "site/nobody"), "unknown_subject"),
        (lambda: explainer.key_of_alarm("ff"), "alarm_unknown"),
    ):
        with pytest.raises(ConfigError) as caught:
            ask()
        assert caught.value.code == code
