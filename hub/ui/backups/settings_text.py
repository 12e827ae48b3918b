"""hub.toml for a backup, without what is secret; and as it is where a backup is restored."""

from __future__ import annotations

import json
import re
from pathlib import Path

from pydantic import SecretStr

from hub.config import Settings
from hub.errors import ConfigError
from hub.provenance import HIDDEN, leaves_of

_PLACES = {"data_dir": "data", "profiles_dir": "device_profiles", "rules_dir": "rules"}
"""Settings that say where files lie, and where they lie in a restored installation."""


def without_secrets(text: str, file: Path, settings: Settings) -> tuple[str, list[str]]:
    """Return ``text`` with every secret commented out, and the names of those; ConfigError ``secret_hidden``."""
    lines = text.splitlines()
    left_out: list[str] = []
    for each in settings.provenance():
        if each.value == HIDDEN and each.origin.startswith(f"{file}:"):
            lines[int(each.origin.rpartition(":")[2]) - 1] = f"# {each.name}: left out of the backup"
            left_out.append(each.name)
    found = "\n".join(lines) + "\n"
    if any(secret in found for secret in _given(settings)):
        hint = "write each secret on a line of its own, or into secrets.toml; or keep them: --with-secrets"
        raise ConfigError(
            "secret_hidden", "a secret stands where only its whole table could go", file=str(file), hint=hint
        )
    return found, left_out


def _given(settings: Settings) -> list[str]:
    """Return the secrets that somebody has set."""
    usual = dict(leaves_of(Settings.model_construct()))
    secret = [(name, value) for name, value in leaves_of(settings) if isinstance(value, SecretStr)]
    return [value.get_secret_value() for name, value in secret if value != usual.get(name)]


def moved(text: str, directory: Path, *, has_profiles: bool, has_rules: bool) -> str:
    """Return settings that lead into ``directory``."""
    there = {"data_dir": True, "profiles_dir": has_profiles, "rules_dir": has_rules}
    new = [f"{name} = {json.dumps(str(directory / _PLACES[name]))}" for name, is_there in there.items() if is_there]
    kept: list[str] = []
    is_top = True
    for line in text.splitlines():
        is_top = is_top and not re.match(r"\s*\[", line)
        if not (is_top and re.match(rf"\s*({'|'.join(_PLACES)})\s*=", line)):
            kept.append(line)
    return "\n".join([*new, *kept]) + "\n"
