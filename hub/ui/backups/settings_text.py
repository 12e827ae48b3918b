"""hub.toml for a backup, without what is secret; and as it is where a backup is restored."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import tomlkit
from pydantic import SecretStr

from hub.config.provenance import HIDDEN, leaves_of
from hub.config.settings import Settings
from hub.errors import ConfigError

DATA = "data_dir"
COPIED = {
    DATA: "data",
    "profiles_dir": "device_profiles",
    "rules_dir": "rules",
    "city.rules_dir": "city_rules",
    "notify.dir": "notify",
}
"""Settings that say where files lie that a backup holds, and where they lie in a restored installation."""
PLACES = {**COPIED, "broker.directory": "broker", "redis.child_dir": "valkey"}
"""With those whose files are made anew: a restored hub must not write into the installation that it came from."""


REDIS = "redis"
"""Where the configuration of a Redis of its own lies in an installation; that there is one says no setting."""


def place_of(settings: Settings, setting: str) -> Path | None:
    """Return what one of ``PLACES`` says."""
    found = dict(leaves_of(settings)).get(setting)
    return found if isinstance(found, Path) else None


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


def moved(text: str, directory: Path, there: Collection[str]) -> str:
    """Return settings that lead into ``directory``, where those of ``PLACES`` that are ``there`` lie.

    All else stays as somebody wrote it, comments too: what is new stands before it, for the end of what is in no table
    may be a comment on the first table.
    """
    document, new = tomlkit.parse(text), tomlkit.document()
    for name, folder in PLACES.items():
        if name in there:
            *tables, key = name.split(".")
            table: Any = document if tables or key in document else new
            for each in tables:
                table = table.setdefault(each, tomlkit.table())
            table[key] = str(directory / folder)
    return tomlkit.dumps(new) + tomlkit.dumps(document)
