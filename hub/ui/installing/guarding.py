"""A directory in which root may work by path: while it does, nobody else can put another thing in the place of any."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hub.config.settings import DEFAULT_FILE, SECRETS_FILE
from hub.errors import ConfigError
from hub.ui.installing.belonging import ROOT

READ = (DEFAULT_FILE.name, SECRETS_FILE)
WRITTEN_INTO = ("broker", "redis", "systemd", "valkey", "README.md", *READ)
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


@contextmanager
def guarded(directory: Path) -> Iterator[None]:
    """Let root alone change what ``directory`` is, and what its names mean, until the end; who is not root is let be.

    A directory of another's is root's meanwhile, to be looked into by all: a hub that runs there goes on. ConfigError
    ``path_untrusted`` when somebody else could exchange it all the same, or has put a link where root would write.
    """
    if os.geteuid() != ROOT:
        yield
        return
    top = _opened(directory)
    if top is None:  # to be made, below directories that are root's alone
        yield
        return
    try:
        before = os.fstat(top)
        os.fchmod(top, 0o755)
        os.fchown(top, ROOT, -1)
        try:
            _refuse_links(top, directory, before.st_uid)
            yield
        finally:
            os.fchown(top, before.st_uid, -1)
            os.fchmod(top, stat.S_IMODE(before.st_mode))
    finally:
        os.close(top)


def _opened(directory: Path) -> int | None:
    """Open a directory name by name, each of them in the one before; None when it is not there."""
    here, path = os.open("/", _FOLDER), Path("/")
    for name in directory.parts[1:]:
        try:
            _refuse_shared(here, path, is_parent=path == directory.parent)
            there = os.open(name, _FOLDER, dir_fd=here)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _untrusted(path / name, f"no directory, or a link: {error.strerror}") from error
        finally:
            os.close(here)
        here, path = there, path / name
    return here


def _refuse_shared(folder: int, path: Path, *, is_parent: bool) -> None:
    """Refuse what is not root's, or can be changed by others: sticky, they cannot touch root's in it, but their own."""
    found = os.fstat(folder)
    if found.st_uid != ROOT:
        raise _untrusted(path, "it is another account's, which can exchange what is in it")
    is_shared = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    if is_shared and (is_parent or not found.st_mode & stat.S_ISVTX):
        raise _untrusted(path, "accounts other than root can exchange what is in it")


def _refuse_links(top: int, directory: Path, owner: int) -> None:
    for name in WRITTEN_INTO:
        try:
            found = os.stat(name, dir_fd=top, follow_symlinks=False)
        except FileNotFoundError:
            continue
        if stat.S_ISLNK(found.st_mode):
            raise _untrusted(directory / name, "a link")
        is_strange = owner != ROOT and found.st_uid not in {ROOT, owner}  # into root's own only root can have put it
        if name in READ and (found.st_nlink > 1 or is_strange):
            raise _untrusted(directory / name, "a file of somebody else's, or with a second name")


def _untrusted(path: Path, what: str) -> ConfigError:
    hint = "run it as the account itself, or choose a directory below ones that only root can change, as /srv/garden"
    return ConfigError("path_untrusted", what, file=str(path), hint=hint)
