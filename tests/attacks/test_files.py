"""Files that others wrote, at an import and among the settings: a sentence and exit 2, whatever is in them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from tests.ui.conftest import Cli
from tests.ui.office import Office

SENSOR = b'{"site": "garden", "id": "x", "kind": "smoke_sensor", "params": {"n": %b}}'
DEEP = b"[" * 100_000


@pytest.fixture
def office(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Iterator[Office]:
    """The command line of an installation without servers."""
    yield Office(Cli(capsys), tmp_path)
    structlog.reset_defaults()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("deep.json", DEEP),
        ("cell.csv", b"site,id,kind,params\ngarden,x,smoke_sensor," + DEEP + b"\n"),
        ("digits.json", b"[%b]" % (SENSOR % (b"9" * 5_000))),
        ("beyond.json", b"[%b]" % (SENSOR % b"18446744073709551616")),
        ("half.json", b"[%b]" % (SENSOR % b'"\\ud83d"')),
    ],
)
def test_a_sheet_that_nobody_can_read_is_refused_with_its_line(office: Office, name: str, content: bytes) -> None:
    """Proves that no vendor's list ends an import in a traceback, with half of what it had to say."""
    (office.directory / name).write_bytes(content)
    assert "[import_refused]" in office.refused("devices", "import", str(office.directory / name))
    assert office.json("devices", "list") == []


@pytest.mark.parametrize("name", ["hub.toml", "secrets.toml"])
def test_levels_without_end_in_the_settings_are_refused_by_the_files_name(office: Office, name: str) -> None:
    (office.directory / name).write_bytes(b"a = " + DEEP)
    assert f"{name}: [config_not_toml]" in office.refused("sites", "list").replace("\n", "")


def test_a_token_that_is_no_text_is_refused(office: Office) -> None:
    token = office.directory / "token"
    token.write_bytes(b"\xff")
    place = str(office.directory / "place")
    flags = ("--yes", "--influxdb", "http://127.0.0.1:8086", "--influxdb-token-file", str(token))
    assert "[token_unreadable]" in office.refused("init", place, *flags)
