"""A campaign that is told to end leaves nothing behind; a town that ends by itself ends the campaign."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from subprocess import DEVNULL, PIPE

import pytest

from tests.chaos.__main__ import ENDED
from tests.chaos.beside import ROOT
from tests.chaos.faults.table import ROWS
from tests.chaos.storm_process import StormEndedError, storm_process
from tests.waiting import wait_until

COMMAND = (sys.executable, "-m", "tests.chaos", "--minutes", "5", "--towns", "1", "--fault", "duplicates")
STARTED = ("tests.chaos.storm_process", "mosquitto", "valkey", "influxd", "hub.toml run", "pytest")


def words_of(process: int) -> str:
    """Return the command line of a process, nothing when it has ended."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
    except OSError:
        return ""


def started_by(parent: int) -> dict[int, str]:
    """Return what ``parent`` has started, and what that has, each with its command line."""
    found: dict[int, str] = {}
    with suppress(OSError):  # it has ended meanwhile, or its thread
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            for process in map(int, children.read_text().split()):
                found |= {process: words_of(process)} | started_by(process)
    return found


async def test_a_campaign_that_is_ended_ends_its_servers_hubs_and_model_though_its_shell_ignores_ctrl_c() -> None:
    found: dict[int, str] = {}

    def is_under_way() -> bool:
        found.update(started_by(campaign.pid))
        return all(any(name in words for words in found.values()) for name in STARTED)

    command = ("env", "--ignore-signal=INT", *COMMAND)
    campaign = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=DEVNULL, stderr=PIPE)
    try:
        await wait_until(is_under_way)
    finally:
        campaign.send_signal(signal.SIGTERM)
        said = (await campaign.communicate())[1].decode()
    left = {process: words for process, words in found.items() if words and words_of(process) == words}
    for process in left:
        os.kill(process, signal.SIGKILL)
    assert left == {}
    assert "ended by a signal" in said
    assert campaign.returncode == ENDED


async def test_a_town_that_cannot_be_opened_is_told_and_not_waited_for(tmp_path: Path) -> None:
    nowhere = tmp_path / "no directory"
    nowhere.touch()
    with pytest.raises(StormEndedError, match=ROWS[0].name):
        async with storm_process(nowhere, 1) as storm:
            await storm.strike(ROWS[0])
    assert storm.outcomes == []


async def test_a_town_whose_end_fails_ends_the_campaign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "false")
    with pytest.raises(StormEndedError, match="exit=1"):
        async with storm_process(tmp_path, 1):
            pass
