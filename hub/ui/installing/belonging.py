"""To whom an installation belongs: what root makes in it is for the account that its hub and its servers run as."""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import structlog

from hub.config.settings import DEFAULT_FILE
from hub.errors import ConfigError

log = structlog.get_logger(__name__)

ROOT = 0


def account_of(settings_file: Path) -> str:
    """Return the account that an installation belongs to; where there is none yet, or of no name, who calls.

    Not whom LOGNAME names: behind `su` that is another one.
    """
    with suppress(FileNotFoundError, KeyError):
        return pwd.getpwuid(settings_file.stat().st_uid).pw_name
    caller = os.geteuid()
    try:
        return pwd.getpwuid(caller).pw_name
    except KeyError:  # in a container, mostly
        return str(caller)


def refuse_unknown(account: str) -> None:
    """ConfigError ``account_unknown``: nothing can be given to it, and no unit runs as it."""
    try:
        pwd.getpwnam(account)
    except KeyError as error:
        hint = f"make it first: useradd --system {account}"
        raise ConfigError("account_unknown", f"there is no account {account!r}", hint=hint) from error


def hand_over(directories: Iterable[Path]) -> None:
    """Give whatever root has made in each to whom that directory belongs; only root needs to, and can."""
    if os.geteuid() != ROOT:
        return
    for directory in directories:
        with _told(directory), suppress(FileNotFoundError), _opened(directory) as top:
            owner = os.fstat(top).st_uid
            if owner != ROOT:
                _give_below(top, owner, {ROOT})


def give(directory: Path, owner: int) -> None:
    """Let an installation, or what is to be one, belong to ``owner``: what was root's or its former owner's in it.

    What else has come to lie there by the time that it is opened, is nobody's to give.
    """
    with _told(directory), _opened(directory) as top:
        former = os.fstat(top).st_uid
        if former != owner and not _is_of_a_hub(top):
            log.warning("not_handed_over", directory=str(directory), reason="it holds something else")
            return
        _give_below(top, owner, {ROOT, former} - {owner})
        os.fchown(top, owner, -1)  # last: what is given by halves is given wholly by a second call


def _is_of_a_hub(directory: int) -> bool:
    names = os.listdir(directory)
    return not names or DEFAULT_FILE.name in names


def _give_below(directory: int, owner: int, former: Collection[int]) -> None:
    """Give what is of ``former``; nothing by its path, for the account can put a link there at any moment.

    Links are not followed, and what has a second name is left alone: it may be anything of the machine's. That an open
    file has no other name than here only its name here can tell: one that was taken away is none.
    """
    for name in os.listdir(directory):
        with suppress(FileNotFoundError), _opened(name, os.O_PATH | os.O_NOFOLLOW, directory) as descriptor:
            found = os.stat(name, dir_fd=directory, follow_symlinks=False)
            if not os.path.samestat(found, os.fstat(descriptor)):
                continue
            is_folder = stat.S_ISDIR(found.st_mode)
            if found.st_uid in former and (is_folder or (stat.S_ISREG(found.st_mode) and found.st_nlink == 1)):
                os.chown(f"/proc/self/fd/{descriptor}", owner, -1)  # fchown takes none of O_PATH
            if is_folder:
                with _opened(".", os.O_RDONLY | os.O_DIRECTORY, descriptor) as folder:
                    _give_below(folder, owner, former)


@contextmanager
def _opened(path: Path | str, flags: int = os.O_RDONLY | os.O_DIRECTORY, at: int | None = None) -> Iterator[int]:
    descriptor = os.open(path, flags, dir_fd=at)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _told(directory: Path) -> Iterator[None]:
    """Let a command that has done its work end well, whatever the account has put there."""
    try:
        yield
    except (OSError, RecursionError) as error:
        log.warning("not_handed_over", directory=str(directory), reason=str(error))
