"""The systemd units of an installation: the hub, the servers that are its own, and what may work beside it."""

from __future__ import annotations

import shlex
from pathlib import Path

from hub.ui.installing.choices import Choices, RedisChoice, found_executable, hub_command

HUB, MOSQUITTO, REDIS = "hub.service", "hub-mosquitto.service", "hub-redis.service"
NOTIFY, FORWARD, CITY = "hub-notify.service", "hub-forward@.service", "hub-city.service"


def own_units(choices: Choices) -> list[str]:
    """Return the names of the units that every installation needs, servers first."""
    return [MOSQUITTO, *([REDIS] if choices.redis is RedisChoice.SERVER else []), HUB]


def units(directory: Path, choices: Choices) -> dict[str, str]:
    """Return the text of each unit by its name."""
    servers = [name for name in own_units(choices) if name != HUB]
    found = {HUB: _hub(directory, choices, servers), MOSQUITTO: _mosquitto(directory, choices)}
    if choices.redis is RedisChoice.SERVER:
        found[REDIS] = _redis(directory, choices)
    return found | {
        NOTIFY: _beside(directory, choices, "Messages of the hub to people", "notify run", ""),
        FORWARD: _beside(directory, choices, "Events of the hub to %i", "events forward %i", _UNWANTED),
        CITY: _beside(directory, choices, "What crosses the sites of the hub", "city run", ""),
    }


_UNWANTED = """\
# Exit 2 is for a person: the receiver said that it wants nothing more (410), or a setting is wrong.
RestartPreventExitStatus=2
"""


def _beside(directory: Path, choices: Choices, what: str, command: str, more: str) -> str:
    """Return the unit of a process that reads the streams: it waits for Redis by itself, however long."""
    redis = [REDIS] if choices.redis is RedisChoice.SERVER else []
    return f"""\
[Unit]
Description={what}
Documentation=file://{directory}/README.md
Wants=network-online.target {" ".join(redis)}
After=network-online.target time-sync.target {" ".join([*redis, HUB])}
StartLimitIntervalSec=0

[Service]
ExecStart={_hub_words()} --config {directory}/hub.toml {command}
WorkingDirectory={directory}
# What it has read and sent is on disk: it may be ended at any moment.
Restart=always
RestartSec=5
{more}TimeoutStopSec=30
{_walls(directory, choices)}
[Install]
WantedBy=multi-user.target
"""


def _hub(directory: Path, choices: Choices, servers: list[str]) -> str:
    return f"""\
[Unit]
Description=Hub of partition {choices.partition}
Documentation=file://{directory}/README.md
Wants=network-online.target {" ".join(servers)}
After=network-online.target time-sync.target {" ".join(servers)}
StartLimitIntervalSec=0

[Service]
ExecStart={_hub_words()} --config {directory}/hub.toml run
WorkingDirectory={directory}
# What was heard is on disk: it may be ended at any moment, and is to come back whatever ended it.
Restart=always
RestartSec=2
# Also when it hangs: it says every 40 s that it does not.
WatchdogSec=120
NotifyAccess=main
# It ends its workers and its Valkey itself, each when it is due; a second SIGTERM would end them the hard way.
KillMode=mixed
TimeoutStopSec=60
LimitNOFILE=65536
{_walls(directory, choices)}
[Install]
WantedBy=multi-user.target
"""


def _mosquitto(directory: Path, choices: Choices) -> str:
    return f"""\
[Unit]
Description=mosquitto of the hub
Documentation=file://{directory}/README.md
After=network-online.target
# The distribution's own listens on the same port, and knows nothing of our devices.
Conflicts=mosquitto.service
StartLimitIntervalSec=0

[Service]
ExecStart={found_executable("mosquitto") or "/usr/sbin/mosquitto"} -c {directory}/broker/mosquitto.conf
ExecReload=/bin/kill -HUP $MAINPID
Restart=always
RestartSec=1
LimitNOFILE=65536
{_walls(directory, choices)}
[Install]
WantedBy=multi-user.target
"""


def _redis(directory: Path, choices: Choices) -> str:
    return f"""\
[Unit]
Description=Redis of the hub
Documentation=file://{directory}/README.md
StartLimitIntervalSec=0

[Service]
ExecStart={found_executable("redis-server") or "/usr/bin/redis-server"} {directory}/redis/redis.conf
# With every write on disk it leaves when the disk is full, and comes back with all that it acknowledged.
Restart=always
RestartSec=1
LimitNOFILE=65536
{_walls(directory, choices)}
[Install]
WantedBy=multi-user.target
"""


def _hub_words() -> str:
    """Return the command of the hub as systemd takes it, wherever people have put it."""
    words = [word if shlex.quote(word) == word else f'"{word}"' for word in hub_command()]
    return " ".join(words).replace("%", "%%")


def _walls(directory: Path, choices: Choices) -> str:
    """Return what a unit may not touch: everything but the installation."""
    return f"""\
User={choices.account}
UMask=0077
NoNewPrivileges=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectSystem=strict
ReadWritePaths={directory}
# Nothing of ours is the machine's: neither clock, name, kernel nor other people's processes.
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
MemoryDenyWriteExecute=yes
{_POWERLESS if choices.account != "root" else ""}"""


_POWERLESS = """\
CapabilityBoundingSet=
RemoveIPC=yes
"""
