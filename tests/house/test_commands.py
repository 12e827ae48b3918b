"""The law of the screen: of every command it is known whether it could show anybody."""

from __future__ import annotations

from hub.ui.cli.main import COMMANDS
from tests.house.rooms import modules
from tests.ui.every_command import CALLED, NOT_CALLED, commands


def test_every_command_is_called_by_these_tests_or_it_is_said_why_not() -> None:
    known = {*CALLED, *NOT_CALLED}
    assert (sorted(set(commands()) - known), sorted(known - set(commands()))) == ([], [])
    assert not set(CALLED) & set(NOT_CALLED)


def test_the_folder_of_the_command_line_tells_the_nouns() -> None:
    """A file is a command, or is of one command and begins with its name: what several share has a room beside it."""
    nouns = {name.replace("-", "_") for name in COMMANDS}
    files = {module.stem for module in modules("hub/ui/cli")} - {"__init__", "main"}
    assert nouns - files == set()
    assert {file for file in files - nouns if not any(file.startswith(f"{noun}_") for noun in nouns)} == set()
