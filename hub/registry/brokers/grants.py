"""Which topics are whose: of a device, and of each connection of a hub."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hub.errors import ConfigError
from hub.model.values import TopicClass
from hub.registry.validation import Key

ANY, SYS = "+", "$SYS/#"
CONNECTIONS = ("telemetry", "events", "downlink", "record", "doctor", "drill")
"""What a hub has a user of its own for."""
TELEMETRY, EVENTS, DOWNLINK, RECORD, DOCTOR, DRILL = CONNECTIONS

_CLASSES = tuple(each.value for each in TopicClass if each is not TopicClass.DRILL)
HEARD = {
    TELEMETRY: (TopicClass.TELEMETRY,),
    EVENTS: (TopicClass.SIGNAL, TopicClass.RESPONSE, TopicClass.AVAILABILITY, TopicClass.DRILL),
    RECORD: tuple(TopicClass),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a user may read and write."""

    reads: tuple[str, ...]
    writes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceTopics:
    """The topics of a partition's foreign networks: heard by the session of that name, and told on.

    ``networks``: what each source's own network server or gateway may do, where it comes to the broker as a user.
    """

    telemetry: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    downlinks: tuple[str, ...] = ()
    networks: tuple[tuple[str, Grant], ...] = ()


def of_devices(devices: Sequence[Key]) -> Grant:
    """Return the exact topics of ``devices``, which are (site, device)."""
    return Grant(
        reads=tuple([f"hub/{site}/{device}/command" for site, device in devices]),
        writes=tuple([f"hub/{site}/{device}/{each}" for site, device in devices for each in _CLASSES]),
    )


def of_hub(connection: str, partition: str, sites: Sequence[str], foreign: SourceTopics) -> Grant:
    """Return what one connection of a partition may read and write; ``sites`` may be the one that stands for all."""
    if connection == DOWNLINK:
        return Grant(reads=(), writes=(*(f"hub/{site}/+/command" for site in sites), *foreign.downlinks))
    if connection == DRILL:
        return Grant(reads=(), writes=tuple(f"hub/{site}/+/{TopicClass.DRILL}" for site in sites))
    native = [f"hub/{site}/+/{each}" for site in sites for each in HEARD.get(connection, ())]
    marker = f"hub/_hub/{partition}-{connection}/marker"
    match connection:
        case "telemetry":
            return Grant(reads=(*native, *foreign.telemetry, marker), writes=(marker,))
        case "events":
            return Grant(reads=(*native, *foreign.events, SYS, marker), writes=(marker,))
        case "doctor":
            return Grant(reads=(SYS, marker), writes=(marker,))
        case "record":
            return Grant(reads=(*native, *foreign.telemetry, *foreign.events), writes=())
        case _:
            raise ConfigError("connection_unknown", f"a hub has no connection {connection!r}")
