"""Users of the broker as tests of mosquitto tell it of them."""

from __future__ import annotations

from hub.registry.brokers.broker import BrokerUser, Roster
from hub.registry.brokers.grants import of_devices
from hub.registry.hashing import hash_secret


def user(name: str, secret: str, *devices: tuple[str, str]) -> BrokerUser:
    grant = of_devices(devices)
    return BrokerUser(user=name, password_hash=hash_secret(secret), reads=grant.reads, writes=grant.writes)


def roster(*users: BrokerUser) -> Roster:
    return Roster(users={each.user: each for each in users})


GATE = user("s1/gate-1", "gate secret", ("s1", "gate-1"))

GATEWAY = user("gateway-1", "gateway secret", ("s1", "smoke-1"), ("s1", "smoke-2"))
