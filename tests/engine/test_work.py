"""How much work the everyday life of a community is: steps, views and timers counted, for the same messages always."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from hub.engine.alarms import Alarms
from hub.engine.judging import Judge
from hub.engine.views import Views
from hub.model import Publish
from hub.registry.documents import documents as registered
from hub.registry.nouns import Site
from hub.rules import timers
from simulators.mixture import Mixture
from tests.engine.desk import START, Desk, documents

MESSAGES, BATCH = 3_000, 100
A_SECOND = 100
"""About what 235 devices of a community say in its busiest hour."""


def counted(patch: pytest.MonkeyPatch, owner: object, name: str, counts: Counter[str]) -> None:
    """Count the calls of one function."""
    whole: Callable[..., Any] = getattr(owner, name)

    def counting(*words: Any, **named: Any) -> Any:  # noqa: ANN401 -- handed through as it came
        counts[name] += 1
        return whole(*words, **named)

    patch.setattr(owner, name, counting)


def test_a_message_of_a_mixture_costs_few_steps_that_may_have_to_be_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    mixture = Mixture("s1", 235)
    desk = Desk(documents(registered([Site(id="s1", zone="Asia/Shanghai")], mixture.places(), mixture.devices())))
    said = [mixture.say(number, START + number * 10**9 // A_SECOND) for number in range(MESSAGES)]
    counts: Counter[str] = Counter()
    for owner, name in (
        (Alarms, "attempt"), (Views, "of"), (Judge, "look"), (timers.Timers, "set"), (heapq, "heappush"),
    ):  # fmt: skip
        counted(monkeypatch, owner, name, counts)
    for start in range(0, MESSAGES, BATCH):
        desk.wait(BATCH / A_SECOND)
        desk.hear(*(Publish(topic, payload) for _, topic, payload in said[start : start + BATCH]))
    assert len(desk.events) > MESSAGES // 10  # of passages: so much is told, each a step
    assert counts["attempt"] < 0.2 * MESSAGES  # 0.89 when what only begins or ends a wait was one
    assert counts["of"] < 0.15 * MESSAGES  # views: 1.77 when what a reading rules out was judged
    assert counts["look"] < 0.8 * MESSAGES  # 2.59
    assert counts["heappush"] < 0.6 * MESSAGES < counts["set"]  # as many as were set, 0.95
