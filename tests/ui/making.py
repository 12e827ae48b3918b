"""An installation that `hub init` makes in a test, and what is in it."""

from __future__ import annotations

from pathlib import Path

from tests.ui.conftest import Cli


def made(cli: Cli, place: Path, *flags: str) -> dict[str, str]:
    """Return what became of each file."""
    said = cli("init", str(place), "--yes", "--json", *flags)
    assert said.code == 0, said.err
    return {str(Path(row["file"]).relative_to(place)): row["outcome"] for row in said.document()}


def contents(place: Path) -> dict[str, tuple[bytes, int]]:
    """Return every file's bytes, and when it was last written."""
    return {
        str(path.relative_to(place)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in place.rglob("*")
        if path.is_file()
    }
