"""Who acts, as the audit knows them; and what is personal, so masked that people know it again and nobody learns it."""

from __future__ import annotations

import os
import pwd
import re
from dataclasses import dataclass

_PLATE = re.compile(r"[\u4e00-\u9fff][A-Z][A-Z0-9]{5,6}")
_PLATE_TAIL, _SHORT = 3, 5


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


def masked_plates(text: str) -> str:
    """Return a text with every plate in it masked, as far as it is written without blanks."""
    return _PLATE.sub(lambda found: masked(found[0]), text)


def masked(value: str) -> str:
    """Return a plate (鲁B12**5), a card number or a reference (00***7) with its middle hidden."""
    if _PLATE.fullmatch(value):
        return f"{value[:-_PLATE_TAIL]}**{value[-1]}"
    return f"{value[:1]}***" if len(value) < _SHORT else f"{value[:2]}***{value[-1]}"
