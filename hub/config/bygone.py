"""Settings that earlier versions had and no hub ever kept: passed over and told, so that an old file still starts."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

log = structlog.get_logger(__name__)

NEVER_WORKED = {"limits": {"device_burst", "device_messages_per_second"}, "timeseries": {"database"}}
"""By section; the bucket names the database, and what a device may say is ``quota_per_second``, ``quota_burst`` now."""


def pass_over(said: Mapping[str, object]) -> dict[str, object]:
    """Return the sections of ``said`` without what never worked."""
    return {section: _without(section, values) for section, values in said.items()}


def _without(section: str, said: object) -> object:
    never_worked = NEVER_WORKED.get(section)
    if never_worked is None or not isinstance(said, Mapping):
        return said
    for name in sorted(never_worked & said.keys()):
        log.warning("setting_without_effect", setting=f"{section}.{name}", hint="take it out: no hub ever had it")
    return {name: value for name, value in said.items() if name not in never_worked}
