"""Several partitions on the command line: where a new site goes, and which one is meant."""

from __future__ import annotations

import pytest

from tests.ui.office import Office


@pytest.fixture
def two(office: Office) -> Office:
    """The office with a second partition; its site, garden, is in the first."""
    settings = office.directory / "hub.toml"
    settings.write_text('more_partitions = ["east"]\n' + settings.read_text(encoding="utf-8"), encoding="utf-8")
    return office


def test_a_new_site_goes_where_the_fewest_devices_are(two: Office) -> None:
    two.json("devices", "add", "garden", "smoke-1", "--kind", "smoke_sensor")
    assert two.json("sites", "add", "meadow")["partition"] == "east"
    assert two.json("sites", "add", "harbour")["partition"] == "east"
    assert two.json("sites", "add", "park", "--partition", "main")["partition"] == "main"


def test_a_partition_that_this_machine_does_not_run_is_told(two: Office) -> None:
    said = two("sites", "add", "meadow", "--partition", "west")
    assert said.code == 0
    assert "this machine runs main, east: another one must run west" in said.err


@pytest.mark.parametrize(
    "words", [("journal", "show"), ("dead-letters", "list"), ("rules", "plan"), ("rules", "stats")]
)
def test_what_no_site_tells_is_asked_for(two: Office, words: tuple[str, ...]) -> None:
    assert "[partition_needed]" in two.refused(*words)
    assert "[partition_needed]" not in two("--partition", "east", *words).err


@pytest.mark.parametrize(
    "words",
    [
        ("dead-letters", "retry", "--dry-run", "--device", "meadow/smoke-1"),
        ("dead-letters", "retry", "--dry-run", "--device", "@lora/ab01"),
        ("devices", "adopt", "meadow/smoke-1", "--kind", "smoke_sensor"),
        ("profiles", "new", "acme/box", "--kind", "smoke_sensor", "--from", "pending:@lora/ab01", "--to", "box.yaml"),
    ],
)
def test_letters_of_a_device_are_looked_for_where_it_is_heard(two: Office, words: tuple[str, ...]) -> None:
    two.json("sites", "add", "meadow", "--partition", "east")
    two.json("sources", "add", "lora", "--network", "chirpstack", "--partition", "east")
    assert "partitions/east" in two.refused(*words)


def test_a_device_of_no_source_is_heard_nowhere(two: Office) -> None:
    assert "[source_unknown]" in two.refused("dead-letters", "retry", "--device", "@lora/ab01")


def test_a_partition_that_nobody_runs_here_is_refused(two: Office) -> None:
    assert "[partition_unknown]" in two.refused("--partition", "west", "journal", "show")


def test_more_workers_than_partitions_are_refused_before_anything_starts(two: Office) -> None:
    assert "[partitions_too_few]" in two.refused("run", "--workers", "3")
