"""What every command of the CLI has at hand: settings, connections, options that are more than text."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import orjson
import typer

from hub.clock import SystemClock
from hub.config.ports import check_broker
from hub.config.settings import DEFAULT_FILE, Settings, read_settings, settings_file
from hub.durations import nanoseconds, read_duration, read_seconds
from hub.errors import ConfigError
from hub.partitions import partitions_of, settings_of
from hub.sinks.redis_link import Link, RedisAddress
from hub.ui.installing.belonging import hand_over

if TYPE_CHECKING:
    from hub.registry.registry import Registry

EXIT_FAILED = 1
"""Not now, or it did not add up; main.py knows all that a command may leave with."""
MOST_ROWS = 2**31
"""More than anybody can read; no database takes a number without an end."""
SHORTEST_LIFE = timedelta(seconds=1)

T = TypeVar("T")
_DECIMAL = re.compile(r"-?\d+\.\d+")
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document (one a line when following).")]


@dataclass(frozen=True)
class Desk:
    """The settings are read when a command first wants them, so that ``--help`` needs none.

    ``partition`` is the one that was asked for, ``words`` are the global options as they were typed.
    """

    config: Path | None = None
    actor: str = ""
    partition: str = ""
    words: Sequence[str] = ()

    @cached_property
    def settings(self) -> Settings:
        """The settings, of the partition that was asked for or else of the first; ConfigError names what is wrong.

        For what all partitions share: Redis, registry, store. Whoever wants files or an answer of one takes ``here``.
        """
        settings = read_settings(self.config)
        check_broker(settings)
        return settings_of(settings, self.partition) if self.partition else settings

    @property
    def here(self) -> Settings:
        """The settings of the one partition that is meant; ConfigError ``partition_needed`` when there are several."""
        names = partitions_of(self.settings)
        if len(names) > 1:
            hint = f"hub --partition {names[0]} …, or name a site where the command takes one"
            raise ConfigError("partition_needed", f"which one of {', '.join(names)}?", hint=hint)
        return self.settings

    def each(self) -> list[Desk]:
        """Return a desk for every partition that is meant: the one that was asked for, or all."""
        return [self.at(partition) for partition in partitions_of(self.settings)]

    def at(self, partition: str) -> Desk:
        """Return the desk of a partition of this machine; ConfigError ``partition_unknown``."""
        return replace(self, partition=partition)

    def leave(self) -> None:
        """Give what root has made in an installation to the account that it belongs to."""
        if "settings" in vars(self):
            given = self.settings
            folders = (given.data_dir, given.broker.directory, given.redis.child_dir, given.notify.dir)
            hand_over(folder for folder in (*folders, given.profiles_dir, given.rules_dir) if folder is not None)

    @property
    def settings_file(self) -> Path | None:
        """The file of the settings, where there is one."""
        return settings_file(self.config)

    @cached_property
    def clock(self) -> SystemClock:
        """The time."""
        return SystemClock()

    def redis(self) -> Link:
        """Return a connection to the hub's Redis, to be opened with ``async with``."""
        return Link(RedisAddress(url=self._installed().redis.url.get_secret_value()))

    def registry(self, *, begins: bool = False) -> Registry:
        """Return the registry, to be opened with ``async with``; the audit says who changes it, and for whom.

        Nobody makes one by asking it: an installation that was moved, or whose disk is not there, would have no sites.
        With what ``begins`` it there may be none yet.
        """
        from hub.registry.registry import Registry  # noqa: PLC0415 -- SQLAlchemy takes its time, and --help needs none

        url = self._installed().registry_url()
        return Registry(url, actor=self.actor, clock=self.clock, must_exist=not begins)

    def _installed(self) -> Settings:
        """Return the settings; ConfigError ``no_installation`` where nobody said any, and no hub has worked.

        Their defaults would answer: by another Redis, in which there are no alarms, and a registry made on the spot.
        """
        settings = self.settings
        is_said = self.settings_file is not None or any(each.origin != "default" for each in settings.provenance())
        if not is_said and not (settings.data_dir / "registry.sqlite").exists():
            hint = "go to the directory that `hub init` made, or name its settings: hub --config FILE, or HUB_CONFIG"
            raise ConfigError("no_installation", f"there is no {DEFAULT_FILE} in {Path.cwd()}", hint=hint)
        return settings

    def in_registry(self, work: Callable[[Registry], Awaitable[T]], *, begins: bool = False) -> T:
        """Open the registry, do ``work`` there, which may be what ``begins`` it, and return what came of it."""

        async def done() -> T:
            async with self.registry(begins=begins) as registry:
                return await work(registry)

        return asyncio.run(done())

    def ago(self, span: str | timedelta) -> int:
        """Return the wall-clock ns of ``span`` before now, not before 1970; ConfigError for what is no duration."""
        return max(0, self.clock.wall_ns() - nanoseconds(as_duration(span)))


def desk_of(context: typer.Context) -> Desk:
    """Return the desk that the global options made."""
    desk = context.find_object(Desk)
    return Desk() if desk is None else desk


def as_duration(text: str | timedelta) -> timedelta:
    """Return what ``text`` says; ConfigError ``duration_invalid``."""
    try:
        return read_duration(text)
    except ValueError as error:
        raise ConfigError("duration_invalid", str(error)) from error


def as_life(text: str) -> timedelta:
    """Return how long what is simulated lasts, a plain number being seconds; ConfigError ``duration_invalid``."""
    try:
        life = read_seconds(text)
    except ValueError as error:
        raise ConfigError("duration_invalid", str(error), hint="a plain number is seconds") from error
    if life < SHORTEST_LIFE:
        raise ConfigError("duration_invalid", f"{text!r} is too short", hint="at least 1s")
    return life


def pairs_of(texts: Sequence[str]) -> dict[str, bool | int | float | str]:
    """Return ``k=v`` options as a mapping; true, false and numbers are what they look like.

    What would be another number is a text: the twenty digits of a camera (GB/T 28181) are more than 64 bits.
    """
    found: dict[str, bool | int | float | str] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not (name and sign):
            raise ConfigError("option_invalid", f"{text!r} is not name=value")
        found[name] = _scalar(value)
    return found


def _scalar(text: str) -> bool | int | float | str:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    is_itself = _DECIMAL.fullmatch(text) is not None if isinstance(value, float) else isinstance(value, (int, str))
    return value if is_itself else text
