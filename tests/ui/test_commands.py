"""The list of commands: each does what the list says, and listing them imports none."""

from __future__ import annotations

import subprocess
import sys

import pytest

from hub.ui.cli.main import COMMANDS
from tests.ui.conftest import Cli


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_does_what_the_list_says(name: str, cli: Cli) -> None:
    said = cli(name, "--help")
    assert said.code == 0
    assert COMMANDS[name].removesuffix(".") in _words(said.out)


def test_a_name_that_is_almost_one_is_suggested(cli: Cli) -> None:
    said = cli("alarm", "list")
    assert said.code == 2
    assert "Did you mean 'alarms'?" in _words(said.err)


def test_what_is_only_listed_is_not_imported() -> None:
    asked = "import sys, hub.ui.cli.main; print(*(name for name in sys.modules if name.startswith('hub.ui.cli.')))"
    answer = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert set(answer.stdout.split()) == {"hub.ui.cli.main", "hub.ui.cli.desk", "hub.ui.cli.later"}


def _words(text: str) -> str:
    return " ".join(text.replace("│", " ").split())
