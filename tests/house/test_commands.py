"""The law of the screen: of every command it is known whether it could show anybody."""

from __future__ import annotations

from tests.ui.every_command import CALLED, NOT_CALLED, commands


def test_every_command_is_called_by_these_tests_or_it_is_said_why_not() -> None:
    known = {*CALLED, *NOT_CALLED}
    assert (sorted(set(commands()) - known), sorted(known - set(commands()))) == ([], [])
    assert not set(CALLED) & set(NOT_CALLED)
