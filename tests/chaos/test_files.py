"""A file of the hub is damaged while it is down: it has everything, or refuses with a code; it never begins anew."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import orjson
import pytest

from tests.chaos.hub_process import HubProcess
from tests.chaos.town import Town, open_town
from tests.servers.mosquitto import Mosquitto
from tests.servers.valkey import ValkeyServer
from tests.waiting import wait_until

READY, REFUSED = "ready", 2
MESSAGES = 150

Damage = Callable[[Path], object]


@pytest.fixture
async def town(tmp_path: Path, mosquitto: Mosquitto, valkey: ValkeyServer) -> AsyncIterator[Town]:
    async for each in open_town(tmp_path, mosquitto, valkey):
        yield each


def cut(part: float, file: Path) -> None:
    """Lose the end, from ``part`` of it on."""
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * part)])


def flip(part: float, file: Path) -> None:
    """Change one bit."""
    content = bytearray(file.read_bytes())
    content[int(len(content) * part)] ^= 1
    file.write_bytes(content)


CASES: tuple[tuple[str, Damage, str], ...] = (
    ("journal.sqlite-wal", partial(flip, 0.5), "journal_shortened"),
    ("journal.end", partial(flip, 0.3), READY),
    ("registry.sqlite", partial(cut, 0.0), "missing_file"),
    ("timeseries.sqlite", Path.unlink, "missing_file"),
    ("timeseries.sqlite-wal", partial(cut, 0.7), "store_shortened"),
)
"""What is damaged, how, and what the hub says then; at many more places: `test_damage.py` of each room."""


async def outcome(hub: HubProcess) -> str:
    """Start the hub; return ``ready``, or the code with which it refused."""
    before = len(hub.log())
    hub.start()

    async def is_over() -> bool:
        return hub.has_died() or (await hub.readiness())[0] == 200

    await wait_until(is_over)
    if not hub.has_died():
        return READY
    said = hub.log()[before:]
    assert await hub.until_ended() == REFUSED, said
    return said.rpartition("[")[2].partition("]")[0]


async def test_a_damaged_file_is_refused_with_its_code_or_does_not_matter_and_a_journal_can_be_repaired(
    town: Town,
) -> None:
    hub = town.hub
    hub.start()
    await hub.until_ready()
    await town.publish(MESSAGES)
    await town.until_settled()
    hub.kill()
    whole = hub.directory / "whole"
    shutil.copytree(hub.data, whole)
    found: list[tuple[str, str]] = []
    for name, damage, _ in CASES:
        shutil.rmtree(hub.data)
        shutil.copytree(whole, hub.data)
        damage(hub.data / name)
        found.append((name, await outcome(hub)))
        if found[-1][1] == READY:
            await town.check_once()
            hub.kill()
        elif name.startswith("journal"):
            await _repaired(town)
    assert found == [(name, code) for name, _, code in CASES]


async def _repaired(town: Town) -> None:
    """Assert that repair says what it cut, that the hub goes on, and that what was delivered is there once."""
    said = await town.hub.cli("journal", "repair", "--json")
    assert said.code == 0, said.err
    assert orjson.loads(said.out)["cuts"], said.out
    assert await outcome(town.hub) == READY
    await town.check_once()
    town.hub.kill()
