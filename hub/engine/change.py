"""What a revision did: whose states must end, who is watched anew, for whom the same rules come to something else."""

from __future__ import annotations

from dataclasses import dataclass, field

from hub.engine.device import Device
from hub.engine.places import Place, Subject


@dataclass(slots=True)
class Change:
    """What a revision did: states of what was removed, or is off as (site, rule), must end; new devices are watched.

    ``turned`` are those of which the same rules now come to something else.
    """

    has_new_rules: bool = False
    removed_rules: list[str] = field(default_factory=list)
    switched_off: list[tuple[str, str]] = field(default_factory=list)
    removed_devices: list[Device] = field(default_factory=list)
    removed_places: list[Place] = field(default_factory=list)
    new_devices: list[Device] = field(default_factory=list)
    turned: list[Subject] = field(default_factory=list)
