"""Drills: the whole chain, marked; what they send and tell; and a restart anywhere in a test and a drill."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from hub.model.effects import Effects
from tests.engine.desk import Desk, documents, encoded, transmitted
from tests.engine.trials import MINUTE, NAMES, RULES, ask, say, shipped, told


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    (tmp_path / "rules.yaml").write_text(RULES, encoding="utf-8")
    mine = {key: body for key, body in documents(rules=[tmp_path]).items() if key.startswith("rule/")}
    return Desk(shipped() | {f"rule/{name}": mine[f"rule/{name}"] for name in NAMES})


# --------------------------------------------------------------------------------------------------------------- drills


def test_a_drill_is_the_whole_chain_and_tells_the_commands_that_it_does_not_send(desk: Desk) -> None:
    ask(desk, "drill", "b1")
    for name in ("env-1", "env-2"):
        say(desk, name, temperature=60)
    assert told(desk) == [
        "raised hot env-1 drill", "occurred hot door-1 drill", "raised warm-building drill",
        "raised hot env-2 drill", "occurred hot door-1 drill", "raised two-hot drill",
    ]  # fmt: skip
    assert desk.events[2].name == "command.rehearsed"
    assert desk.events[2].data["command"] == "unlock"
    assert transmitted(desk) == []


def test_a_drill_with_commands_sends_them_marked_and_releases_them_at_its_end(desk: Desk) -> None:
    ask(desk, "drill", "b1", with_commands=True)
    effects = say(desk, "env-1", temperature=60)
    assert orjson.loads(effects.transmissions[0].payload)["drill"] is True
    say(desk, "env-1", temperature=20)
    desk.tick()
    assert [command for _, command in transmitted(desk)] == ["unlock", "lock"]
    assert {orjson.loads(one.payload).get("drill") for each in desk.effects for one in each.transmissions} == {True}


def test_what_is_still_true_at_the_end_of_a_drill_is_raised_anew_and_acts(desk: Desk) -> None:
    ask(desk, "drill", "b1")
    say(desk, "env-1", temperature=60)
    desk.tick(30 * MINUTE)
    assert [line for line in told(desk) if " hot env-1" in line] == [
        "raised hot env-1 drill", "cleared hot env-1 drill", "raised hot env-1",
    ]  # fmt: skip
    assert [command for _, command in transmitted(desk)] == ["unlock"]


def test_a_drill_reminds_as_a_real_alarm_would(desk: Desk) -> None:
    ask(desk, "drill", "b1")
    say(desk, "env-1", temperature=60)
    desk.tick(10 * MINUTE)
    assert told(desk)[-1] == "reminded hot env-1 drill"


def test_a_drill_of_one_rule_leaves_the_others_real(desk: Desk) -> None:
    ask(desk, "drill", "b1", rules="two-hot")
    for name in ("env-1", "env-2"):
        say(desk, name, temperature=60)
    assert [line for line in told(desk) if line.startswith("raised")] == [
        "raised hot env-1", "raised warm-building", "raised hot env-2", "raised two-hot drill",
    ]  # fmt: skip


def test_what_is_drilled_counts_for_nothing_outside_the_drill(desk: Desk) -> None:
    ask(desk, "drill", "env-1")
    for name in ("env-1", "env-2"):
        say(desk, name, temperature=60)
    assert [line for line in told(desk) if line.startswith("raised")] == [
        "raised hot env-1 drill", "raised hot env-2", "raised warm-building",
    ]  # fmt: skip


def test_who_drills_what_tells_of_danger_to_life_is_told_in_both_languages_what_that_hides(desk: Desk) -> None:
    assert "end_drill" not in ask(desk, "drill", "env-3", rules="hot").detail
    warning = ask(desk, "drill", "@b1", rules="hot two-hot").detail
    assert "A REAL two-hot THERE IS MARKED AS A DRILL TOO AND SENDS NO COMMAND" in warning
    assert warning.count("hub drill end s1 @b1") == 2
    assert "真实的 two-hot 也会标为演练，且不联动" in warning
    acting = ask(desk, "drill", "@b1", rules="two-hot", with_commands=True).detail
    assert ("MARKED AS A DRILL TOO. " in acting, "不联动" in acting) == (True, False)


def test_what_a_drill_does_not_name_is_as_real_as_ever_there(desk: Desk) -> None:
    ask(desk, "drill", "@b1", rules="hot")
    for name in ("env-1", "env-2"):
        say(desk, name, temperature=60)
    assert "raised two-hot" in told(desk)
    assert "raised hot env-1 drill" in told(desk)


def test_under_test_and_in_a_drill_is_both_and_what_the_drill_wants_is_sent(desk: Desk) -> None:
    ask(desk, "test", "env-1")
    ask(desk, "drill", "b1", with_commands=True)
    say(desk, "env-1", temperature=60)
    assert told(desk)[0] == "raised hot env-1 test drill"
    assert len(transmitted(desk)) == 1


# ------------------------------------------------------------------------------------------------------------- the laws


def conversation(here: Desk, restart_before: int) -> bytes:
    """Try things, with a restart before one step; return what all of it came to."""
    effects: list[Effects] = []
    steps: tuple[Callable[[], object], ...] = (
        lambda: ask(here, "test", "env-1 door-1", id="a"),
        lambda: ask(here, "drill", "@b1", id="b", with_commands=True, **{"for": "10m"}),
        lambda: say(here, "env-1", temperature=60),
        lambda: say(here, "env-2", temperature=60),
        lambda: here.tick(11 * MINUTE),
        lambda: ask(here, "end_test", "door-1", id="c"),
        lambda: here.tick(25 * MINUTE),
        lambda: say(here, "env-1", temperature=20),
    )
    for number, step in enumerate(steps):
        if number == restart_before:
            effects += here.effects
            here = here.restart()
        step()
    return encoded([*effects, *here.effects])


def test_a_restart_anywhere_in_a_test_and_a_drill_changes_nothing(desk: Desk) -> None:
    documents = desk.engine.content.bodies()
    whole = conversation(Desk(documents), -1)
    assert whole.count(b"device.drill_ended") == 1
    assert [conversation(Desk(documents), step) == whole for step in range(8)] == [True] * 8
