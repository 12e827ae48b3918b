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
