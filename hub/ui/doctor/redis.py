"""What a Redis or Valkey says of itself, and what in it forgets."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit, urlunsplit

from hub.errors import UnavailableError
from hub.sinks.redis_check import unsafe_settings
from hub.sinks.redis_link import Answer, Link, RedisAddress, pairs, rows
from hub.ui.doctor.findings import Scene, Verdict, bad, good, unseen, weak

NEARLY_FULL = 0.8
OLDEST = (6, 2)
CLOCKS_DIFFER_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """INFO, CONFIG GET (empty where that is forbidden), the text of its own file where we can read it.

    ``opens_to_all``: it answers without a password. ``clock_seconds``: how far its clock is before ours.
    """

    address: str
    info: Mapping[str, str]
    config: Mapping[str, str]
    file_text: str | None
    opens_to_all: bool
    clock_seconds: float
    raw_info: str


async def look(scene: Scene) -> Seen:
    """Ask the server of the settings; UnavailableError when it does not answer."""
    url = scene.settings.redis.url.get_secret_value()
    async with Link(RedisAddress(url=url)) as link:
        text = cast("bytes", await link.ask("INFO", "everything")).decode(errors="replace")
        info = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
        config: dict[str, str] = {}
        with suppress(UnavailableError):
            found = pairs(await link.ask("CONFIG", "GET", "*"))
            config = {name.decode(): value.decode(errors="replace") for name, value in found.items()}
        seconds, microseconds = (int(cast("bytes", part)) for part in rows(await link.ask("TIME")))
        ours = scene.clock.wall_ns() / 1e9
    parts = urlsplit(url)
    return Seen(
        address=f"{parts.hostname or parts.path}:{parts.port or ''}".rstrip(":"),
        info=info,
        config=config,
        file_text=text_of(info.get("config_file", ""), parts.hostname),
        opens_to_all=await _opens_to_all(url),
        clock_seconds=seconds + microseconds / 1e6 - ours,
        raw_info=text,
    )


def text_of(path: str, host: str | None) -> str | None:
    """Return what stands in a server's own file; None of a server elsewhere: a file of that name here is another's."""
    if host is not None and not _is_loopback(host):
        return None
    with suppress(OSError):
        return Path(path).read_text(encoding="utf-8", errors="replace") if path else None
    return None


async def _opens_to_all(url: str) -> bool:
    parts = urlsplit(url)
    bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    try:
        async with Link(RedisAddress(url=bare)) as link:
            answer: Answer = await link.ask("PING")
    except UnavailableError:
        return False
    return answer == b"PONG"


# ------------------------------------------------------------------------------------------------------- judgements


def reachable(seen: Seen) -> Verdict:
    """Whether it answers."""
    return good(seen.address)


def _fact(seen: Seen, name: str, code: str) -> Verdict:
    found = f"{name} {seen.info.get(name, 'is not told')}"
    wrong = {error.code for error in unsafe_settings(seen.raw_info)}
    return bad(found) if code in wrong else good(found)


def append_only(seen: Seen) -> Verdict:
    """Whether every write goes to a file, or only to a picture taken now and then."""
    verdict = _fact(seen, "aof_enabled", "redis_not_append_only")
    has_rdb = bool(seen.config.get("save", ""))
    return bad("appendonly no, RDB only") if verdict.grade == bad("").grade and has_rdb else verdict


def eviction(seen: Seen) -> Verdict:
    """Whether it throws keys away when memory is short."""
    return _fact(seen, "maxmemory_policy", "redis_evicts")


def cluster(seen: Seen) -> Verdict:
    """Whether keys of one transaction may lie on two machines."""
    return _fact(seen, "cluster_enabled", "redis_is_cluster")


def role(seen: Seen) -> Verdict:
    """Whether it is the primary."""
    return _fact(seen, "role", "redis_is_replica")


def evicted(seen: Seen) -> Verdict:
    """Whether it has thrown keys away already."""
    count = int(seen.info.get("evicted_keys", 0))
    return bad(f"{count} keys since it began") if count else good("none since it began")


def fsync(seen: Seen) -> Verdict:
    """How late a write is on disk."""
    policy = seen.config.get("appendfsync")
    match policy:
        case None:
            return unseen("CONFIG GET is forbidden")
        case "always":
            slack = seen.config.get("no-appendfsync-on-rewrite") == "yes"
            return weak("always, but not while the file is rewritten") if slack else good("always")
        case "everysec":
            return weak("everysec: a power cut loses up to 2 s")
        case _:
            return bad(policy)


def writes(seen: Seen) -> Verdict:
    """Whether the last writes to its files went well."""
    names = ("aof_last_write_status", "aof_last_bgrewrite_status")
    failed = [f"{name} {seen.info[name]}" for name in names if seen.info.get(name, "ok") != "ok"]
    return bad(", ".join(failed)) if failed else good("ok")


def file_agrees(seen: Seen) -> Verdict:
    """Whether a restart would undo what was set while it ran."""
    if not seen.info.get("config_file"):
        return good("no file: all of it stands on its command line")
    if seen.file_text is None:
        return unseen(f"{seen.info['config_file']} is not readable from here")
    said = dict(re.findall(r"(?m)^\s*(appendonly|maxmemory-policy|appendfsync)\s+\"?([\w-]+)", seen.file_text))
    usual = {"appendonly": "no", "maxmemory-policy": "noeviction", "appendfsync": "everysec"}
    differ = [
        f"{name} {now} now, {said.get(name, usual[name])} after a restart"
        for name in usual
        if (now := seen.config.get(name)) is not None and now != said.get(name, usual[name])
    ]
    return bad("; ".join(differ)) if differ else good(seen.info["config_file"])


def memory(seen: Seen) -> Verdict:
    """Whether it is about to refuse writes."""
    used, limit = int(seen.info.get("used_memory", 0)), int(seen.info.get("maxmemory", 0))
    if not limit:
        return good(f"{used / 2**20:.0f} MiB used, no limit")
    found = f"{used / 2**20:.0f} of {limit / 2**20:.0f} MiB used"
    return good(found) if used < NEARLY_FULL * limit else weak(found)


def version(seen: Seen) -> Verdict:
    """Whether it is still mended by anybody."""
    name = "valkey_version" if "valkey_version" in seen.info else "redis_version"
    text = seen.info.get(name, "")
    found = tuple(int(part) for part in text.split(".")[:2] if part.isdigit())
    return good(f"{name} {text}") if found >= OLDEST else weak(f"{name} {text}")


def password(seen: Seen) -> Verdict:
    """Whether everybody who reaches it may read and write."""
    if not seen.opens_to_all:
        return good("it asks for a password")
    bound = seen.config.get("bind", "").split()
    protected = seen.config.get("protected-mode") == "yes"
    if seen.config and (protected or (bound and all(_is_loopback(each) for each in bound))):
        return weak("no password, but only this machine reaches it")
    return bad("no password, and other machines may reach it")


def clocks(seen: Seen) -> Verdict:
    """Whether its clock agrees with ours: ids of entries and ages are its time."""
    found = f"{seen.clock_seconds:+.1f} s"
    return good(found) if abs(seen.clock_seconds) < CLOCKS_DIFFER_SECONDS else weak(found)


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.lstrip("-")).is_loopback
    except ValueError:
        return address == "localhost"
