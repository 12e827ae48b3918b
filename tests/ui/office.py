"""An office: settings, a site and the CLI, without servers; for what people enter and the registry keeps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from tests.ready_registry import lay_ready

RULE = """\
rule: hot-kitchen
params: {limit: 60}
facts: {away: false}
for_each: smoke_sensor
when: temperature > $limit and not $away
raise: {event: fire.heat, severity: medium}
clear: {when: temperature < $limit}
"""


class Said(Protocol):
    """What a run of the CLI came to."""

    @property
    def code(self) -> object: ...
    @property
    def out(self) -> str: ...
    @property
    def err(self) -> str: ...
    def document(self) -> Any: ...  # noqa: ANN401 -- JSON is anything


class Office:
    """The command line of an installation that has one site, ``garden``, and one rule with a parameter and a fact."""

    def __init__(self, cli: Callable[..., Said], directory: Path) -> None:
        self.directory = directory
        self._cli = cli
        (directory / "rules").mkdir()
        (directory / "rules" / "own.yaml").write_text(RULE, encoding="utf-8")
        settings = f'data_dir = "{directory / "data"}"\nrules_dir = "{directory / "rules"}"\n'
        (directory / "hub.toml").write_text(settings, encoding="utf-8")
        lay_ready(directory / "data")
        self.json("sites", "add", "garden")

    def __call__(self, *words: str) -> Said:
        """Return what a command line came to."""
        return self._cli("--config", str(self.directory / "hub.toml"), *words)

    def json(self, *words: str) -> Any:  # noqa: ANN401 -- JSON is anything
        """Return the JSON of a command that went well."""
        said = self(*words, "--json")
        assert said.code == 0, said.err
        return said.document()

    def refused(self, *words: str) -> str:
        """Return what a command said that a person must mend."""
        said = self(*words)
        assert said.code == 2, said.out
        return said.err

    def file(self, name: str, text: str, encoding: str = "utf-8") -> str:
        """Write a file; return its path."""
        path = self.directory / name
        path.write_text(text, encoding=encoding)
        return str(path)
