"""Partitions: the first one is what an installation of one has, the others have files and users of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.config.settings import Settings
from hub.errors import ConfigError
from hub.partitions import emptiest, partitions_of, settings_of, shares_of

THREE = Settings(data_dir=Path("/data"), more_partitions=("east", "north"), workers=2)


def test_the_first_partition_has_the_files_and_users_of_an_installation_of_one() -> None:
    alone, first = Settings(data_dir=Path("/data")), settings_of(THREE, "main")
    assert (first.files_dir, first.registry_url(), first.mqtt) == (Path("/data"), alone.registry_url(), alone.mqtt)


def test_every_other_partition_has_files_and_users_of_its_own_and_the_same_registry() -> None:
    east = settings_of(THREE, "east")
    assert east.files_dir == Path("/data/partitions/east")
    assert east.mqtt.username_prefix == "hub-east"
    assert east.registry_url() == THREE.registry_url()
    assert partitions_of(east) == ("east",)


def test_a_partition_that_this_machine_does_not_run_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="no partition 'west' here") as raised:
        settings_of(THREE, "west")
    assert raised.value.code == "partition_unknown"


def test_a_partition_that_is_named_twice_is_refused() -> None:
    with pytest.raises(ConfigError) as raised:
        partitions_of(Settings(more_partitions=("east", "main")))
    assert raised.value.code == "partition_named_twice"


def test_workers_share_the_partitions_equally() -> None:
    assert shares_of(["a", "b", "c", "d", "e"], 2) == [("a", "c", "e"), ("b", "d")]


def test_more_workers_than_partitions_are_refused_with_what_to_write() -> None:
    with pytest.raises(ConfigError, match='more_partitions = \\["main-2", "main-3"\\]') as raised:
        shares_of(["main"], 3)
    assert raised.value.code == "partitions_too_few"


def test_a_new_site_goes_where_the_fewest_devices_are_and_then_the_fewest_sites() -> None:
    names = ("main", "east", "north")
    assert emptiest(names, {"main": 1, "east": 1}, {"main": 10, "east": 3, "north": 4}) == "east"
    assert emptiest(names, {"main": 2, "east": 1, "north": 1}, {}) == "east"
    assert emptiest(names, {}, {}) == "main"
