"""A file of the hub is damaged while it is down: it starts right, or refuses with a code; it is never emptied."""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import orjson
import pytest

from tests.chaos.town import Town, open_town
from tests.servers.mosquitto import Mosquitto
from tests.servers.valkey import ValkeyServer
from tests.waiting import wait_until

SEED = 5
FILES = ("journal.sqlite", "journal.sqlite-wal", "state.sqlite", "state.sqlite-wal", "timeseries.sqlite")
REPAIRED = re.compile(r"\[(corrupt_file|corrupt_record|journal_shortened|missing_file|gap_in_journal|foreign_tables)\]")
REFUSED = re.compile(r"\[([a-z_]+)\]")


@pytest.fixture
async def town(tmp_path: Path, mosquitto: Mosquitto, valkey: ValkeyServer) -> AsyncIterator[Town]:
    async for each in open_town(tmp_path, mosquitto, valkey):
        yield each


def flip(file: Path, choice: random.Random) -> None:
    """Change one byte, anywhere."""
    content = bytearray(file.read_bytes())
    content[choice.randrange(len(content))] ^= 1 << choice.randrange(8)
    file.write_bytes(content)


def cut(file: Path, choice: random.Random) -> None:
    """Lose the end, from anywhere on."""
    file.write_bytes(file.read_bytes()[: choice.randrange(file.stat().st_size)])


async def outcome(town: Town) -> str:
    """Start the hub; return ``ready``, or the code with which it refused."""
    hub = town.hub
    before = len(hub.log())
    hub.start()

    async def is_over() -> bool:
        return hub.has_died() or (await hub.readiness())[0] == 200

    await wait_until(is_over, seconds=30)
    if not hub.has_died():
        return "ready"
    assert await hub.until_ended() == 1, hub.log()[before:]
    codes = REFUSED.findall(hub.log()[before:].rpartition("rror")[2])
    assert codes, hub.log()[before:]
    return str(codes[0])


@pytest.mark.timeout(240)
@pytest.mark.parametrize("damage", [flip, cut])
async def test_a_damaged_file_is_noticed_or_does_not_matter(
    town: Town, damage: Callable[[Path, random.Random], None]
) -> None:
    hub, choice = town.hub, random.Random(SEED)  # noqa: S311 -- repeatable, not secret
    hub.start()
    await hub.until_ready()
    await town.publish(150)
    await town.until_settled()
    hub.kill()
    whole = hub.directory / "whole"
    shutil.copytree(hub.data, whole)
    for name in FILES:
        if (whole / name).exists() and (whole / name).stat().st_size:
            shutil.rmtree(hub.data)
            shutil.copytree(whole, hub.data)
            damage(hub.data / name, choice)
            how = await outcome(town)
            print(name, damage.__name__, how)  # noqa: T201
            if how == "ready":
                await town.check_once()
                hub.kill()
            elif name.startswith("journal"):
                said = await hub.cli("journal", "repair", "--json")
                assert said.code == 0, said.err
                print(orjson.loads(said.out))  # noqa: T201
