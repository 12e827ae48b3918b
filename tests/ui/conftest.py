"""What tests of the user interface get: a running installation, and the CLI in this process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog

from hub.ui.cli.main import main
from tests.ui.installation import Installation
from tests.ui.office import Office


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a run of the CLI came to."""

    code: object
    out: str
    err: str

    def document(self) -> Any:  # noqa: ANN401 -- JSON is anything
        """Return the JSON document that was printed."""
        return json.loads(self.out)


class Cli:
    """The CLI, called in this process."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture

    def __call__(self, *arguments: str) -> Said:
        """Run it with ``arguments``."""
        self._capture.readouterr()
        with pytest.raises(SystemExit) as left:
            main(arguments)
        said = self._capture.readouterr()
        return Said(code=left.value.code, out=said.out, err=said.err)


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Iterator[Cli]:
    yield Cli(capsys)
    structlog.reset_defaults()


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Start servers and a hub once for a file of tests."""
    with Installation(tmp_path_factory.mktemp("installation")) as it:
        yield it


@pytest.fixture
def office(cli: Cli, tmp_path: Path) -> Office:
    """The command line of an installation without servers."""
    return Office(cli, tmp_path)
