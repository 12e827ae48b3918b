"""Knocking at the broker: would it let this user in? Whoever is in under that name is shown out."""

from __future__ import annotations

from enum import Enum, auto

import aiomqtt

KNOCK_SECONDS = 5.0


class Answer(Enum):
    """What the broker says."""

    WELCOME = auto()
    REFUSED = auto()
    ABSENT = auto()


async def knock(port: int, user: str, secret: str) -> Answer:
    """Come in at ``port`` of 127.0.0.1 and go again.

    A user has one client id, its own name: who else was connected under it is disconnected by the broker at once.
    """
    try:
        async with aiomqtt.Client(
            "127.0.0.1", port, identifier=user, username=user, password=secret, timeout=KNOCK_SECONDS
        ):
            return Answer.WELCOME
    except aiomqtt.MqttCodeError:
        return Answer.REFUSED
    except aiomqtt.MqttError:
        return Answer.ABSENT
