"""hub.toml for a backup, without what is secret; and as it is where a backup is restored."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import tomlkit
from pydantic import SecretStr

from hub.config.provenance import leaves_of
from hub.config.settings import Settings
from hub.config.toml_files import read_layers
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
    """Return ``text`` with every secret commented out, and the names of those; ConfigError ``secret_hidden``.

    Also those that a variable or secrets.toml goes before: they may open something all the same.
    """
    secret = {name: value.get_secret_value() for name, value in leaves_of(settings) if isinstance(value, SecretStr)}
    values, origins = read_layers([file])
    lines, said = text.splitlines(), {*said_in(values)}
    left_out = [name for name in secret if name in said and name in origins]
    for name in left_out:
        lines[int(origins[name].rpartition(":")[2]) - 1] = f"# {name}: left out of the backup"
    found = "\n".join(lines) + "\n"
    usual = Settings.model_construct().redis.url.get_secret_value()  # the one that is no secret
    if _says_any(found, secret) or any(value in found for value in secret.values() if value not in {"", usual}):
        hint = "write each secret on a line of its own, or into secrets.toml; or keep them: --with-secrets"
        raise ConfigError(
            "secret_hidden", "a secret stands where only its whole table could go", file=str(file), hint=hint
        )
    return found, left_out


def _says_any(text: str, names: Collection[str]) -> bool:
    try:
        return not {*said_in(tomllib.loads(text))}.isdisjoint(names)
    except tomllib.TOMLDecodeError:  # only the first of its lines has gone
        return True


def said_in(values: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Yield the dotted names of what a file of settings says, but for what is empty there."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from said_in(value, f"{above}{key}.")
        elif value:
            yield above + key


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
