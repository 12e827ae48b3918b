"""mosquitto.conf as mosquitto 2 reads it, and what in it loses or lets in what it should not."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hub.errors import ConfigError
from hub.ui.doctor.findings import Scene, Verdict, bad, good, weak

TOPIC_BYTES = 4_096
"""Room for topic and properties beside the payload."""
ENOUGH_QUEUE_BYTES = 64 * 2**20
AUTOSAVE_CHANGES = 100
PER_LISTENER = frozenset({"use_username_as_clientid", "max_qos", "max_connections", "cafile", "certfile", "keyfile"})
"""Options that belong to the listener above them, whatever ``per_listener_settings`` says (measured with 2.0.11)."""
SOMETIMES_PER_LISTENER = frozenset({"allow_anonymous", "password_file", "acl_file", "plugin", "auth_plugin"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """One listener: its port, the address that it is bound to (empty: all), and its own options."""

    port: int
    host: str
    options: Mapping[str, str]

    @property
    def is_open(self) -> bool:
        """Whether other machines can reach it."""
        if self.host in {"", "localhost"}:
            return not self.host
        try:
            return not ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return True  # a name of this machine, as others know it

    @property
    def has_tls(self) -> bool:
        """Whether it speaks TLS."""
        return "certfile" in self.options


@dataclass(frozen=True, slots=True, kw_only=True)
class Conf:
    """What a configuration says; ``payload_bytes`` is what the hub allows a message."""

    file: Path
    options: Mapping[str, str]
    listeners: Sequence[Listener]
    payload_bytes: int

    def number(self, name: str, usual: int) -> int:
        """Return a number, or mosquitto's own default."""
        text = self.options.get(name, "")
        return int(text) if text.lstrip("-").isdigit() else usual

    def says(self, name: str, *, usual: bool) -> bool:
        """Return a truth, or mosquitto's own default."""
        return self.options.get(name, str(usual)).lower() == "true"

    def each(self, name: str) -> list[str | None]:
        """Return an option of every listener; what stands outside all of them counts where it may."""
        outside = None if name in PER_LISTENER else self.options.get(name)
        return [listener.options.get(name, outside) for listener in self.listeners]


def read_conf(file: Path, payload_bytes: int) -> Conf:
    """Return what ``file`` and what it includes say; ConfigError ``mosquitto_conf_unreadable``."""
    options: dict[str, str] = {}
    own: list[tuple[int, str, dict[str, str]]] = []
    for name, value in _lines(file):
        if name in {"listener", "port"}:
            port, _, host = value.partition(" ")
            own.append((int(port) if port.isdigit() else 0, host.strip(), {}))
        elif own and (name in PER_LISTENER or (name in SOMETIMES_PER_LISTENER and _is_split(options))):
            own[-1][2][name] = value
        else:
            options[name] = value
    listeners = [Listener(port=port, host=host, options=each) for port, host, each in own]
    if not listeners:  # without one it listens on loopback only
        inherited = {name: options[name] for name in PER_LISTENER & options.keys()}
        listeners = [Listener(port=1883, host="127.0.0.1", options=inherited)]
    return Conf(file=file, options=options, listeners=listeners, payload_bytes=payload_bytes)


def _is_split(options: Mapping[str, str]) -> bool:
    return options.get("per_listener_settings", "false").lower() == "true"


def _lines(file: Path) -> Iterator[tuple[str, str]]:
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        hint = "read it as root, or name another: --mosquitto-conf"
        raise ConfigError("mosquitto_conf_unreadable", str(error.strerror), file=str(file), hint=hint) from error
    for line in text.splitlines():
        name, _, value = line.strip().partition(" ")
        if name == "include_dir":
            for included in sorted(Path(value.strip()).glob("*.conf")):
                yield from _lines(included)
        elif name and not name.startswith("#"):
            yield name, value.strip()


async def look(scene: Scene) -> Conf:
    """Read the file that is known or named; ConfigError ``mosquitto_conf_unknown``."""
    if scene.mosquitto_conf is None:
        hint = "name it: hub doctor --mosquitto-conf /etc/mosquitto/mosquitto.conf"
        raise ConfigError("mosquitto_conf_unknown", "nobody said where it is", hint=hint)
    return read_conf(scene.mosquitto_conf, scene.settings.limits.payload)


# ------------------------------------------------------------------------------------------------------- judgements


def known(conf: Conf) -> Verdict:
    """Whether it could be read."""
    return good(conf.file)


def queue_messages(conf: Conf) -> Verdict:
    """Whether messages that the hub has not taken are kept, however many there are."""
    limit = conf.number("max_queued_messages", 1_000)
    found = f"max_queued_messages {limit}"
    return bad(f"{found}{'' if 'max_queued_messages' in conf.options else ' (default)'}") if limit else good(found)


def queue_bytes(conf: Conf) -> Verdict:
    """Whether the queue is bounded, and not too early."""
    limit = conf.number("max_queued_bytes", 0)
    if limit == 0:
        return weak("max_queued_bytes 0: until the memory is full")
    found = f"max_queued_bytes {limit}"
    return good(found) if limit >= ENOUGH_QUEUE_BYTES else bad(found)


def inflight(conf: Conf) -> Verdict:
    """Whether expired messages at the head of a queue can block those behind them (mosquitto before 2.0.15, #2609)."""
    limit = conf.number("max_inflight_messages", 20)
    return weak(f"max_inflight_messages {limit}") if limit else good("max_inflight_messages 0")


def persistence(conf: Conf) -> Verdict:
    """Whether queues and sessions are on disk at all."""
    says = conf.says("persistence", usual=False)
    return good("persistence true") if says else bad("persistence false")


def autosave(conf: Conf) -> Verdict:
    """Whether what is queued is saved soon enough."""
    interval, on_changes = conf.number("autosave_interval", 1_800), conf.says("autosave_on_changes", usual=False)
    found = f"autosave_interval {interval}{' changes' if on_changes else ' s'}"
    if interval == 0:
        return bad(f"{found}: only when it ends in good order")
    return good(found) if interval <= (AUTOSAVE_CHANGES if on_changes else 1) else bad(found)


def client_expiration(conf: Conf) -> Verdict:
    """Whether a hub that is down for long finds its session again."""
    span = conf.options.get("persistent_client_expiration")
    return good("no persistent_client_expiration") if span is None else bad(f"persistent_client_expiration {span}")


def anonymous(conf: Conf) -> Verdict:
    """Whether everybody may speak without a name; mosquitto 2 says no by itself once a listener is named."""
    found = [str(value).lower() == "true" for value in conf.each("allow_anonymous")]
    return bad("allow_anonymous true") if any(found) else good("allow_anonymous false")


def client_ids(conf: Conf) -> Verdict:
    """Whether a device can take another's session away, on any listener."""
    open_to_theft = [
        str(listener.port)
        for listener, value in zip(conf.listeners, conf.each("use_username_as_clientid"), strict=True)
        if (value or "").lower() != "true"
    ]
    if open_to_theft:
        return bad(f"use_username_as_clientid is not set for listener {', '.join(open_to_theft)}")
    return good("use_username_as_clientid true")


def access(conf: Conf) -> Verdict:
    """Whether there are rules about who may speak for whom."""
    kinds = ("acl_file", "plugin", "auth_plugin")
    naked = [
        str(listener.port)
        for listener, *found in zip(conf.listeners, *(conf.each(kind) for kind in kinds), strict=True)
        if not any(found)
    ]
    return bad(f"no acl_file and no plugin for listener {', '.join(naked)}") if naked else good("acl_file or plugin")


def plain_text(conf: Conf) -> Verdict:
    """Whether secrets cross a network in the clear."""
    found = [str(listener.port) for listener in conf.listeners if listener.is_open and not listener.has_tls]
    return (
        weak(f"listener {', '.join(found)} without TLS, beyond this machine")
        if found
        else good("TLS, or loopback only")
    )


def packet_size(conf: Conf) -> Verdict:
    """Whether what the hub allows gets through."""
    limits = {
        name: limit
        for name, room in (("max_packet_size", TOPIC_BYTES), ("message_size_limit", 0))
        if 0 < (limit := conf.number(name, 0)) < conf.payload_bytes + room
    }
    if limits:
        return bad(", ".join(f"{name} {limit}, the hub takes {conf.payload_bytes}" for name, limit in limits.items()))
    if conf.number("max_packet_size", 0) or conf.number("message_size_limit", 0):
        return good("a limit above the hub's own")
    return weak("no limit: one message may be 256 MB")


def memory(conf: Conf) -> Verdict:
    """Whether mosquitto refuses messages for its own memory's sake."""
    limit = conf.number("memory_limit", 0)
    return bad(f"memory_limit {limit}") if limit else good("no memory_limit")


def quality(conf: Conf) -> Verdict:
    """Whether devices can speak with QoS 1 and leave a last will."""
    found = [f"max_qos {value}" for value in conf.each("max_qos") if value == "0"]
    if not conf.says("retain_available", usual=True):
        found.append("retain_available false")
    return bad(", ".join(found)) if found else good("QoS 1 and retained messages")


def connections(conf: Conf) -> Verdict:
    """Whether there is room for every device; nobody knows how many there will be."""
    limits = [
        value
        for value in (*conf.each("max_connections"), conf.options.get("max_connections"))
        if value not in {None, "-1"}
    ]
    return weak(f"max_connections {', '.join(map(str, limits))}") if limits else good("no limit")


def statistics(conf: Conf) -> Verdict:
    """Whether mosquitto says what it throws away."""
    seconds = conf.number("sys_interval", 10)
    return good(f"sys_interval {seconds}") if seconds else bad("sys_interval 0: what it drops it tells nobody")
