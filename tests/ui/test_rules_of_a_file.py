"""Rules are named, or the file in which they stand: whoever wrote one has its path at hand."""

from __future__ import annotations

from tests.ui.office import Office


def test_the_rules_of_a_file_are_tested_and_told_by_its_path(office: Office) -> None:
    path = str(office.directory / "rules" / "own.yaml")
    told = office.json("rules", "sentence", path)
    assert [each["rule"] for each in told] == ["hot-kitchen"]
    said = office("rules", "test", path, "--no-coverage")
    assert (said.code, said.err) == (0, "")


def test_a_file_that_the_hub_does_not_load_is_no_rule_of_ours(office: Office) -> None:
    elsewhere = office.file("elsewhere.yaml", "rule: other\n")
    said = office.refused("rules", "test", elsewhere)
    assert "[unknown_rule]" in said
    assert "rules_dir" in said
    assert "smoke-alarm" not in said
