"""Become a command while holding a lock file, for as long as the command lives.

``python -I lock.py FILE COMMAND…`` waits for the lock: after a kill of the hub its old service may still be closing.
"""

from __future__ import annotations

import fcntl
import os
import sys


def main(arguments: list[str]) -> None:
    """Lock ``arguments[0]`` and execute ``arguments[1:]`` in this very process."""
    file, command = arguments[0], arguments[1:]
    held = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(held, fcntl.LOCK_EX)
    os.set_inheritable(held, True)  # noqa: FBT003 -- os takes it by position
    os.execv(command[0], command)  # noqa: S606 -- the hub's own command, without a shell


if __name__ == "__main__":
    main(sys.argv[1:])
