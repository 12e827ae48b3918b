"""What a revision did: whose states must end, who is watched anew, for whom the same rules come to something else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain

from hub.engine.device import Device
from hub.engine.places import Place, Subject


@dataclass(slots=True)
class Change:
    """What a revision did: states of what was removed, or is off as (site, rule), must end; new devices are watched.

    When rules are read anew that is all that is off: nobody knows what was when a checkpoint of another version, of
    which something could not be read, was written.

    ``turned`` are those of which the same rules now come to something else.
    """

    has_new_rules: bool = False
    removed_rules: list[str] = field(default_factory=list)
    switched_off: list[tuple[str, str]] = field(default_factory=list)
    removed_devices: list[Device] = field(default_factory=list)
    removed_places: list[Place] = field(default_factory=list)
    new_devices: list[Device] = field(default_factory=list)
    turned: list[Subject] = field(default_factory=list)

    def over(self, *there: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """Return the (site, rule) to be ended, a rule that is gone at all sites (""); ``there`` is, by rule and key.

        What is off and has left nothing there is not among them: to look for it is a walk over everything, for each.
        """
        gone = [("", rule) for rule in self.removed_rules]
        if not self.switched_off:
            return gone
        left = {(key.partition("/")[0], rule) for rule, key in chain(*there)}
        return gone + [each for each in self.switched_off if each in left]
