"""``hub rules``: what people and programs are told, and the exit codes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from tests.ui.conftest import Cli, Said

GOOD = """\
rule: tampered
label: {en: Tampered, zh: 被拆}
for_each: access_controller
when: tamper
clear: {for: 5s}
on_missing: keep
raise: {event: security.tampered, severity: high}
tests:
  - name: it rises
    given: [{at: 1s, values: {tamper: true}}]
    expect: ["1s raised security.tampered"]
"""


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Iterator[Cli]:
    yield Cli(capsys)
    structlog.reset_defaults()


DEAF = """\
profile: milesight/gs101
version: 9.0.0
kind: gas_detector
label: {en: x, zh: x}
payload: {format: json}
time: {from: none}
properties: {fault: {path: f}}
"""


class Rules:
    """``hub rules`` of an installation with a file of its own rules."""

    def __init__(self, cli: Cli, directory: Path) -> None:
        self.file = directory / "rules" / "own.yaml"
        self.file.parent.mkdir()
        self._cli = cli
        self._config = directory / "hub.toml"
        self._config.write_text(f'rules_dir = "{self.file.parent}"\n', encoding="utf-8")

    def use_profiles(self, directory: Path) -> None:
        """Let the installation have profiles of its own in a directory."""
        with self._config.open("a", encoding="utf-8") as file:
            file.write(f'profiles_dir = "{directory}"\n')

    def __call__(self, text: str, *arguments: str) -> Said:
        """Write ``text`` as the installation's rules and run the command."""
        self.file.write_text(text, encoding="utf-8")
        return self._cli("--config", str(self._config), "rules", *arguments)


@pytest.fixture
def rules(cli: Cli, tmp_path: Path) -> Rules:
    return Rules(cli, tmp_path)


def test_the_list_tells_every_rule_as_a_sentence(rules: Rules) -> None:
    said = rules(GOOD, "list", "--json")
    assert said.code == 0
    rows = {row["rule"]: row for row in said.document()}
    assert rows["tampered"] == {
        "rule": "tampered",
        "version": "1",
        "event": "security.tampered",
        "severity": "high",
        "for_each": {"kind": "access_controller"},
        "label": {"en": "Tampered", "zh": "被拆"},
        "sentence": {
            "zh": "每台门禁控制器，当“防拆”时，报警“被拆”（重要）；条件不再成立并持续 5 秒后解除。",
            "en": "for each access_controller, when tamper, raise security.tampered (high); "
            "clear when that is over for 5s",
        },
        "tests": 1,
    }
    assert "smoke-alarm" in rows


def test_the_list_for_people_shows_both_labels(rules: Rules) -> None:
    assert "被拆 / Tampered" in rules(GOOD, "list").out


def test_a_rule_is_told_in_the_language_that_is_asked_for(rules: Rules) -> None:
    said = rules(GOOD, "sentence", "tampered", "--language", "zh").out.splitlines()
    assert said == [
        "tampered  被拆 / Tampered",
        "  每台门禁控制器，当“防拆”时，报警“被拆”（重要）；条件不再成立并持续 5 秒后解除。",
    ]
    assert rules(GOOD, "sentence", "tampered").out.count("\n") == 3


def test_an_installation_replaces_a_shipped_rule_by_name(rules: Rules) -> None:
    said = rules(GOOD.replace("rule: tampered", "rule: smoke-alarm"), "list", "--json")
    assert [row["event"] for row in said.document() if row["rule"] == "smoke-alarm"] == ["security.tampered"]


def test_sound_rules_check(rules: Rules) -> None:
    said = rules(GOOD, "check")
    assert said.code == 0
    assert " rules, 0 findings" in said.out.splitlines()[-1]


def test_a_doubt_is_told_and_does_not_fail_the_check(rules: Rules) -> None:
    said = rules(GOOD.replace(", zh: 被拆", ""), "check")
    assert said.code == 0
    assert f"{rules.file}:2: warning: tampered: label: no label in zh" in said.out


def test_the_notes_on_rules_that_ship_do_not_bury_what_is_told_of_ones_own(rules: Rules) -> None:
    said = rules(GOOD.replace(", zh: 被拆", ""), "check").out.splitlines()
    assert [line for line in said[:-1] if not line.startswith(str(rules.file))] == []
    assert " rules, 1 findings; " in said[-1]
    assert said[-1].endswith(" notes on rules that ship: --all")
    every = rules(GOOD, "check", "--all").out
    assert "  [never_said]" in every
    assert "--all" not in every
    assert "[never_said]" in rules(GOOD.replace("when: tamper", "when: power_source == 'battery'"), "check").out


def test_one_rule_or_file_can_be_checked(rules: Rules) -> None:
    text = f"{GOOD.replace(', zh: 被拆', '')}---\n{GOOD.replace('rule: tampered', 'rule: other')}"
    for chosen, count in (("tampered", 1), (str(rules.file), 2)):
        (told, summary) = rules(text, "check", chosen).out.splitlines()
        assert told.startswith(f"{rules.file}:2: warning: tampered: label: no label in zh")
        assert summary == f"{count} rules, 1 findings"
    said = rules(text, "check", "tampred")
    assert (said.code, "did you mean tampered?" in said.err) == (2, True)


def test_what_the_hub_would_refuse_is_told_whatever_was_named(rules: Rules) -> None:
    scene = "scene: odd\nlabel: {en: Odd, zh: 怪}\nrules: [nowhere]\n"
    for chosen in ("tampered", str(rules.file)):
        said = rules(f"{GOOD}---\n{scene}", "check", chosen)
        assert (said.code, ": error: odd: " in said.out) == (2, True)


def test_a_rule_that_ships_and_that_a_profile_of_ones_own_made_deaf_is_told(rules: Rules, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    rules.use_profiles(own)
    assert "never_said" not in rules(GOOD, "check").out
    own.joinpath("gs101.yaml").write_text(DEAF, encoding="utf-8")
    assert ": gas-leak: when: no profile of gas_detector says alarm" in rules(GOOD, "check").out


def test_errors_of_all_rules_are_told_with_their_lines(rules: Rules) -> None:
    wrong = GOOD.replace("when: tamper", "when: tampr")
    misspelt = GOOD.replace("rule: tampered", "rule: other").replace("clear:", "claer:")
    said = rules(f"{wrong}---\n{misspelt}", "check", "--json")
    assert said.code == 2
    found = [finding for finding in said.document() if finding["weight"] != "note"]
    facts = [(finding["rule"], finding["line"], finding["code"]) for finding in found]
    assert facts == [("tampered", 4, "bad_expression"), ("other", 17, "unknown_key")]
    assert found[0]["hint"] == "did you mean tamper?"


def test_a_file_that_is_no_yaml_is_told_with_its_line(rules: Rules) -> None:
    said = rules("rule: [", "check")
    assert said.code == 2
    assert f"{rules.file}:1:" in said.err


def test_tests_that_hold_are_counted(rules: Rules) -> None:
    said = rules(GOOD, "test", "tampered")
    assert said.code == 0
    assert said.out.endswith("1 tests hold, 0 do not\n")


def test_what_no_test_shows_is_told_with_its_line(rules: Rules) -> None:
    said = rules(GOOD, "test", "tampered")
    assert said.out.splitlines()[:2] == [
        f"{rules.file}:5: warning: tampered: clear: no test shows cleared  [not_covered]",
        f"{rules.file}:5: warning: tampered: clear.for: no test shows clear.for  [not_covered]",
    ]
    assert "shown: 1 of 3 words, 0 of 0 details" in said.out


def test_coverage_is_told_to_programs(rules: Rules) -> None:
    points = rules(GOOD, "test", "tampered", "--json").document()["coverage"]
    assert points[0] == {
        "rule": "tampered", "point": "raised", "grain": "word", "test": "it rises", "file": str(rules.file), "line": 7,
    }  # fmt: skip


def test_a_test_that_does_not_hold_is_told_and_fails(rules: Rules) -> None:
    said = rules(GOOD.replace("1s raised", "2s raised"), "test", "tampered", "--no-coverage")
    assert said.code == 1
    assert said.out == (
        "tampered: it rises\n"
        "  missing: 2s raised security.tampered\n"
        "  unexpected: 1s raised security.tampered\n"
        "0 tests hold, 1 do not\n"
    )


def test_results_are_told_to_programs(rules: Rules) -> None:
    assert rules(GOOD, "test", "tampered", "--json", "--no-coverage").document() == {
        "tests": [{"rule": "tampered", "test": "it rises", "differences": []}],
        "coverage": [],
    }


def test_every_rule_is_tested_unless_some_are_named(rules: Rules) -> None:
    tested = {result["rule"] for result in rules(GOOD, "test", "--json", "--no-coverage").document()["tests"]}
    assert {"tampered", "smoke-alarm", "door-forced"} <= tested


def test_a_rule_that_does_not_exist_is_told_with_one_that_does(rules: Rules) -> None:
    said = rules(GOOD, "test", "tampred")
    assert said.code == 2
    assert "did you mean tampered?" in said.err
