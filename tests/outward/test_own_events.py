"""What the hub says of itself is said in words, in both languages."""

from __future__ import annotations

import re

from hub.commands.life import OPEN, CommandState
from hub.outward.own_events import LABELS, label_of
from hub.ui.words import title
from tests.house.rooms import HOUSE

_REPORTED = re.compile(r'report\(\s*"device\.(\w+)"')
_RIM = re.compile(r'_report\("(\w+)"')


def test_every_event_of_our_own_that_has_no_label_is_called_something_in_both_languages() -> None:
    engine = "".join(path.read_text() for path in sorted((HOUSE / "hub" / "engine").glob("*.py")))
    names = {f"device.{name}" for name in _REPORTED.findall(engine)}
    names |= {f"device.{name}" for name in _RIM.findall((HOUSE / "hub" / "reports.py").read_text())}
    names |= {f"command.{state}" for state in CommandState if state not in OPEN}
    assert len(names) > len(CommandState)  # the engine's own were found, too
    assert sorted(names - LABELS.keys()) == []
    assert all(re.search(r"[\u4e00-\u9fff]", label["zh"]) and label["en"] for label in LABELS.values())


def test_a_label_of_a_rule_wins() -> None:
    assert title("device.stream_tail_lost", {}).startswith("Redis 丢失了最新事件")
    assert label_of("command.timeout", {"zh": "甲"}) == {"zh": "甲"}
