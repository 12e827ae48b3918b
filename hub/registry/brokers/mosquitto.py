"""mosquitto as the hub configures it: its configuration, users and access rules, as three files that only we read."""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from hub.errors import ConfigError
from hub.registry.nouns import Connection
from hub.registry.validation import IDENTIFIER

# mosquitto_passwd's own default. Enough for secrets of 256 random bits, and 10,000 of them would cost 129 connects/s
# instead of 2,000 (measured); never for a password that a person chose.
HASH_ITERATIONS = 101
SALT_BYTES = 12
SECRET_BYTES = 32

UPLINK_CLASSES = ("telemetry", "signal", "response", "availability")
DOWNLINK = "downlink"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsListener:
    """A second listener, for devices that are not on this machine."""

    host: str
    port: int
    cert_file: Path
    key_file: Path


def new_secret() -> str:
    """Return a password of 256 random bits, to be shown once."""
    return secrets.token_urlsafe(SECRET_BYTES)


def hash_password(secret: str, salt: bytes | None = None) -> str:
    """Return ``$7$101$salt$hash``: PBKDF2 with SHA-512, as mosquitto's password file wants it."""
    salt = secrets.token_bytes(SALT_BYTES) if salt is None else salt
    digest = hashlib.pbkdf2_hmac("sha512", secret.encode(), salt, HASH_ITERATIONS)
    return f"$7${HASH_ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


class MosquittoFiles:
    """The files of one mosquitto in ``directory``; plain listener on loopback only, ``tls`` for everybody else.

    ``hub_passwords`` are those of the hub's own users, by user: ``{prefix}-telemetry``, ``{prefix}-events`` and
    ``{prefix}-downlink``. ``foreign`` are the topics of other networks that commands go to. ``reload`` is called after
    users or rules changed on disk.
    """

    def __init__(
        self,
        directory: Path,
        *,
        port: int,
        hub_passwords: Mapping[str, str],
        tls: TlsListener | None = None,
        foreign: Sequence[str] = (),
    ) -> None:
        self.directory = directory
        self.config = directory / "mosquitto.conf"
        self.writes = 0
        self._port = port
        self._tls = tls
        self._foreign = tuple(foreign)
        # Hashed once: another salt would look like a change.
        self._hub_users = {user: hash_password(password) for user, password in hub_passwords.items()}

    def write(self, connections: Sequence[Connection], reload: Callable[[], None] | None = None) -> bool:
        """Write what differs, each file at once and for our eyes only; True (and ``reload``) when users changed.

        ConfigError ``user_invalid`` for a name that could change the meaning of a file or that is the hub's own.
        """
        for connection in connections:
            if not IDENTIFIER.fullmatch(connection.user) or connection.user in self._hub_users:
                raise ConfigError("user_invalid", f"{connection.user!r} cannot be a device's user")
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._replace(self.config, configuration(self.directory, self._port, self._tls))
        users = {**self._hub_users, **{connection.user: connection.password_hash for connection in connections}}
        passwords = "".join(f"{user}:{password_hash}\n" for user, password_hash in users.items())
        # Rules first: a user that exists before its rules do would be told "no" for a moment.
        changed = self._replace(
            self.directory / "acl", "\n".join(_rules(self._hub_users, self._foreign, connections)) + "\n"
        )
        changed |= self._replace(self.directory / "passwords", passwords)
        if changed:
            self.writes += 1
            if reload is not None:
                reload()
            log.info("broker_users_written", users=len(users))
        return changed

    def _replace(self, path: Path, text: str) -> bool:
        if path.exists() and path.read_text(encoding="utf-8") == text:
            return False
        fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 -- a path cannot be opened with a mode
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        fresh.replace(path)
        return True


def configuration(directory: Path, port: int, tls: TlsListener | None) -> str:
    """Return mosquitto.conf: nobody anonymous, one client id per user, nothing dropped before memory is short."""
    lines = [
        f"listener {port} 127.0.0.1",
        *(_tls_lines(tls) if tls is not None else ()),
        "allow_anonymous false",
        f"password_file {directory / 'passwords'}",
        f"acl_file {directory / 'acl'}",
        "use_username_as_clientid true",
        "persistence true",
        f"persistence_location {directory}/",
        "autosave_interval 1",
        "max_inflight_messages 0",
        "max_queued_messages 0",
        f"max_queued_bytes {_memory_bytes() // 4}",
        "set_tcp_nodelay true",
        "sys_interval 10",
        "log_dest stderr",
        "log_type error",
        "log_type warning",
        "log_type notice",
    ]
    if os.geteuid() == 0:
        # Else it becomes the user "mosquitto", who cannot read our files.
        lines.insert(0, "user root")
    return "\n".join(lines) + "\n"


def _tls_lines(tls: TlsListener) -> Iterator[str]:
    yield f"listener {tls.port} {tls.host}"
    yield f"certfile {tls.cert_file}"
    yield f"keyfile {tls.key_file}"
    yield "tls_version tlsv1.2"


def _rules(hub_users: Mapping[str, str], foreign: Sequence[str], connections: Sequence[Connection]) -> Iterator[str]:
    for user in hub_users:
        yield f"user {user}"
        if user.endswith(f"-{DOWNLINK}"):
            yield "topic write hub/+/+/command"
            yield from (f"topic write {topic}" for topic in foreign)
        else:
            # Foreign sources have topics of their own making, so the hub may read everything.
            yield "topic read #"
            yield "topic read $SYS/#"
            yield "topic write hub/_hub/+/marker"
        yield ""
    for connection in connections:
        yield f"user {connection.user}"
        for site, device in connection.devices:
            for topic_class in UPLINK_CLASSES:
                yield f"topic write hub/{site}/{device}/{topic_class}"
            yield f"topic read hub/{site}/{device}/command"
        yield ""


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
