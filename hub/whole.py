"""Files that are there whole or not at all, and for our eyes only."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def alone_in(directory: Path) -> Iterator[None]:
    """Be alone among those who ask for that in a directory, after whoever is now.

    The lock is the directory's: no second name is needed, which some file systems do not give.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def make_once(path: Path, make: Callable[[], str | bytes]) -> None:
    """Write what ``make`` makes unless there is one, a process at a time: all or nothing, after a power cut too."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with alone_in(path.parent):
        if not path.exists():  # who makes one at the same moment takes the same one
            write_whole(path, make())


def write_whole(path: Path, content: str | bytes) -> None:
    """Write ``path`` with mode 0600: whoever opens it finds what was there before, or all of ``content``.

    What root writes belongs to whom the directory belongs: a server that runs as that account is to read it at once.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _write_in(directory, path.name, content.encode() if isinstance(content, str) else content)
        os.fsync(directory)
    finally:
        os.close(directory)


def _write_in(directory: int, name: str, content: bytes) -> None:
    """Write in an open directory: while root writes, its owner may put a link to another one in its place."""
    fresh = f".{name}.{secrets.token_hex(4)}"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=directory)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 -- a path cannot be opened with a mode
            file.write(content)
            file.flush()
            if os.geteuid() == 0:
                os.fchown(descriptor, os.fstat(directory).st_uid, -1)
            os.fsync(descriptor)
        os.rename(fresh, name, src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(fresh, dir_fd=directory)
        raise
