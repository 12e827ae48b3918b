"""Devices that are disabled or retired: what they say all the same is refused, counted, and never judged later."""

from __future__ import annotations

import pytest

from hub.model.heard import Publish
from tests.engine.desk import ALARM, NORMAL, Desk, barred, device, documents
from tests.engine.foreign import EUI, LORA, SMOKE_1, uplink

SMOKE = device("smoke-1", "smoke_sensor", "milesight/gs524n")


def smoke(payload: str) -> Publish:
    return Publish("hub/s1/smoke-1/telemetry", bytes.fromhex(payload))


@pytest.mark.parametrize("state", ["disabled", "retired"])
def test_what_a_barred_device_says_is_refused_and_kept_nowhere(state: str) -> None:
    desk = Desk(documents(SMOKE))
    desk.hear(smoke(NORMAL))
    desk.revise(documents(barred(SMOKE, state)))
    effects = desk.hear(smoke(ALARM), Publish("hub/s1/smoke-1/availability", b"online"))
    assert (effects.dead_letters, effects.events, effects.points) == ([], [], [])
    ledger = desk.engine.state.ledger
    assert (ledger.heard, ledger.live, ledger.refused) == (3, 1, 2)
    assert ledger.refused_codes == {f"device_{state}": 2}
    assert ledger.is_balanced


def test_a_device_that_is_enabled_again_is_heard_from_then_on_and_not_before() -> None:
    desk = Desk(documents(barred(SMOKE, "disabled")))
    desk.hear(smoke(ALARM))
    added = desk.revise(documents(SMOKE))
    assert (added.events, desk.engine.state.ledger.replayed) == ([], 0)
    assert [event.name for event in desk.hear(smoke(ALARM)).events] == ["fire.smoke_alarm"]


def test_the_alarm_of_a_device_ends_when_it_is_disabled() -> None:
    desk = Desk(documents(SMOKE))
    desk.hear(smoke(ALARM))
    assert len(list(desk.engine.alarms())) == 1
    desk.revise(documents(barred(SMOKE, "disabled")))
    assert list(desk.engine.alarms()) == []


def test_a_network_that_goes_on_speaking_of_a_disabled_device_is_refused_too() -> None:
    desk = Desk(documents(LORA, barred(SMOKE_1, "disabled")))
    effects = desk.hear(uplink(ALARM), uplink(ALARM, eui=EUI.upper(), dedupe="m2"))
    assert (effects.dead_letters, effects.events) == ([], [])
    assert desk.engine.state.ledger.refused_codes == {"device_disabled": 2}
    added = desk.revise(documents(LORA, SMOKE_1))
    assert (added.events, desk.engine.state.ledger.replayed) == ([], 0)


def test_a_barred_device_is_barred_after_a_restart() -> None:
    desk = Desk(documents(SMOKE))
    desk.revise(documents(barred(SMOKE, "disabled")))
    later = desk.restart()
    later.hear(smoke(ALARM))
    assert later.engine.state.ledger.refused_codes == {"device_disabled": 1}
