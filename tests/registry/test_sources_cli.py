"""`hub sources` and devices of foreign networks: what is typed, what is stored, what is refused before it is."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from hub.registry.nouns import Device, Site, Source
from hub.registry.registry import Registry
from hub.ui.cli.main import main


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Return the settings of an installation with one site and one LoRaWAN network."""
    path = tmp_path / "hub.toml"
    path.write_text(f'data_dir = "{tmp_path / "data"}"\n', encoding="utf-8")
    assert typed(path, "sites", "add", "s1") == 0
    assert typed(path, "sources", "add", "lora", "--network", "chirpstack", "--param", "application=17c82e96") == 0
    return path


def typed(config: Path, *words: str) -> int:
    """Return the exit code of a command line."""
    try:
        main(["--config", str(config), *words])
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return 0


def stored(config: Path) -> tuple[list[Source], list[Device], list[Site]]:
    async def read() -> tuple[list[Source], list[Device], list[Site]]:
        async with Registry(f"sqlite+aiosqlite:///{config.parent / 'data' / 'registry.sqlite'}") as registry:
            return await registry.sources(), await registry.devices(), await registry.sites()

    return asyncio.run(read())


FOREIGN = ("devices", "add", "s1", "smoke-9", "--kind", "smoke_sensor", "--source", "lora", "--network-id")


def test_a_source_is_stored_with_its_parameters(config: Path) -> None:
    assert stored(config)[0] == [Source(id="lora", network="chirpstack", params={"application": "17c82e96"})]


def test_a_name_from_the_label_is_stored_as_the_network_writes_it(config: Path) -> None:
    assert typed(config, *FOREIGN, "24E124535B316056") == 0
    (device,) = stored(config)[1]
    assert (device.source, device.network_id) == ("lora", "24e124535b316056")


def test_the_same_name_in_other_letters_is_the_same_device(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert typed(config, *FOREIGN, "24e124535b316056") == 0
    assert typed(config, *FOREIGN[:3], "smoke-10", *FOREIGN[4:], "24E124535B316056") == 2
    assert "of another device of lora" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("b2", "--network", "sigfox"), "unknown_network"),
        (("b2", "--network", "zigbee2mqtt", "--param", "bse=x"), "unknown_param"),
        (("b2", "--network", "zigbee2mqtt", "--param", "base=x/+"), "bad_param"),
        (("b2", "--network", "zigbee2mqtt", "--param", "base=hub"), "overlapping_filters"),
        (("b2", "--network", "chirpstack"), "overlapping_filters"),
        (("lora", "--network", "raw"), "source_exists"),
    ],
)
def test_a_source_that_could_not_work_is_not_added(
    config: Path, words: tuple[str, ...], code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(config, "sources", "add", *words) == 2
    assert code in capsys.readouterr().err
    assert [source.id for source in stored(config)[0]] == ["lora"]


def test_a_source_of_another_partition_may_hear_the_same_topics_of_its_own_broker(config: Path) -> None:
    assert typed(config, "sources", "add", "west", "--network", "chirpstack", "--partition", "west") == 0


def test_the_list_shows_what_is_subscribed_to(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert typed(config, "sources", "list", "--json") == 0
    said = capsys.readouterr().out
    assert '"application/17c82e96/device/+/event/up"' in said
    assert '"application/17c82e96/device/+/command/down"' in said


def test_a_directory_that_nobody_has_heard_yet_is_told_as_such(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(config, "sources", "directory", "lora") == 2
    assert "no_directory" in capsys.readouterr().err


def test_a_profile_whose_commands_name_no_port_is_refused_where_the_network_needs_one(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(config, *FOREIGN, "24e124535b316056", "--profile", "aqara/jy-gz-01aq") == 2
    assert "no_port" in capsys.readouterr().err
    assert stored(config)[1] == []


def test_a_source_that_a_device_is_in_stays(config: Path) -> None:
    assert typed(config, *FOREIGN, "24e124535b316056") == 0
    assert typed(config, "sources", "remove", "lora") == 2
    assert [source.id for source in stored(config)[0]] == ["lora"]


def test_a_source_that_nobody_needs_goes(config: Path) -> None:
    assert typed(config, "sources", "remove", "lora") == 0
    assert stored(config)[0] == []
