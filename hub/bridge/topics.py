"""The topic grammar: text to an Address and back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from enum import StrEnum

from hub.model.heard import Address
from hub.model.values import TopicClass

SYS_DROPPED = "$SYS/broker/publish/messages/dropped"
"""Where mosquitto counts what it threw away."""

_NATIVE = re.compile(
    r"hub/([A-Za-z0-9.-][A-Za-z0-9._-]{0,63})/([A-Za-z0-9._-]{1,64})/(telemetry|signal|response|availability|drill)"
)


class SessionName(StrEnum):
    """The two sessions of a partition; each has its own queue in the broker: a flood in one spares the other."""

    EVENTS = "events"
    TELEMETRY = "telemetry"


_HEARD_BY = {
    SessionName.EVENTS: (TopicClass.SIGNAL, TopicClass.RESPONSE, TopicClass.AVAILABILITY, TopicClass.DRILL),
    SessionName.TELEMETRY: (TopicClass.TELEMETRY,),
}


def parse(topic: str) -> Address | None:
    """Return what a native topic says; None when it is outside the grammar. Sites with a leading ``_`` are ours."""
    match = _NATIVE.fullmatch(topic)
    return None if match is None else Address(match[1], match[2], TopicClass(match[3]))


def command_topic(site: str, device: str) -> str:
    """Return where a device listens for commands."""
    return f"hub/{site}/{device}/command"


def response_topic(site: str, device: str) -> str:
    """Return where a device answers commands."""
    return f"hub/{site}/{device}/{TopicClass.RESPONSE}"


def drill_topic(site: str, device: str) -> str:
    """Return where a drill speaks in the place of a device."""
    return f"hub/{site}/{device}/{TopicClass.DRILL}"


def uplink_topics(site: str, device: str) -> Iterator[str]:
    """Yield every native topic on which a device, or a drill in its place, may say something."""
    return (f"hub/{site}/{device}/{topic_class}" for topic_class in TopicClass)


def marker_topic(partition: str, session: str) -> str:
    """Return where a session publishes to itself to learn that it has read everything queued before."""
    return f"hub/_hub/{partition}-{session}/marker"


def filters(session: SessionName, sites: Iterable[str] | None = None) -> tuple[str, ...]:
    """Return what ``session`` subscribes to: every site, or one filter per site. Its marker it adds itself."""
    named = ["+"] if sites is None else list(sites)
    native = [f"hub/{site}/+/{topic_class}" for site in named for topic_class in _HEARD_BY[session]]
    return (*native, SYS_DROPPED) if session is SessionName.EVENTS else tuple(native)
