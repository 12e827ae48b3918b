"""Variables of the environment: which settings they give; a near miss is refused, not passed over."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from hub.errors import ConfigError

PREFIX = "HUB_"
DELIMITER = "__"
_LINKS = ("tcp://", "udp://", "sctp://")
"""What Kubernetes sets begins so: HUB_PORT for a service "hub", HUB_MQTT_PORT for "hub-mqtt". Nobody means a port."""


def variables_of(environment: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """Return dotted name -> variable for those of ``names`` that the environment gives; a near miss is a ConfigError.

    Not every foreign HUB_* is one: HUB_SERVICE_HOST is Kubernetes' too.
    """
    known = {PREFIX + name.upper().replace(".", DELIMITER): name for name in names}
    given: dict[str, str] = {}
    for variable, said in environment.items():
        if variable.upper() in known:
            given[known[variable.upper()]] = variable
        elif (
            variable.startswith(PREFIX)
            and not said.startswith(_LINKS)
            and (near := difflib.get_close_matches(variable, known, n=1, cutoff=0.85))
        ):
            raise ConfigError("setting_unknown", f"{variable} is not a setting", hint=f"did you mean {near[0]}?")
    return given
