"""How much work the everyday life of a community is: steps, views and timers counted, for the same messages always."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator

import pytest
from typing_extensions import override

from hub.commands.life import Lease
from hub.engine.alarms import Alarms
from hub.engine.content import Content
from hub.engine.hearing import Ear
from hub.engine.judging import Judge
from hub.engine.readings import Readings
from hub.engine.sparing import Sparing
from hub.engine.state import State
from hub.engine.views import Views
from hub.engine.woken import Chooser
from hub.model.heard import Publish
from hub.normalize.handler import ProfileHandler
from hub.registry.documents import documents as registered
from hub.registry.nouns import Site
from hub.rules import timers
from simulators.mixture import Mixture
from tests.counting import counted
from tests.engine.desk import START, Desk, device, documents, native

MESSAGES, BATCH = 3_000, 100
A_SECOND = 100
"""About what 235 devices of a community say in its busiest hour."""


def test_a_message_of_a_mixture_costs_few_steps_that_may_have_to_be_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    mixture = Mixture("s1", 235)
    desk = Desk(documents(registered([Site(id="s1", zone="Asia/Shanghai")], mixture.places(), mixture.devices())))
    said = [mixture.say(number, START + number * 10**9 // A_SECOND) for number in range(MESSAGES)]
    counts: Counter[str] = Counter()
    for owner, name in (
        (Alarms, "attempt"), (Views, "of"), (Views, "rest"), (Views, "rests_until"), (Judge, "look"),
        (Judge, "_look_at"), (Chooser, "_asked"), (Readings, "_reading"), (ProfileHandler, "_read_all"),
        (State, "touch"), (timers.Timers, "set"), (heapq, "heappush"), (Ear, "_take_data"), (Sparing, "spare"),
    ):  # fmt: skip
        counted(monkeypatch, owner, name, counts)
    for start in range(0, MESSAGES, BATCH):
        desk.wait(BATCH / A_SECOND)
        desk.hear(*(Publish(topic, payload) for _, topic, payload in said[start : start + BATCH]))
    assert len(desk.events) > MESSAGES // 10  # of passages: so much is told, each a step
    assert counts["attempt"] < 0.2 * MESSAGES  # 0.89 when what only begins or ends a wait was one
    assert counts["of"] < 0.01 * MESSAGES  # views: 1.77 when what a reading rules out was judged
    assert counts["look"] < 0.01 * MESSAGES  # 2.59; 0.61 when a place was asked again and again for what nobody says
    assert counts["_look_at"] < 0.8 * MESSAGES  # rules of one part: 1.29, with those that only a signal begins
    assert counts["_asked"] < 0.05 * MESSAGES  # conditions put to values: 0.75 when the same were asked again and again
    assert counts["rests_until"] < 0.2 * MESSAGES  # memories looked at: 1.03 when each word did, though it moved none
    assert counts["rest"] < 0.2 * MESSAGES  # inputs that remember something new, each word did: 0.99
    assert counts["_read_all"] < 0.4 * MESSAGES  # payloads that a handler of a profile read: 0.91, those known as well
    assert counts["_reading"] < 0.2 * MESSAGES  # readings at length: 0.44 when passages were, for identity and signal
    assert counts["_take_data"] < 0.5 * MESSAGES  # those that nobody looks up: 0.91
    assert counts["spare"] < 0.1 * MESSAGES  # points of which each value is looked at: 0.52
    assert counts["touch"] < 0.75 * MESSAGES  # entries of the checkpoint: 0.84
    assert counts["heappush"] < 0.4 * MESSAGES  # 0.95 when a due was set with each word
    assert 0.5 * MESSAGES < counts["set"] < 0.6 * MESSAGES  # timers: 0.95 when a due was set with each word


class Looked(dict[str, Lease]):
    """Leases that count how many of them were looked through."""

    seen = 0

    @override
    def values(self) -> Iterator[Lease]:  # type: ignore[override] # nobody asks how many there are
        for lease in super().values():
            self.seen += 1
            yield lease


def test_an_alarm_looks_only_at_what_it_holds_itself() -> None:
    queue = b"""{"rule": "queue", "version": "1.0.0", "for_each": "plate_reader", "on_signal": "plate.unread",
        "raise": {"event": "vehicle.queue", "severity": "low"}, "clear": {"when": "confidence > 0.9"},
        "do": [{"command": "hold_barrier", "args": {"ttl": "30s"}, "until": "cleared"}]}"""
    lanes = [device(f"lane-{number}", "plate_reader") for number in range(100)]
    desk = Desk({**documents(*lanes), "rule/queue": queue})
    for number in range(99):
        desk.hear(native(f"lane-{number}", {"signals": [{"name": "plate.unread"}]}, "signal"))
    hands = desk.engine._hands  # noqa: SLF001 -- a lease shows nowhere else
    hands.leases = hands._holds.leases = leases = Looked(hands.leases)  # noqa: SLF001 -- as above
    assert len(leases) == 99
    desk.hear(native("lane-99", {"signals": [{"name": "plate.unread"}]}, "signal"))
    desk.hear(native("lane-99", {"values": {"confidence": 0.95}}, "telemetry"))
    assert [event.transition for event in desk.events if event.device == "lane-99"][:2] == ["raised", "cleared"]
    assert leases.seen < 10  # all of them at each step, when those of an alarm were sought among all


def test_a_device_that_changes_costs_no_walk_over_those_of_other_sites(monkeypatch: pytest.MonkeyPatch) -> None:
    homes = [device(f"env-{number}", "environment_sensor", site=f"s{number % 5}") for number in range(50)]
    desk = Desk(documents(*homes))
    counts: Counter[str] = Counter()
    for name in ("subjects", "devices"):
        counted(monkeypatch, Content, name, counts)
    moved = {key: body.replace(b'"place":"b1"', b'"place":"b2"') for key, body in homes[7].items()}
    desk.revise(documents(*homes[:7], moved, *homes[9:]))  # one is changed, one gone
    assert counts.total() == 0  # four walks over all of them
    found = [one.device for one in desk.engine.content.devices_of("s2")]
    assert found == sorted(f"env-{number}" for number in range(2, 50, 5))
    assert [one.row.place for one in desk.engine.content.devices_of("s2") if one.device == "env-7"] == ["b2"]
    assert "env-8" not in [one.device for one in desk.engine.content.devices_of("s3")]
