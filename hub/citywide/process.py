"""The process `hub city run`: what it opens, its tasks, and the way down."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AsyncExitStack
from typing import Self

import structlog

from hub.city.chart import CityChart, position_of
from hub.city.judging import Terms
from hub.city.rule import CityRule
from hub.citywide.history import Historian
from hub.citywide.keeping import CITY, Keeper, claim_of
from hub.citywide.rules import read_at_start
from hub.citywide.watch import Watch
from hub.clock import Clock
from hub.config.settings import Settings
from hub.durations import nanoseconds
from hub.errors import ConfigError, UnavailableError
from hub.journal.files import Lock
from hub.parts import make_store
from hub.registry.registry import REGISTRY_ANSWER_SECONDS, Registry
from hub.revisions.pseudonym_key import key_of
from hub.sinks.ownership import ASK_SECONDS, Ownership
from hub.sinks.redis_link import ANSWER_SECONDS, Link, RedisAddress

POLL_SECONDS = 5.0

log = structlog.get_logger(__name__)


class CityProcess:
    """One city at work. Open it with ``async with``, then ``run`` until ``stop``; its parts are public to be shown.

    Opening takes the lock of its directory, reads rules and registry, and claims the city: a ConfigError comes before
    anything was changed, when another city engine of these streams runs. ``refused``: why it judges by the rules that
    it had, "" when it has those of the files.
    """

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.settings = settings
        self.directory = settings.data_dir / CITY
        self.rules: dict[str, CityRule] = {}
        self.refused = ""
        self.unplaced: tuple[str, ...] = ()
        self.address = RedisAddress(url=settings.redis.url.get_secret_value())
        self._clock = clock
        self._revision = -1
        self._stop = asyncio.Event()
        self._opened = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            stack.enter_context(Lock(self.directory))
            self.rules, self.refused = read_at_start(self.settings, self.directory)
            registry = Registry(self.settings.registry_url(), answer_seconds=REGISTRY_ANSWER_SECONDS)
            self._registry = await stack.enter_async_context(registry)
            store = await stack.enter_async_context(make_store(self.settings, self._clock))
            claim = claim_of(socket.gethostname(), self.directory.absolute())
            self.ownership = Ownership(self._link(stack, ASK_SECONDS), self._clock, claim)
            await self.ownership.claim()
            self.keeper = Keeper(self._link(stack), self.ownership, self._clock)
            self.watch = Watch(self.rules, self._terms(), self._link(stack), self.keeper, self._clock)
            self.historian = Historian(self._link(stack), store, self._clock)
            await self._read_places()
            self._opened = stack.pop_all()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._opened.aclose()

    def _link(self, stack: AsyncExitStack, answer_seconds: float = ANSWER_SECONDS) -> Link:
        link = Link(self.address, answer_seconds=answer_seconds)
        stack.push_async_callback(link.close)
        return link

    def _terms(self) -> Terms:
        city = self.settings.city
        remember = max([city.remember, *(rule.reach for rule in self.rules.values())])
        key = key_of(city.secret.get_secret_value(), self.settings.data_dir)
        return Terms(key=key, settle_ns=nanoseconds(city.settle), remember_ns=nanoseconds(remember))

    async def run(self) -> None:
        """Work until ``stop``; errors of a task end it at once."""
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self.watch.run(), name="hub.city.watch"),
                group.create_task(self.historian.run(), name="hub.city.history"),
                group.create_task(self.ownership.run(), name="hub.city.ownership"),
                group.create_task(self._poll_registry(), name="hub.city.registry"),
            ]
            await self._stop.wait()
            for task in tasks:
                task.cancel()

    def stop(self) -> None:
        """Ask ``run`` to end: what is not kept yet is judged again, to the same events, by the next one."""
        self._stop.set()

    async def _poll_registry(self) -> None:
        while True:
            await self._clock.sleep(POLL_SECONDS)
            try:
                if await self._registry.revision() != self._revision:
                    await self._read_places()
            except (ConfigError, UnavailableError) as error:
                log.warning("places_unread", reason=str(error))

    async def _read_places(self) -> None:
        """Judge by what the registry now says of sites and places."""
        revision = await self._registry.revision()
        sites, places = await self._registry.sites(), await self._registry.places()
        located = {site.id: position_of(site.facts) for site in sites}
        labels = {(site.id, site.id): site.label for site in sites} | {(one.site, one.id): one.label for one in places}
        chart = CityChart(
            sites={site: position for site, position in located.items() if position is not None},
            labels=labels,
            stands={(device.site, device.id): device.place for device in await self._registry.devices()},
        )
        self.watch.look_at(chart)
        self._revision = revision
        unplaced = tuple(sorted(site for site, position in located.items() if position is None))
        if unplaced != self.unplaced:
            hint = "hub sites locate SITE LONGITUDE LATITUDE"
            log.warning("sites_without_location", sites=unplaced, hint=hint) if unplaced else None
        self.unplaced = unplaced
