"""Who stands at a site, in the order of keys, whoever comes, goes or is another thing; and what it costs to know."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.engine.device import Device
from hub.engine.known import DeviceState
from hub.engine.rows import DeviceRow
from hub.engine.whereabouts import MANY, Whereabouts

SITES = ("s1", "s2")


class Counted(Device):
    """A device that counts how often any is asked for its key."""

    asked = 0

    @property  # type: ignore[explicit-override] # a slot in the one that is at work
    def key(self) -> str:
        Counted.asked += 1
        return f"{self.row.site}/{self.row.device}"

    @key.setter
    def key(self, _key: str) -> None:
        pass


def device(site: str, name: str) -> Counted:
    return Counted(DeviceRow(site, name, "smoke_sensor"), DeviceState())


class Town:
    """Devices, and the whereabouts that are told of each change."""

    def __init__(self) -> None:
        self.devices: dict[str, Device] = {}
        self.whereabouts = Whereabouts(self.devices)

    def come(self, *coming: Device) -> None:
        new = [each for each in coming if each.key not in self.devices]
        pairs = [(self.devices[each.key], each) for each in coming if each.key in self.devices]
        self.devices |= {each.key: each for each in coming}
        self.whereabouts.exchange(pairs)
        self.whereabouts.come(new)

    def go(self, *names: str) -> None:
        going = [self.devices[name] for name in names if name in self.devices]
        self.whereabouts.go(going)
        for each in going:
            del self.devices[each.key]

    def is_right(self, site: str) -> bool:
        there = sorted(key for key in self.devices if key.startswith(f"{site}/"))
        found = self.whereabouts.of_site(site)
        return [each.key for each in found] == there and all(self.devices[each.key] is each for each in found)


_NUMBERS = st.lists(st.integers(0, 999), min_size=1, max_size=3, unique=True)
_STEP = st.tuples(st.sampled_from(("come", "many", "go", "all go", "look")), st.sampled_from(SITES), _NUMBERS)


@settings(deadline=None, max_examples=60)
@given(st.lists(_STEP, max_size=15))
def test_devices_of_a_site_are_found_in_order_whoever_comes_goes_or_is_another_thing(
    played: list[tuple[str, str, list[int]]],
) -> None:
    town = Town()
    for what, site, drawn in played:
        match what:
            case "come":
                town.come(*(device(site, f"d{number:03}") for number in drawn))
            case "many":
                names = range(drawn[0], 1_000, 3)
                town.come(*(device(each, f"d{number:03}") for number in names for each in SITES))
            case "go":
                town.go(*(f"{site}/d{number:03}" for number in drawn))
            case "all go":
                town.go(*(key for key in town.devices if key > f"s1/d{drawn[0]:03}"))
            case _:
                assert town.is_right(site)
    assert all(map(town.is_right, SITES))


@pytest.mark.parametrize("step", [1, 7_919])
def test_many_that_come_a_few_hundred_at_a_time_cost_each_as_much_as_the_first(step: int) -> None:
    town, coming = Town(), [device("s1", f"d{number * step % 10_007:05}") for number in range(10_000)]
    town.come(device("s1", "d"))
    assert town.is_right("s1")  # from now on it is kept in order
    Counted.asked = 0
    for start in range(0, len(coming), MANY + 50):
        town.whereabouts.come(coming[start : start + MANY + 50])
    assert [each.row.device for each in town.whereabouts.of_site("s1")[1:]] == sorted(one.row.device for one in coming)
    assert Counted.asked < 5 * len(coming)  # 22 when each few hundred had the site sorted; of 100,000 it was 202


def test_many_that_are_other_things_cost_no_walk_through_their_site_each_time() -> None:
    town = Town()
    coming = [device("s1", f"d{number:05}") for number in range(10_000)]
    town.come(*coming)
    assert town.is_right("s1")
    others = [device("s1", f"d{number:05}") for number in range(10_000)]
    before = town.whereabouts.of_site("s1")
    for start in range(0, len(others), MANY + 50):
        town.come(*others[start : start + MANY + 50])
    assert town.whereabouts.of_site("s1") is before  # no list was made anew
    assert town.is_right("s1")
