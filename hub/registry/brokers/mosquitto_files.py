"""What mosquitto reads: its configuration, password file and access list, as text and back."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from hub.errors import ConfigError
from hub.model.values import TopicClass
from hub.registry.brokers.broker import BrokerUser
from hub.registry.brokers.grants import of_devices
from hub.registry.validation import IDENTIFIER

CONFIG, PASSWORDS, ACL, PID, CRL, CA = "mosquitto.conf", "passwords", "acl", "mosquitto.pid", "crl.pem", "ca.crt"

# Packets above the hub's own limit of payloads, and room for the topic and the properties of MQTT 5.
PACKET_ROOM_BYTES = 64 * 2**10

PROBE = "~probe"
"""A user that may do nothing: its secret is another in each password file, so that it tells which one is in force."""

# A user called "site/device" has its topics by pattern. 10,000 of them are read again in 27 ms; as rules of five lines
# each they stopped mosquitto for 578 ms, for it looks for the user of each line from the first on.
_PATTERNS = [*(f"pattern write hub/%u/{each}" for each in TopicClass), "pattern read hub/%u/command"]
_DENY_ALL = "topic deny #"
# What a user may be called here: an identifier, site/device, or either with the mark of a second secret.
_USER = re.compile(rf"(source~)?{IDENTIFIER.pattern}(/{IDENTIFIER.pattern})?(~2)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsListener:
    """A listener for who is not on this machine."""

    host: str
    port: int
    cert_file: Path
    key_file: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Listeners:
    """Where mosquitto listens: ``port`` of 127.0.0.1 in the clear, ``tls`` for secrets, ``mutual`` for certificates.

    A packet larger than ``payload_bytes`` and its topic ends the connection that it came on.
    """

    port: int
    tls: TlsListener | None = None
    mutual: TlsListener | None = None
    payload_bytes: int = 256 * 2**10


def configuration(directory: Path, listeners: Listeners) -> str:
    """Return mosquitto.conf: nobody anonymous, one client id per user, nothing dropped before memory is short."""
    lines = [
        "per_listener_settings false",
        "allow_anonymous false",
        f"password_file {directory / PASSWORDS}",
        f"acl_file {directory / ACL}",
        f"pid_file {directory / PID}",
        "persistence true",
        f"persistence_location {directory}/",
        "autosave_interval 1",
        "max_inflight_messages 0",
        "max_queued_messages 0",
        f"max_queued_bytes {_memory_bytes() // 4}",
        f"max_packet_size {listeners.payload_bytes + PACKET_ROOM_BYTES}",
        "set_tcp_nodelay true",
        "sys_interval 10",
        "log_dest stderr",
        "log_type error",
        "log_type warning",
        "log_type notice",
        *_listener(listeners.port, "127.0.0.1"),
    ]
    if listeners.tls is not None:
        lines += [*_listener(listeners.tls.port, listeners.tls.host), *_tls(listeners.tls)]
    if listeners.mutual is not None:
        lines += [*_listener(listeners.mutual.port, listeners.mutual.host), *_tls(listeners.mutual)]
        lines += [f"cafile {directory / CA}", f"crlfile {directory / CRL}"]
        lines += ["require_certificate true", "use_identity_as_username true"]
    if directory.exists() and directory.stat().st_uid == 0:
        # Else it becomes the user "mosquitto", who cannot read our files.
        lines.insert(0, "user root")
    return "\n".join(lines) + "\n"


def _listener(port: int, host: str) -> Iterator[str]:
    yield f"listener {port} {host}"
    # It belongs to the listener above it: said once at the end, it leaves all others open to stolen client ids.
    yield "use_username_as_clientid true"


def _tls(listener: TlsListener) -> Iterator[str]:
    yield f"certfile {listener.cert_file}"
    yield f"keyfile {listener.key_file}"
    yield "tls_version tlsv1.2"


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


# ------------------------------------------------------------------------------------------------------- who and what


def is_user(name: str) -> bool:
    """Return whether somebody may be called so: nothing that could change the meaning of a file, or be a pattern."""
    return _USER.fullmatch(name) is not None


def refuse_odd(users: Iterable[str]) -> None:
    """ConfigError ``user_invalid`` for the first who may not be called so."""
    for user in users:
        if not is_user(user):
            raise ConfigError("user_invalid", f"{user!r} cannot be a user of the broker")


def write_passwords(users: Mapping[str, BrokerUser], probe_hash: str) -> str:
    """Return the password file."""
    hashes = {user.user: user.password_hash for user in users.values() if user.password_hash} | {PROBE: probe_hash}
    return "".join(f"{user}:{password_hash}\n" for user, password_hash in sorted(hashes.items()))


def without(passwords: str, users: Collection[str]) -> str:
    """Return a password file that lets ``users`` in no more."""
    return "".join(line for line in passwords.splitlines(keepends=True) if line.partition(":")[0] not in users)


def with_guests(passwords: str, guests: Mapping[str, str]) -> str:
    """Return a password file that lets ``guests`` (user to hash) in too, whoever else has their names."""
    return without(passwords, guests) + "".join(f"{user}:{made}\n" for user, made in sorted(guests.items()))


def write_acl(users: Mapping[str, BrokerUser], outcasts: Collection[str]) -> str:
    """Return the access list; ``outcasts`` may do nothing, whatever the patterns say."""
    lines = [*_PATTERNS, ""]
    for user in sorted(users.keys() - set(outcasts)):
        if not is_by_pattern(users[user]):
            lines += [f"user {user}", *(f"topic read {topic}" for topic in users[user].reads)]
            lines += [*(f"topic write {topic}" for topic in users[user].writes), ""]
    for user in sorted(outcasts):
        lines += [f"user {user}", _DENY_ALL, ""]
    return "\n".join(lines) + "\n"


def is_by_pattern(user: BrokerUser) -> bool:
    """Return whether the patterns grant ``user`` exactly what is its own."""
    return (user.reads, user.writes) == _by_pattern(user.user)


def _by_pattern(user: str) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    site, sign, device = user.partition("/")
    if not sign or "~" in device:
        return None
    grant = of_devices([(site, device)])
    return grant.reads, grant.writes


def read_users(passwords: str, acl: str) -> dict[str, BrokerUser]:
    """Return whom the two files name, with their topics; the probe and the outcasts are nobody."""
    hashes = dict(line.split(":", 1) for line in passwords.splitlines() if ":" in line)
    rules = _rules(acl)
    found: dict[str, BrokerUser] = {}
    for user in (hashes.keys() | rules.keys()) - {PROBE}:
        lines = rules.get(user, [])
        if _DENY_ALL in lines:
            continue
        reads = tuple(line.removeprefix("topic read ") for line in lines if line.startswith("topic read "))
        writes = tuple(line.removeprefix("topic write ") for line in lines if line.startswith("topic write "))
        pattern = None if lines else _by_pattern(user)
        reads, writes = pattern or (reads, writes)
        found[user] = BrokerUser(user=user, password_hash=hashes.get(user, ""), reads=reads, writes=writes)
    return found


def _rules(acl: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    user = ""
    for line in acl.splitlines():
        if line.startswith("user "):
            user = line.removeprefix("user ")
            found.setdefault(user, [])
        elif line.startswith("topic ") and user:
            found[user].append(line)
    return found
