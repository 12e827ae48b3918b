"""``hub scenes``: what people read of scenes, what they switch, and what a check finds missing at a site."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.ui.conftest import Cli
from tests.ui.installation import environment, hub_command
from tests.ui.office import Office

WHY = ("--reason", "works on the roof")
KITCHENS = """\
scene: kitchens
version: 1.0.0
label: {en: Kitchens, zh: 厨房}
purpose: {en: Hot., zh: 过热。}
rules: [hot-kitchen]
"""


@pytest.fixture
def office(cli: Cli, tmp_path: Path) -> Office:
    return Office(cli, tmp_path)


def row(office: Office, name: str) -> Any:  # noqa: ANN401 -- JSON is anything
    return next(each for each in office.json("scenes", "list", "--site", "garden") if each["scene"] == name)


def test_every_scene_is_on_until_somebody_says_so_and_on_again_as_it_was(office: Office) -> None:
    assert {each["on"] for each in office.json("scenes", "list", "--site", "garden")} == {True}
    assert office.json("scenes", "disable", "water", "--site", "garden")["changed"]
    assert (row(office, "water")["on"], row(office, "fire")["on"]) == (False, True)
    told = office.json("scenes", "enable", "water", "--site", "garden")
    assert (told["was"], told["becomes"], told["changed"]) == ("off", "on", True)
    assert row(office, "water")["on"]
    again = office("scenes", "enable", "water", "--site", "garden")
    assert "water at garden is on already: nothing changes" in again.out
    assert "2 things are missing there: hub scenes check water --site garden" in again.out


def test_what_keeps_people_alive_is_not_switched_off_without_a_reason_and_loudly(office: Office) -> None:
    assert "[reason_missing]" in office.refused("scenes", "disable", "fire", "--site", "garden")
    said = office("scenes", "disable", "fire", "--site", "garden", *WHY)
    assert said.code == 0
    assert "ATTENTION / 注意: at garden nobody is told" in said.err
    assert [each["reason"] for each in row(office, "fire")["off"]] == [WHY[1]]
    assert WHY[1] in office("scenes", "list").out


def test_a_terminal_without_chinese_letters_is_shown_their_numbers(office: Office) -> None:
    command = hub_command("--config", str(office.directory / "hub.toml"), "scenes", "list")
    said = subprocess.run(
        command, env=environment(PYTHONIOENCODING="latin-1"), capture_output=True, text=True, check=False
    )
    assert (said.returncode, said.stderr) == (0, "")
    assert "\\u72b6\\u6001" in said.stdout  # 状态


def test_reasons_are_shown_as_they_were_written(office: Office) -> None:
    foreign = "works [/b] on the [red]roof[/] :fire: \\"
    office.json("scenes", "disable", "water", "--site", "garden", "--reason", foreign)
    for words in (("audit",), ("scenes", "list"), ("scenes", "show", "water")):
        assert foreign in office(*words).out


def test_a_second_time_changes_nothing_and_says_so(office: Office) -> None:
    office.json("scenes", "disable", "fire", "--site", "garden", *WHY)
    again = office("scenes", "disable", "fire", "--site", "garden", "--reason", "another")
    assert (again.code, "off already: nothing changes" in again.out) == (0, True)
    office.json("scenes", "enable", "fire", "--site", "garden", "--param", "battery_low=15")
    assert not office.json("scenes", "enable", "fire", "--site", "garden", "--param", "battery_low=15")["changed"]
    said = [(line["what"], line["subject"], line["reason"]) for line in office.json("audit")]
    assert said == [
        ("site.added", "site/garden", ""),
        ("scene.disabled", "scene/garden/fire", WHY[1]),
        ("scene.enabled", "scene/garden/fire", ""),
        ("params.set", "params/garden/detector-battery-low/site", ""),
    ]


def test_a_dry_run_tells_the_plan_and_changes_nothing(office: Office) -> None:
    words = ("scenes", "enable", "elevator", "--site", "garden", "--param", "ebike_notify=20s", "--dry-run")
    told = office.json(*words)
    assert told["params"] == [
        {"rule": "ebike-in-elevator", "name": "notify", "was": "30s", "becomes": "20s"},
        {"rule": "ebike-reported", "name": "notify", "was": "30s", "becomes": "20s"},
    ]
    off = office("scenes", "disable", "fire", "--site", "garden", *WHY, "--dry-run")
    assert "a dry run" in off.out
    assert row(office, "fire")["on"]
    assert office.json("params", "show") == []


def test_one_question_sets_all_its_rules_and_is_shown_with_who_said_so(office: Office) -> None:
    office.json("scenes", "enable", "elevator", "--site", "garden", "--param", "ebike_notify=20s")
    asks = {each["name"]: each for each in office.json("scenes", "show", "elevator", "--site", "garden")["asks"]}
    assert (asks["ebike_notify"]["value"], asks["ebike_notify"]["is_said"]) == ("20s", True)
    assert (asks["ebike_order"]["value"], asks["ebike_order"]["is_said"]) == ("180s", False)
    assert [each["value"] for each in office.json("scenes", "show", "elevator")["asks"] if each["is_said"]] == []


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("enable", "elevators", "--site", "garden"), "scene_unknown"),
        (("enable", "elevator", "--site", "gardn"), "site_unknown"),
        (("disable", "water", "--site", "gardn"), "site_unknown"),
        (("list", "--site", "gardn"), "site_unknown"),
        (("enable", "elevator", "--site", "garden", "--param", "ebike_notfy=20s"), "param_unknown"),
        (("enable", "elevator", "--site", "garden", "--param", "ebike_notify=20"), "param_invalid"),
        (("enable", "elevator", "--site", "garden", "--param", "ebike_notify=soon"), "param_invalid"),
        (("check", "elevator", "--site", "gardn"), "site_unknown"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_do(office: Office, words: tuple[str, ...], code: str) -> None:
    told = office.refused("scenes", *words)
    assert f"[{code}]" in told
    assert " -- " in told or code == "param_invalid"
    assert "pydantic" not in told
    assert office.json("params", "show") == []


def test_a_scene_of_an_installation_is_like_one_that_ships(office: Office) -> None:
    own = f"{KITCHENS}asks: {{limit: {{sets: [hot-kitchen.limit], label: {{en: limit, zh: 上限}}}}}}\n"
    (office.directory / "rules" / "kitchens.yaml").write_text(own, encoding="utf-8")
    office.json("scenes", "enable", "kitchens", "--site", "garden", "--param", "limit=70")
    assert office.json("params", "show", "hot-kitchen")[0]["values"] == {"limit": 70}
    office.json("scenes", "disable", "kitchens", "--site", "garden")
    (office.directory / "rules" / "kitchens.yaml").unlink()
    assert "kitchens is off at garden, but there is no such scene" in office("scenes", "list").out
    words = ("scenes", "enable", "kitchens", "--site", "garden")
    assert "would be forgotten" in office(*words, "--dry-run").out
    assert "kitchens is off at garden" in office("scenes", "list").out
    told = office.json(*words)
    assert (told["was"], told["becomes"], told["changed"]) == ("off", "gone", True)
    assert "kitchens" not in office("scenes", "list").out
    assert office.json("audit")[-1]["what"] == "scene.enabled"
    assert "[scene_unknown]" in office.refused(*words)


def test_beside_a_scene_of_an_installation_the_checks_of_escalations_and_rules_go_on(office: Office) -> None:
    own = office.directory / "rules" / "kitchens.yaml"
    own.write_text(KITCHENS, encoding="utf-8")
    said = office("notify", "check")
    assert (said.code, "add a route with to: [property_lead]" in said.out) == (1, True)
    assert office("rules", "check").code == 0
    own.write_text(KITCHENS.replace("[hot-kitchen]", "[hot-kitchen, water-leak]"), encoding="utf-8")
    checked = office("rules", "check", "--json")
    assert checked.code == 2
    assert {"file": str(own), "line": 5, "scene": "kitchens", "code": "bad_scene"}.items() <= next(
        each.items() for each in checked.document() if each["weight"] == "error"
    )
    assert "[bad_scene]" in office.refused("run")


def test_a_check_of_a_bare_site_fails_and_says_what_to_do(office: Office) -> None:
    said = office("scenes", "check", "elevator", "--site", "garden")
    assert (said.code, said.err) == (1, "")
    assert "hub devices add garden NAME --kind elevator" in said.out
    told = office("scenes", "check", "elevator", "--site", "garden", "--json").document()
    assert ("no_device", "missing") in {(each["check"], each["grade"]) for each in told["lines"]}


def test_scenarios_are_not_played_beside_a_broker_that_asks_for_passwords(office: Office) -> None:
    with (office.directory / "hub.toml").open("a", encoding="utf-8") as settings:
        settings.write('broker.keeper = "mosquitto"\n')
    told = office.refused("scenes", "check", "fire", "--site", "garden", "--run")
    assert "hub drill fire garden --zone" in told
