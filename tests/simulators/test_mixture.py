"""A mixture of devices: the proportions of a real community, and every word of it understood by its profile."""

from __future__ import annotations

from collections import Counter

import pytest

from hub.normalize.compile import compile_profile
from hub.normalize.native import compile_native
from simulators.mixture import FAMILIES, SLOTS, SMALLEST, Mixture, shares
from tests.clocks import START_NS
from tests.shipped import profiles as shipped_profiles


def test_every_device_speaks_and_all_that_is_said_is_understood_by_the_profile_of_its_device() -> None:
    mixture = Mixture("s1", 60)
    catalogue, profiles = shipped_profiles()
    devices = mixture.devices()
    handlers = [
        compile_profile(profiles[device.profile], catalogue.kinds[device.kind], {}, "Asia/Shanghai")
        if device.profile
        else compile_native(catalogue.kinds[device.kind])
        for device in devices
    ]
    heard: Counter[str] = Counter()
    for number in range(20 * SLOTS):
        speaker, topic, payload = mixture.say(number, START_NS + number * 1_000_000)
        device = devices[speaker]
        assert topic.startswith(f"hub/s1/{device.id}/")
        readings = handlers[speaker](payload)
        assert readings
        assert not any(reading.bad for reading in readings)
        assert all(reading.values or reading.signals for reading in readings)
        heard[device.id] += 1
    assert heard.keys() == {device.id for device in devices}


def test_nobody_says_the_same_passage_twice() -> None:
    mixture, catalogue_ = Mixture("s1", 60), shipped_profiles()
    catalogue, profiles = catalogue_
    devices, seen = mixture.devices(), Counter[str]()
    for number in range(5 * SLOTS):
        speaker, _, payload = mixture.say(number, START_NS + number * 1_000_000)
        if devices[speaker].kind == "plate_reader":
            handler = compile_profile(profiles["hikvision/anpr"], catalogue.kinds["plate_reader"], {}, "Asia/Shanghai")
            seen.update(str(reading.identity) for reading in handler(payload))
    assert seen
    assert set(seen.values()) == {1}


def test_a_thousand_devices_are_as_many_of_each_as_two_communities_have() -> None:
    counts = Counter(device.id.partition("-")[0] for device in Mixture("s1", 1_000).devices())
    assert counts == {"smoke": 719, "door": 43, "lift": 20, "plates": 4, "leak": 43, "gas": 64, "air": 107}


def test_the_smallest_mixture_has_one_of_each() -> None:
    devices = Mixture("s1", SMALLEST).devices()
    assert [device.kind for device in devices] == [family.kind for family in FAMILIES]


@pytest.mark.parametrize("whole", [3, 4, 10, 999])
def test_shares_add_up_and_nobody_goes_without(whole: int) -> None:
    found = shares({"a": 1, "b": 1_000, "c": 30}, whole)
    assert sum(found.values()) == whole
    assert min(found.values()) >= 1
