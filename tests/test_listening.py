"""What sessions listen to: every site while the partition is alone, else its own, told once for each change."""

from __future__ import annotations

from pathlib import Path

from hub.config.settings import Settings
from hub.engine.networks import Networks
from hub.listening import Listening, sites_heard
from hub.partitions import settings_of

FIRST = Settings(data_dir=Path("/data"), more_partitions=("east",))
EAST = settings_of(FIRST, "east")
ROWS = ["place/s2/s2", "place/s2/b1", "device/s2/door"]


class Ear:
    """A session that remembers what it was told."""

    def __init__(self) -> None:
        self.name = "telemetry"
        self.told: list[tuple[str, ...]] = []

    def listen(self, filters: tuple[str, ...], anew: frozenset[str]) -> None:
        assert not anew
        self.told.append(filters)


def test_a_partition_that_alone_has_sites_hears_every_site() -> None:
    assert sites_heard(EAST, {"east"}, ROWS) is None


def test_beside_others_it_hears_its_own_sites_and_nothing_else() -> None:
    assert sites_heard(EAST, {"main", "east"}, ROWS) == ["s2"]
    assert sites_heard(FIRST, {"east"}, []) == []


def test_while_nothing_is_registered_only_the_first_partition_hears_everything() -> None:
    assert (sites_heard(FIRST, set(), []), sites_heard(EAST, set(), [])) == (None, [])


def test_sessions_are_told_when_something_changed_and_only_then() -> None:
    ear, listening, networks = Ear(), Listening(FIRST, asks_sys=True), Networks()
    listening.look_round({"main"}, ["place/s1/s1"])
    listening.tell([ear], networks)
    listening.tell([ear], networks)
    listening.look_round({"main", "east"}, ["place/s1/s1"])
    listening.tell([ear], networks)
    listening.tell([ear], networks)
    assert ear.told == [("hub/+/+/telemetry",), ("hub/s1/+/telemetry",)]
