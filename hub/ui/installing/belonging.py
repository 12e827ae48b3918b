"""To whom an installation belongs: what root makes in it is for the account that its hub and its servers run as."""

from __future__ import annotations

import getpass
import os
import pwd
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)


def account_of(settings_file: Path) -> str:
    """Return the account that an installation belongs to; where there is none yet, or of no name, who calls."""
    try:
        return pwd.getpwuid(settings_file.stat().st_uid).pw_name
    except (FileNotFoundError, KeyError):
        return getpass.getuser()


def hand_over(directories: Iterable[Path]) -> None:
    """Give whatever root has made in each to whom that directory belongs; only root needs to, and can."""
    if os.geteuid() != 0:
        return
    for directory in directories:
        if directory.is_dir() and (owner := directory.stat().st_uid):
            give(directory, owner)


def give(directory: Path, owner: int) -> None:
    """Let ``directory``, and what is root's below it, belong to ``owner``.

    Links are not followed, and what has a second name is left alone: it may be anything of the machine's.
    """
    try:
        os.chown(directory, owner, -1)
        for path in _of_root(directory):
            os.chown(path, owner, -1, follow_symlinks=False)
    except OSError as error:
        log.warning("not_handed_over", directory=str(directory), reason=str(error))


def _of_root(directory: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(directory):
        for name in (*folders, *files):
            path = Path(folder, name)
            found = path.lstat()
            is_one = stat.S_ISDIR(found.st_mode) or (stat.S_ISREG(found.st_mode) and found.st_nlink == 1)
            if is_one and found.st_uid == 0:
                yield path
