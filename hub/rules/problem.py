"""What may be wrong with a rule: how heavy it weighs, its code, and where in the document it stands."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

Path = tuple[str | int, ...]


class Weight(StrEnum):
    """Whether the hub refuses the rule, works with it though a person should look, or it is merely good to know."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Problem(NamedTuple):
    """One thing about a rule; ``path`` says where in its document, ``code`` is stable."""

    weight: Weight
    code: str
    message: str
    path: Path
    hint: str = ""


def error(code: str, message: str, path: Path, hint: str = "") -> Problem:
    """Return what the hub refuses."""
    return Problem(Weight.ERROR, code, message, path, hint)


def doubt(code: str, message: str, path: Path, hint: str = "") -> Problem:
    """Return what a person should look at."""
    return Problem(Weight.WARNING, code, message, path, hint)


def note(code: str, message: str, path: Path, hint: str = "") -> Problem:
    """Return what is good to know."""
    return Problem(Weight.NOTE, code, message, path, hint)
