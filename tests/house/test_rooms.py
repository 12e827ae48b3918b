"""The house rules that a reader relies on: signs, the map, small rooms, reasons."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests.house.rooms import HOUSE, ROOMS, modules, readme_map, rendered, sign, the_map

ALL = list(modules(*ROOMS))
LINES = 330  # "about 300"


@pytest.mark.parametrize("module", ALL, ids=str)
def test_a_module_says_on_line_1_what_lives_there(module: Path) -> None:
    assert re.fullmatch(r"\S.*[.!]", sign(module)), f"{module} needs a sentence in its docstring's first line"


def test_the_readme_shows_the_map_of_the_house() -> None:
    assert readme_map() == the_map(), "the map should be (make map):\n" + rendered(the_map())


def test_the_readme_shows_the_layers_of_the_import_law() -> None:
    law = tomllib.loads((HOUSE / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    (flow,) = [contract for contract in law["contracts"] if contract["id"] == "flow"]
    text = (HOUSE / "README.md").read_text(encoding="utf-8").partition("## The map")[2]
    assert text.split("```")[1].strip() == " >\n".join(flow["layers"])


@pytest.mark.parametrize("module", sorted(modules("hub", "simulators")), ids=str)
def test_a_room_is_small(module: Path) -> None:
    assert len((HOUSE / module).read_text(encoding="utf-8").splitlines()) <= LINES


@pytest.mark.parametrize("module", ALL, ids=str)
def test_a_lint_rule_is_silenced_for_a_reason(module: Path) -> None:
    text = (HOUSE / module).read_text(encoding="utf-8")
    unexplained = [line for line in text.splitlines() if re.search(r"#\s*noqa(?!: [A-Z0-9, ]+ -- \S)", line)]
    assert [line for line in unexplained if "re.search" not in line] == []


def test_the_promise_is_in_the_readme() -> None:
    text = (HOUSE / "README.md").read_text(encoding="utf-8")
    promise = text.partition("## The promise")[2].partition("\n## ")[0]
    for word in ("QoS 1", "on its disk", "stored", "once", "Not covered", "fails over", "DUP"):
        assert word in promise
