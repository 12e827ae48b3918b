"""A day's readings in one message: each is as old as it says beside the newest, from the device's first message on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from hub.config.settings import packaged
from hub.model.heard import Publish
from hub.revisions.files import read_yaml
from tests.engine.desk import SECOND, Desk, device, documents

METER = """profile: acme/daily
version: 1.0.0
kind: water_meter
label: {en: Meter that uploads once a day}
payload: {format: json, each: r}
liveness: {report_every: 24h, offline_after: 50h}
time: {from: [{path: "$.t", format: iso8601}], every: 1h, tells: last}
properties: {flow: {path: "@", unit: "m3/h"}}
examples: [{name: one, source: invented, payload: {json: {r: [1]}}, expect: {flow: 1}}]
"""
BURST = """rule: big-flow
label: {en: Burst}
for_each: water_meter
when: flow > 50
raise: {event: utility.burst, severity: critical}
clear: {when: flow < 10}
"""
HOURS = 24


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, bytes]:
    """Return the documents of one meter with that rule."""
    profiles, rules = (tmp_path_factory.mktemp(name) for name in ("profiles", "rules"))
    (profiles / "daily.yaml").write_text(METER, encoding="utf-8")
    (rules / "burst.yaml").write_text(BURST, encoding="utf-8")
    read = read_yaml([packaged("device_profiles"), Path(profiles)], [])
    own = {"profile/acme/daily": read["profile/acme/daily"]}
    return documents(device("m-1", "water_meter", "acme/daily"), own, rules=[rules])


def upload(desk: Desk, flows: Sequence[int | None], *, wrong: float | None = 0) -> list[tuple[str, bool, int]]:
    """Hear a day that ends now by a clock that is ``wrong`` seconds behind (None: not set); return what was told."""
    before = len(desk.events)
    said: dict[str, object] = {"r": flows}
    if wrong is not None:
        said["t"] = datetime.fromtimestamp(desk.wall / SECOND - wrong, UTC).isoformat(timespec="seconds")
    desk.hear(Publish("hub/s1/m-1/telemetry", orjson.dumps(said)), session="telemetry")
    events = [event for event in desk.events[before:] if "burst" in event.name]
    return [(event.transition.value, event.late, event.age // (3_600 * SECOND)) for event in events]


def burst(hours_ago: int) -> list[int]:
    flows = [0] * HOURS
    flows[HOURS - 1 - hours_ago] = 80
    return flows


@pytest.mark.parametrize("wrong", [0, 7 * 86_400])
def test_the_first_upload_of_a_meter_tells_yesterdays_burst_as_old_as_it_is(
    told: Mapping[str, bytes], wrong: float
) -> None:
    desk = Desk(told)
    days = []
    for _ in range(12):
        days.append(upload(desk, burst(13), wrong=wrong))
        for _ in range(HOURS):
            desk.tick(3_600)
    assert days == [[("raised", True, 13), ("cleared", True, 12)]] * 12


def test_a_burst_of_now_in_the_first_upload_is_of_now(told: Mapping[str, bytes]) -> None:
    assert upload(Desk(told), burst(0)) == [("raised", False, 0)]


def test_without_a_moment_a_day_is_stored_and_only_its_last_hour_is_judged(told: Mapping[str, bytes]) -> None:
    desk = Desk(told)
    assert upload(desk, burst(13), wrong=None) == []
    assert [values["flow"] for effects in desk.effects for _, _, values in effects.points] == burst(13)
    assert upload(desk, burst(0), wrong=None) == [("raised", False, 0)]


def test_a_slot_that_is_not_filled_yet_hides_no_burst_before_it(told: Mapping[str, bytes]) -> None:
    assert upload(Desk(told), [0, 0, 80, None], wrong=None) == [("raised", False, 0)]


# ------------------------------------------------------------------------------------ a clock each, and one is not set

HOUR = 3_600.0
UNSET, AHEAD = None, -HOUR
Element = tuple[float | None, int]
"""How many seconds before it comes an element was measured by its clock (None: it is not set), and the flow."""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, bytes]:
    """Return the documents of one meter that numbers each reading with its clock, and of that rule."""
    rules = tmp_path_factory.mktemp("rules")
    (rules / "burst.yaml").write_text(BURST, encoding="utf-8")
    return documents(device("m-2", "water_meter"), rules=[rules])


def buffered(desk: Desk, *elements: Element) -> None:
    """Hear elements in one message, each with its own clock."""
    words: list[dict[str, object]] = []
    for ago, flow in elements:
        t = 0 if ago is None else desk.wall // 1_000_000 - round(ago * 1_000)
        words.append({"t": t, "values": {"flow": flow}})
    desk.hear(Publish("hub/s1/m-2/telemetry", orjson.dumps(words)), session="telemetry")


@pytest.mark.parametrize("is_known", [True, False])
@pytest.mark.parametrize(
    ("elements", "told", "holds"),
    [
        ([(UNSET, 80), (2, 0)], [("raised", True), ("cleared", False)], 0),
        ([(UNSET, 0), (2, 80)], [("raised", False)], 80),
        ([(2, 80), (UNSET, 0)], [("raised", False)], 80),
        ([(2, 0), (UNSET, 80)], [("raised", True), ("cleared", False)], 0),
        ([(UNSET, 0), (UNSET, 80)], [("raised", False)], 80),
        ([(UNSET, 80)], [("raised", False)], 80),
    ],
)
def test_what_does_not_say_when_it_was_measured_is_late_beside_what_does_and_comes_before_it(
    own: Mapping[str, bytes],
    elements: Sequence[Element],
    told: Sequence[tuple[str, bool]],
    holds: int,
    *,
    is_known: bool,
) -> None:
    desk = Desk(own)
    for _ in range(12 if is_known else 0):
        buffered(desk, (0, 0))
        desk.tick(60)
    before, stored = len(desk.events), len(desk.effects)
    buffered(desk, *elements)
    events = [event for event in desk.events[before:] if "burst" in event.name]
    assert [(event.transition.value, event.late) for event in events] == told
    (twin,) = desk.engine.twins_of("s1")
    assert twin.reported["flow"][0] == holds
    assert sorted(values["flow"] for _, _, values in desk.effects[stored].points) == sorted(
        flow for _, flow in elements
    )


OLD_MESSAGE = [(3 * HOUR, 0), (UNSET, 80), (2, 80)], [(3 * HOUR, 0), (AHEAD, 80), (2, 80)]


@pytest.mark.parametrize("elements", OLD_MESSAGE)
def test_of_a_device_that_never_spoke_the_old_elements_of_a_message_are_judged_in_their_order(
    own: Mapping[str, bytes], elements: Sequence[Element]
) -> None:
    desk = Desk(own)
    buffered(desk, *elements)
    assert _bursts(desk) == [("raised", True), ("cleared", True), ("raised", False)]


@pytest.mark.parametrize("elements", OLD_MESSAGE)
def test_an_element_without_a_moment_lets_none_act_that_is_older_than_what_is_held(
    own: Mapping[str, bytes], elements: Sequence[Element]
) -> None:
    desk = Desk(own)
    for _ in range(12):
        buffered(desk, (0, 0))
        desk.tick(60)
    buffered(desk, *elements)
    assert _bursts(desk) == [("raised", False)]


@pytest.mark.parametrize("beside", [[], [(UNSET, 0)]])
@pytest.mark.parametrize(("now", "old", "told"), [(1, 80, []), (80, 0, [("raised", False)])])
def test_what_was_kept_for_an_hour_neither_acts_nor_moves_the_twin_back(
    own: Mapping[str, bytes], beside: list[Element], now: int, old: int, told: list[tuple[str, bool]]
) -> None:
    desk = Desk(own)
    for _ in range(12):
        buffered(desk, (0, 1))
        desk.tick(60)
    buffered(desk, (0, now))
    at = desk.wall
    desk.tick(10)
    buffered(desk, (HOUR, old), *beside)
    assert _bursts(desk) == told
    (twin,) = desk.engine.twins_of("s1")
    assert twin.reported["flow"][:2] == (now, at)


def _bursts(desk: Desk) -> list[tuple[str, bool]]:
    return [(event.transition.value, event.late) for event in desk.events if "burst" in event.name]
