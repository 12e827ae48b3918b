"""A restart makes no difference, whatever a town has come to hear; the shortest history that does is shown."""

from __future__ import annotations

import pytest

from tests.engine.histories.playing import Step, complaint
from tests.engine.histories.shrinking import shrink
from tests.engine.histories.trying import STEPS, report, try_one

SEEDS = range(12)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_restart_makes_no_difference(seed: int) -> None:
    history, wrong = try_one(seed, STEPS)
    assert not wrong, report(seed, history, wrong)


HOT = {"values": {"temperature": 80.0}}
WARM, COOL = {"values": {"temperature": 60.0}}, {"values": {"temperature": 20.0}}
ARMED, DISARMED = {"values": {"armed": True}}, {"values": {"armed": False}}
WERE_WRONG = {
    "a silence that is known is found again": [
        Step("ticks", {"seconds": 130}), Step("says", {"name": "env-2", "readings": [HOT]}),
        Step("is_changed", {"key": "rule/two-hot", "when": "hot >= 1"}), Step("restarts"),
    ],
    "what is desired is looked at later": [
        Step("is_asked", {"verb": "command", "device": "door-1", "command": "unlock", "ttl": "5s"}),
        Step("ticks", {"seconds": 6}), Step("says", {"name": "eye-1", "readings": [ARMED]}),
        Step("is_asked", {"verb": "desire", "device": "eye-1", "name": "armed", "reason": "a look", "value": True}),
        Step("says", {"name": "eye-1", "readings": [DISARMED]}), Step("restarts"), Step("ticks", {"seconds": 20}),
    ],
}  # fmt: skip


@pytest.mark.parametrize("history", WERE_WRONG.values(), ids=WERE_WRONG)
def test_what_was_wrong_is_so_no_more(history: list[Step]) -> None:
    assert complaint(history) == ""


SELDOM_DRAWN = {
    "a shelf outlives its alarm": [
        Step("says", {"name": "env-1", "readings": [WARM]}), Step("ticks", {"seconds": 21}),
        Step("is_asked_of_an_alarm", {"which": 0, "verb": "shelve", "for": "5m"}),
        Step("says", {"name": "env-1", "readings": [COOL]}), Step("ticks", {"seconds": 11}),
        Step("restarts"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("history", SELDOM_DRAWN.values(), ids=SELDOM_DRAWN)
def test_what_is_seldom_drawn_makes_no_difference_either(history: list[Step]) -> None:
    assert complaint(history) == ""


def test_of_a_wrong_history_only_the_steps_are_left_without_which_it_is_not() -> None:
    assert shrink(range(1_000), {3, 500, 998}.issubset) == [3, 500, 998]
