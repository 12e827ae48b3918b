"""Laws over every scene that ships, and what is wrong with one that people write."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from hub.config.settings import packaged
from hub.errors import ConfigError
from hub.revisions.files import read_scenes
from hub.rules.scene import Scene, default_of
from simulators.scenario import read_scenarios
from tests.shipped import profiles as shipped_profiles

CATALOGUE, _ = shipped_profiles()
LAYERS = [packaged("rules"), packaged("scenes")]
RULES, SCENES = read_scenes(LAYERS, CATALOGUE)

every_scene = pytest.mark.parametrize("scene", SCENES.values(), ids=lambda scene: scene.scene)


def test_every_shipped_rule_is_in_exactly_one_scene() -> None:
    assert Counter(rule for scene in SCENES.values() for rule in scene.rules) == Counter(RULES.keys())


@every_scene
def test_what_one_question_sets_is_the_same_in_all_its_rules_until_somebody_says_otherwise(scene: Scene) -> None:
    said = {name: {RULES[rule].params[param] for rule, param in ask.targets()} for name, ask in scene.asks.items()}
    assert said == {name: {default_of(ask, RULES)} for name, ask in scene.asks.items()}


@every_scene
def test_its_scenarios_and_the_kinds_that_it_needs_exist(scene: Scene) -> None:
    assert [each.scenario for each in read_scenarios(scene.scenarios)] == [*scene.scenarios] or not scene.scenarios
    assert {kind for need in scene.needs for kind in need.device} - CATALOGUE.kinds.keys() == set()


def test_every_scenario_is_played_for_some_scene() -> None:
    assert {each.scenario for each in read_scenarios(())} == {
        name for each in SCENES.values() for name in each.scenarios
    }


# ------------------------------------------------------------------------------------------------------ what is wrong

OWN = """\
scene: pool
version: 1.0.0
label: {{en: Pool, zh: 泳池}}
purpose: {{en: Nobody drowns., zh: 防溺水。}}
rules: [{rules}]
{more}
"""
HIGH = "raise: {event: care.splash, severity: high}"


def refused(tmp_path: Path, rules: str, more: str = "") -> str:
    (tmp_path / "pool.yaml").write_text(OWN.format(rules=rules, more=more), encoding="utf-8")
    with pytest.raises(ConfigError) as found:
        read_scenes([*LAYERS, tmp_path], CATALOGUE)
    assert found.value.code in {"bad_scene", "bad_document"}
    return str(found.value)


def test_a_rule_has_one_switch(tmp_path: Path) -> None:
    told = refused(tmp_path, "smoke-alarm")
    assert "pool.yaml:5" in told
    assert "in scene 'fire' already" in told


def test_a_rule_that_nobody_knows_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    assert "did you mean smoke-alarm?" in refused(tmp_path, "smoke-alarms")


def test_what_it_asks_is_a_parameter_of_one_of_its_rules(tmp_path: Path) -> None:
    own = "rule: splash\nfor_each: leak_sensor\nwhen: leak\nraise: {event: care.splash, severity: low}\n"
    (tmp_path / "own.yaml").write_text(own, encoding="utf-8")
    asks = "asks: {{deep: {{sets: [{sets}], label: {{en: how deep, zh: 深度}}}}}}"
    assert "rule 'water-leak' is not of this scene" in refused(tmp_path, "splash", asks.format(sets="water-leak.then"))
    assert "has no parameter 'deep'" in refused(tmp_path, "splash", asks.format(sets="splash.deep"))


def test_people_read_it_in_both_languages(tmp_path: Path) -> None:
    (tmp_path / "pool.yaml").write_text(OWN.format(rules="splash", more="").replace(", zh: 泳池", ""), encoding="utf-8")
    with pytest.raises(ConfigError, match="'Pool' is not said in zh"):
        read_scenes([*LAYERS, tmp_path], CATALOGUE)


def test_an_installation_s_own_scene_replaces_one_of_its_name(tmp_path: Path) -> None:
    own = OWN.format(rules="gas-leak, gas-rising", more="").replace("scene: pool", "scene: gas")
    (tmp_path / "own.yaml").write_text(own, encoding="utf-8")
    _, scenes = read_scenes([*LAYERS, tmp_path], CATALOGUE)
    assert scenes["gas"].rules == ("gas-leak", "gas-rising")


@pytest.mark.parametrize(
    ("more", "keeps"),
    [
        (HIGH, False),
        ("raise: {event: care.splash, severity: critical}", True),
        (f"{HIGH}\ndo: [{{command: mute, priority: life_safety}}]", True),
        (f"{HIGH}\ndo: [{{command: mute, priority: entrapment}}]", True),
        (f"{HIGH}\ndo: [{{command: mute, priority: operator}}]", False),
    ],
)
def test_a_scene_keeps_people_alive_where_a_rule_of_it_does_whatever_it_says(
    more: str, tmp_path: Path, *, keeps: bool
) -> None:
    (tmp_path / "own.yaml").write_text(f"rule: splash\nfor_each: leak_sensor\nwhen: leak\n{more}\n", encoding="utf-8")
    pool = OWN.format(rules="splash", more="life_safety: false")
    (tmp_path / "pool.yaml").write_text(pool, encoding="utf-8")
    _, scenes = read_scenes([tmp_path])
    assert scenes["pool"].life_safety is keeps
