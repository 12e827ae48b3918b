"""TOML files of settings: one over the other, each value with the file and line that it came from."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hub.errors import ConfigError


def read_layers(paths: Sequence[Path]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what ``paths`` say together, a later one over an earlier, and ``FILE:LINE`` of each dotted name.

    ConfigError ``config_unreadable`` or ``config_not_toml`` with file and line.
    """
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for path in paths:
        text = _text(path)
        values = _merged(values, _toml(text, path))
        origins |= {name: f"{path}:{line}" for name, line in _lines(text)}
    return values, origins


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(below)
    for name, value in above.items():
        known = found.get(name)
        found[name] = _merged(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8"
        raise ConfigError("config_unreadable", str(reason), file=str(path)) from error


def _toml(text: str, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"line (\d+)", str(error))
        raise ConfigError("config_not_toml", str(error), file=str(path), line=int(line[1]) if line else None) from error
    except RecursionError as error:
        raise ConfigError("config_not_toml", "levels without end", file=str(path)) from error


def _lines(text: str) -> Iterator[tuple[str, int]]:
    """Yield (dotted name, line) of tables and keys; tomllib keeps no positions."""
    table = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[\s*([\w.\-\" ]+?)\s*\]", line):
            table = header[1].replace('"', "").replace(" ", "") + "."
            yield table[:-1], number
        elif key := re.match(r"\s*([\w.\-\"]+)\s*=", line):
            yield table + key[1].replace('"', ""), number
