"""Which commands are looked at: nobody notices that it is not all of them, and it costs what is due, not what waits."""

from __future__ import annotations

from functools import cache

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.engine.device import Device
from hub.model.effects import Effects
from hub.model.heard import Publish
from hub.model.records import Control, Outcome, OutcomeKind, Started
from hub.model.values import Scalar
from tests.engine.desk import SECOND, SESSIONS, Desk, device, documents, encoded

METERS = ("m-0", "m-1")
LESSONS = 11
COMMANDS = {"close_valve": "closed", "open_valve": "open"}


@cache
def content() -> dict[str, bytes]:
    found = documents(*(device(name, "water_meter") for name in METERS))
    return {key: body for key, body in found.items() if key == "kind/water_meter" or key.startswith("device/")}


@cache
def otherwise() -> dict[str, bytes]:
    """Return the same with another condition that shows a valve closed."""
    kind = orjson.loads(content()["kind/water_meter"])
    kind["commands"]["close_valve"]["confirm"] = "valve == 'open'"
    return {**content(), "kind/water_meter": orjson.dumps(kind)}


def says(desk: Desk, name: str, valve: str, connection: int) -> Effects:
    """Say it with the clock of the device, as nearly all do: such a reading takes the short way."""
    body = {"t": desk.wall // 1_000_000, "values": {"valve": valve}}
    return desk.hear(Publish(f"hub/s1/{name}/telemetry", orjson.dumps(body)), connection=connection)


def asks(desk: Desk, name: str, command: str, identity: str) -> None:
    words: dict[str, Scalar] = {"site": "s1", "device": name, "command": command}
    desk.say(Control("1-0", identity, "li", "command", desk.wall + 30 * SECOND, words))


class Life:
    """Two meters, people, the broker and restarts; with ``thorough`` every command is looked at, at every step."""

    def __init__(self, *, thorough: bool) -> None:
        self._is_thorough = thorough
        self.desk, self.connection, self.effects = Desk(content()), 1, list[Effects]()
        for _ in range(LESSONS):
            for name in METERS:
                says(self.desk, name, "open", 1)

    def step(self, what: str, name: str, number: int) -> None:
        """Do one thing, a record or several."""
        desk, hands = self.desk, self.desk.engine._hands  # noqa: SLF001 -- the oracle: all of them, over or not
        if self._is_thorough:
            for device in desk.engine.content.devices():
                hands.spoke(device)
        ids = sorted(hands.commands)
        if what in COMMANDS:
            asks(desk, name, what, f"c{len(desk.records):04}")
        elif what in COMMANDS.values():
            says(desk, name, what, self.connection)
        elif what in OUTCOMES and ids:
            desk.say(Outcome(ids[number % len(ids)], OutcomeKind(what)))
        elif what in {"done", "refused"} and ids:
            body = orjson.dumps({"id": ids[number % len(ids)], "ok": what == "done"})
            desk.hear(Publish(f"hub/s1/{name}/response", body), connection=self.connection)
        else:
            self._live(what, name, number)

    def _live(self, what: str, name: str, number: int) -> None:
        desk = self.desk
        match what:
            case "online":
                desk.hear(Publish(f"hub/s1/{name}/availability", b"online"), connection=self.connection)
            case "lost":
                desk.lose()
                self._catch_up()
            case "revised":
                is_usual = desk.engine.content.bodies()["kind/water_meter"] == content()["kind/water_meter"]
                desk.revise(otherwise() if is_usual else content())
            case "starts":
                self.effects += desk.effects
                self.desk = desk.restart()
                self.desk.say(Started("test", SESSIONS))
                self._catch_up()
            case _:
                desk.tick(0.001 + number)

    def _catch_up(self) -> None:
        self.connection += 1
        self.desk.catch_up(self.connection)

    def came_to(self) -> bytes:
        """Return everything that came of it."""
        return encoded([*self.effects, *self.desk.effects])


OUTCOMES = ("sent", "delivered", "failed")
WHAT = (*COMMANDS, *COMMANDS.values(), *OUTCOMES, "done", "refused", "online", "passes", "lost", "revised", "starts")
steps = st.lists(st.tuples(st.sampled_from(WHAT), st.sampled_from(METERS), st.integers(0, 40)), max_size=40)


@settings(deadline=None, max_examples=40)
@given(steps)
def test_who_looks_at_every_command_at_every_record_sees_no_more(played: list[tuple[str, str, int]]) -> None:
    brief, thorough = Life(thorough=False), Life(thorough=True)
    for step in played:
        brief.step(*step)
        thorough.step(*step)
    assert brief.came_to() == thorough.came_to()


@pytest.mark.parametrize("between", ["", "starts", "lost", "revised"])
def test_a_reading_by_the_short_way_and_a_revision_show_what_was_done(between: str) -> None:
    life = Life(thorough=False)
    life.step("close_valve", "m-0", 0)
    life.step("sent", "m-0", 0)
    assert life.desk.engine.content.find("s1", "m-0").ages_end > 0  # type: ignore[union-attr] # the short way
    if between:
        life.step(between, "m-0", 0)
    life.step("open" if between == "revised" else "closed", "m-0", 0)
    (seen,) = (event for event in life.desk.events if event.name.startswith("command."))
    assert (seen.name, seen.causes[0][0]) == ("command.verified", len(life.desk.records))


def test_what_a_revision_shows_done_is_done_though_nobody_speaks() -> None:
    life = Life(thorough=False)
    for what in ("close_valve", "sent", "open"):
        life.step(what, "m-0", 0)
    assert [event for event in life.desk.events if event.name.startswith("command.")] == []
    life.step("revised", "m-0", 0)
    assert life.desk.events[-1].name == "command.verified"


@pytest.mark.parametrize("waiting", [0, 10, 400])
def test_a_record_costs_as_many_looks_as_are_due_however_many_wait(waiting: int) -> None:
    desk = Desk(content())
    hands, looks = desk.engine._hands, list[str]()  # noqa: SLF001 -- the find that each look begins with
    find = hands._find  # noqa: SLF001 -- as above

    def counting(site: str, name: str) -> Device | None:
        looks.append(name)
        return find(site, name)

    hands._find = counting  # noqa: SLF001 -- as above
    for number in range(waiting):
        asks(desk, "m-1", "close_valve", f"c{number}")
        desk.say(Outcome(f"c{number}", OutcomeKind.DELIVERED))
        desk.hear(Publish("hub/s1/m-1/response", orjson.dumps({"id": f"c{number}", "ok": True})))
    asks(desk, "m-0", "close_valve", "mine")
    desk.say(Outcome("mine", OutcomeKind.DELIVERED))
    looks.clear()
    for _ in range(100):
        desk.tick(0.01)
    assert looks == []
    says(desk, "m-0", "closed", 1)
    assert looks == ["m-0"]
    assert hands.commands["mine"].state == "verified"
    for _ in range(9):
        says(desk, "m-0", "closed", 1)
    assert looks == ["m-0"]
    desk.tick(60)
    assert looks == ["m-0"] + ["m-1"] * waiting
