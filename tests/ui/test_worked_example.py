"""The new model of the profiles' README in ten minutes: it checks, each of its commands works, and the hub takes it."""

from __future__ import annotations

import asyncio
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.house.rooms import HOUSE
from tests.machine import needs_mosquitto
from tests.ui.conftest import Cli, Said
from tests.ui.installation import SITE, Installation
from tests.ui.profiles import WHY, Profiles
from tests.waiting import wait_until

SECTION = (
    (HOUSE / "device_profiles" / "README.md").read_text(encoding="utf-8").partition("## A new model in ten minutes")[2]
)
WORKED = re.search(r"```yaml\n(.*?)```", SECTION, re.DOTALL)
MOST_LINES = 60


@pytest.fixture
def profiles(cli: Cli, tmp_path: Path) -> Profiles:
    return Profiles(cli, tmp_path)


def test_the_worked_example_of_the_readme_checks_and_holds(profiles: Profiles) -> None:
    assert WORKED is not None
    profiles.write(WORKED[1], "acme/wl7")
    assert len(WORKED[1].splitlines()) <= MOST_LINES
    assert profiles("check", "acme/wl7", "--json").document() == []
    (row,) = profiles("test", "acme/wl7", "--json").document()
    assert (row["failed"], row["untouched"]) == ({}, [])


def test_every_command_of_the_worked_example_works(
    profiles: Profiles, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "captured.hex").write_text("07005FD700B50E\n07015FD700B50D\n", encoding="utf-8")
    lines = re.findall(r"^hub profiles (.*?)(?:\s+#.*)?$", SECTION.partition("\n## ")[0], re.MULTILINE)
    codes = []
    for line in lines:
        if line.startswith("check"):
            assert WORKED is not None
            (tmp_path / "wl7.yaml").write_text(WORKED[1], encoding="utf-8")
        codes.append((line.split()[0], profiles(*shlex.split(line)).code))
    assert codes == [("guess", 1), ("new", 0), ("check", 0), ("decode", 0), ("test", 0)]


@pytest.fixture
def unfinished(tmp_path: Path) -> Iterator[Installation]:
    """An installation that runs, with an empty directory for profiles of its own."""
    it = Installation(tmp_path)
    (tmp_path / "own").mkdir()
    with it.config.open("a", encoding="utf-8") as config:
        config.write(f'profiles_dir = "{tmp_path / "own"}"\n')
    with it:
        yield it


@needs_mosquitto
def test_a_device_that_nobody_knew_becomes_one_of_a_new_model_with_what_it_had_said(
    cli: Cli, unfinished: Installation, tmp_path: Path
) -> None:
    def hub(*words: str) -> Said:
        return cli("--config", str(unfinished.config), *words)

    def until(check: Callable[[], Any]) -> Any:  # noqa: ANN401 -- JSON is anything
        return asyncio.run(wait_until(lambda: asyncio.to_thread(check)))

    unfinished.publish(f"hub/{SITE}/leak-1/telemetry", bytes.fromhex("07015FD700B50D"))
    begin = ("profiles", "new", "acme/wl7", "--kind", "leak_sensor", "--from", f"pending:{SITE}/leak-1")
    until(lambda: hub("devices", "pending", "--json").document())
    assert "[unmask_needed]" in hub(*begin).err
    assert hub(*begin, *WHY).code == 0
    (look,) = hub("audit", "--what", "pending.", "--json").document()
    assert (look["what"], look["subject"]) == ("pending.unmasked", f"pending/{SITE}/leak-1")
    file = tmp_path / "own" / "acme" / "wl7.yaml"
    assert '{hex: "07015FD700B50D"}' in file.read_text(encoding="utf-8")
    (letter,) = hub("dead-letters", "list", *WHY, "--json").document()
    other = tmp_path / "other.yaml"
    of_letter = ("--from", f"dead-letter:{letter['number']}", "--to", str(other))
    assert "[unmask_needed]" in hub("profiles", "new", "acme/other", "--kind", "leak_sensor", *of_letter).err
    assert hub("profiles", "new", "acme/other", "--kind", "leak_sensor", *of_letter, *WHY).code == 0
    assert f'{{hex: "{letter["payload"].upper()}"}}' in other.read_text(encoding="utf-8")
    assert WORKED is not None
    file.write_text(WORKED[1], encoding="utf-8")
    unfinished.stop()
    unfinished.start()
    assert hub("devices", "add", SITE, "leak-1", "--kind", "leak_sensor", "--profile", "acme/wl7").code == 0

    def told() -> object:
        return hub("telemetry", "query", "leak_sensor", "leak-1", "--json").document()

    assert until(told)[0]["fields"] == {"leak": True, "tamper": False, "battery": 95, "temperature": 21.5, "rssi": -75}
