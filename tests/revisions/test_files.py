"""The documents of files: whatever keeps them from being read is a refusal, and no end of a hub that was at work."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.config.settings import Settings
from hub.errors import ConfigError
from hub.journal.neighbours import journal_path
from hub.revisions.files import read_at_start, read_content


def test_a_bug_in_what_reads_files_costs_what_they_say_and_never_the_start_of_a_hub_that_was_at_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(data_dir=tmp_path)

    def read(*_layers: object) -> dict[str, bytes]:
        raise KeyError("form")

    monkeypatch.setattr("hub.revisions.files.read_yaml", read)
    for never_at_work in (read_content, read_at_start):
        with pytest.raises(ConfigError, match=r"files_unreadable\] KeyError"):
            never_at_work(settings)
    journal_path(settings.files_dir).touch()
    found = read_at_start(settings)
    assert isinstance(found, ConfigError)
    assert found.code == "files_unreadable"
