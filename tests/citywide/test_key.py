"""The key of pseudonyms: one for a data directory, whoever begins first, and nobody else may read it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hub.errors import ConfigError
from hub.revisions.pseudonym_key import key_of


def test_processes_that_begin_at_the_same_time_take_the_same_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as threads:
        found = set(threads.map(lambda _: key_of("", tmp_path), range(64)))
    assert len(found) == 1
    assert [(path.name, path.stat().st_mode & 0o777) for path in tmp_path.iterdir()] == [("pseudonyms.key", 0o600)]


def test_a_secret_of_the_settings_needs_no_file(tmp_path: Path) -> None:
    assert key_of("a", tmp_path) == key_of("a", tmp_path) != key_of("b", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_key_is_refused(tmp_path: Path) -> None:
    key_of("", tmp_path)
    (tmp_path / "pseudonyms.key").write_bytes(b"short")
    with pytest.raises(ConfigError) as refused:
        key_of("", tmp_path)
    assert refused.value.code == "key_damaged"
