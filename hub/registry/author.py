"""Who acts, as the audit knows them."""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """Who acts: whom the operating system knows, and whom that one says to act for (the same when nobody is named)."""

    os_user: str
    actor: str = ""


def os_user() -> str:
    """Return whom the operating system takes us for."""
    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:  # a container's user of no name
        return f"uid-{number}"
