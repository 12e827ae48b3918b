"""What a start does for each device that there is, counted: calls of Python, in a first start and from a checkpoint."""

from __future__ import annotations

from hub.engine.rows import Bodies
from hub.revisions.revision import differing, revise
from tests.engine.desk import Desk, device, documents
from tests.engine.weight import calls

FEW, MANY = 500, 1_500


def town(devices: int) -> dict[str, bytes]:
    """Return what a community of so many native sensors works with."""
    wanted = ("kind/", "rule/device-offline", "rule/fire-")
    known = {key: body for key, body in documents().items() if key.startswith(wanted)}
    for number in range(devices):
        known |= device(f"env-{number:05}", "environment_sensor")
    return known


def work(devices: int) -> dict[str, int]:
    """Return the calls in each step of a start with so many devices."""
    wanted, desk = town(devices), Desk(town(0))
    found = {"differ": calls(lambda: differing(Bodies({}), wanted, "test"))}
    found["try"] = calls(lambda: revise(desk.engine.content.bodies(), wanted, "test")) - found["differ"]
    found["apply"] = calls(lambda: desk.revise(wanted)) - found["differ"] - found["try"]
    desk.write_down()
    found["restore"] = calls(lambda: desk.revive(desk.checkpoint))
    return found


def test_a_device_more_costs_a_start_no_more_calls_than_it_did() -> None:
    work(1)  # what is done once is done then
    few, many = work(FEW), work(MANY)
    found = {what: (many[what] - few[what]) / (MANY - FEW) for what in few}
    assert found["differ"] < 10.5  # a call is about 0.1 us: ten of each of 100,000 devices are 0.1 s
    assert found["try"] < 10.5
    assert found["apply"] < 71  # 76, and 94 when nobody minded what nearly all devices have not
    assert found["restore"] < 75  # 80
