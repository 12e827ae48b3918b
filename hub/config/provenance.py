"""One setting for people: its name, its value with secrets hidden, and where it came from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from pydantic import BaseModel, SecretStr

from hub.durations import write_duration

HIDDEN = "****"


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """One setting for people: secrets are hidden; ``origin`` is ``default``, ``FILE:LINE`` or a variable's name."""

    name: str
    value: str
    origin: str


def leaves_of(section: BaseModel, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Yield the dotted name of each setting with its value, in the order of the sections."""
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            yield from leaves_of(value, f"{prefix}{name}.")
        elif value and isinstance(value, dict) and all(isinstance(each, SecretStr) for each in value.values()):
            yield from ((f"{prefix}{name}.{key}", secret) for key, secret in value.items())
        elif value and isinstance(value, dict) and all(isinstance(each, BaseModel) for each in value.values()):
            for key, each in value.items():
                yield from leaves_of(each, f"{prefix}{name}.{key}.")
        else:
            yield prefix + name, value


def shown(value: object) -> str:
    """Return how a value is printed."""
    if isinstance(value, SecretStr):
        return HIDDEN if value.get_secret_value() else ""
    if isinstance(value, timedelta):
        return write_duration(value)
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    return "" if value is None else str(value)
