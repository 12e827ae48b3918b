"""The key of pseudonyms: made once, whole or not at all, on whatever disk."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from hub.revisions.pseudonym_key import key_of
from hub.rules.pseudonyms import KEY_BYTES

NAME = "pseudonyms.key"


def test_it_is_made_once_for_our_eyes_only(tmp_path: Path) -> None:
    first = key_of("", tmp_path)
    assert (len(first), key_of("", tmp_path)) == (KEY_BYTES, first)
    assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == [NAME]


def test_a_disk_that_is_full_leaves_no_half_a_key_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is on the disk before it has its name: after a power cut it was empty, and no hub started any more."""

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="no space left"):
            key_of("", tmp_path)
    assert [*tmp_path.iterdir()] == []
    assert key_of("", tmp_path) == key_of("", tmp_path)


def test_a_file_system_without_second_names_keeps_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **_more: object) -> None:
        raise OSError(errno.EPERM, "no hard links here")

    monkeypatch.setattr(os, "link", refuse)
    assert key_of("", tmp_path) == key_of("", tmp_path)
