"""From when until when something holds: ``FROM/UNTIL``, as people write it and the engine judges it."""

from __future__ import annotations

from hub.errors import ConfigError
from hub.rules.settling import in_force

_LONG_AGO = -(2**62)
HINT = "a day such as 2026-03-01 (included), or a moment of the site such as 2026-03-01T08:00"


def validity(begins: str, ends: str) -> str:
    """Return ``FROM/UNTIL``, or nothing for always. ConfigError ``validity_invalid``, ``validity_empty``."""
    if not begins and not ends:
        return ""
    text = f"{begins.strip()}/{ends.strip()}"
    try:
        is_on, change = in_force(text, _LONG_AGO, "UTC")
        if not is_on and change is not None:
            is_on, change = in_force(text, change, "UTC")
    except (ValueError, OverflowError) as error:
        raise ConfigError("validity_invalid", f"{text!r}: {error}", hint=HINT) from error
    if not is_on:
        raise ConfigError("validity_empty", f"{text!r} ends before it begins", hint=HINT)
    return text


def parted(text: str) -> tuple[str, str]:
    """Return from and until of what :func:`validity` returned."""
    begins, _, ends = text.partition("/")
    return begins, ends
