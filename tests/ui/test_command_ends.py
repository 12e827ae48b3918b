"""The ends of commands that an alarm, or the request of a person, sent."""

from __future__ import annotations

from typing_extensions import override

from hub.model.effects import Event, Transition
from hub.model.values import Severity
from hub.ui.atlas import Atlas
from hub.ui.history import MOST, History, Wanted, ends_of

ALARM, REQUEST = "0a" * 16, "6b0c2f0e-1f5e-4d0c-9a57-0f3b1a0c7d11"


class Told(History):
    """A history of nothing but the ends of these commands."""

    def __init__(self, *commands: str) -> None:
        self._ids = commands

    @override
    async def find(
        self, wanted: Wanted, *, since: int | None, limit: int, written_by: int | None = None
    ) -> list[Event]:
        assert wanted.domains == ("command",)
        is_wanted = wanted.test(Atlas())
        told = [
            Event(
                id=f"{number:032x}", name="command.done", severity=Severity.INFO, transition=Transition.OCCURRED,
                time=number, key="garden/gate-1", rule="", rule_version="", site="garden", data={"id": each},
            )
            for number, each in enumerate(self._ids)
        ]  # fmt: skip
        return [each for each in told if is_wanted(each)][:limit]


async def test_a_command_belongs_to_the_alarm_or_to_the_request_that_its_id_begins_with() -> None:
    told = Told(REQUEST, f"{REQUEST}-2", f"{ALARM}-1", f"{ALARM}-1-3", f"{ALARM}1-1", "", "7-1")
    assert [each.data["id"] for each in await ends_of(told, {ALARM, REQUEST}, since=0)] == [
        REQUEST,
        f"{REQUEST}-2",
        f"{ALARM}-1",
        f"{ALARM}-1-3",
    ]
    assert await ends_of(told, set(), since=0) == []


async def test_the_commands_of_others_do_not_hide_those_of_a_request() -> None:
    told = Told(*(f"barrier-{number}" for number in range(MOST)), f"{REQUEST}-1")
    assert [each.data["id"] for each in await ends_of(told, {REQUEST}, since=0)] == [f"{REQUEST}-1"]
