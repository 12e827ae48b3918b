"""The rules of a city: those of the files, or those that it had, when one of the files must be refused."""

from __future__ import annotations

from pathlib import Path

import structlog
from pydantic import TypeAdapter, ValidationError

from hub.city.load import read_city_rules
from hub.city.rule import CityRule
from hub.config.settings import Settings, packaged
from hub.errors import ConfigError
from hub.whole import write_whole

KEPT = "rules.json"

log = structlog.get_logger(__name__)
_RULES = TypeAdapter(dict[str, CityRule])


def directories_of(settings: Settings) -> list[Path]:
    """Return where city rules lie."""
    own = settings.city.rules_dir
    return [packaged("city_rules"), *([] if own is None else [own])]


def rules_of(settings: Settings) -> dict[str, CityRule]:
    """Return the city rules that ship, overlaid by the installation's; ConfigError with file and line."""
    return read_city_rules(directories_of(settings))


def read_at_start(settings: Settings, directory: Path) -> tuple[dict[str, CityRule], str]:
    """Return the rules to judge by, and why the files were refused: "" when they were not.

    ``directory`` keeps them for the next start: a file that somebody has half written then stops no city that was at
    work before, as it stops no hub. ConfigError where there are none to go on with.
    """
    kept = directory / KEPT
    try:
        rules = rules_of(settings)
    except ConfigError as error:
        try:
            rules = _RULES.validate_json(kept.read_bytes())
        except (OSError, ValidationError):
            raise error from None
        log.error("city_rules_refused", reason=str(error))  # noqa: TRY400 -- the reason is all
        return rules, str(error)
    written = _RULES.dump_json(rules, by_alias=True, exclude_defaults=True)
    try:
        if not kept.exists() or kept.read_bytes() != written:
            write_whole(kept, written)
    except OSError as error:
        log.warning("city_rules_not_kept", reason=str(error))
    return rules, ""
