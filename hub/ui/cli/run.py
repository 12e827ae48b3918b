"""``hub run``: the long-running process, or one that keeps several of them."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from typing import Annotated
from urllib.parse import urlsplit

import structlog
import typer
from aiohttp import web

from hub.app import Hub
from hub.beginning import Step
from hub.clock import Clock
from hub.config.settings import RedisSettings, Settings
from hub.errors import ConfigError, HubError, StoppedError, ours
from hub.metrics import Metrics
from hub.partitions import partitions_of, settings_of, shares_of
from hub.services.keeping import kept
from hub.services.leash import hold_me
from hub.services.valkey import ValkeyService
from hub.services.watchdog import Heartbeat, calm_the_watchdog, heartbeat_of
from hub.services.workers import STOP_SECONDS, Workers
from hub.turns import Turns
from hub.ui.desk.desk import Desk, desk_of
from hub.ui.pages.http import pages_of, serve, serve_on
from hub.ui.pages.observing import Watch, observe
from hub.ui.pages.readiness import refused_for
from hub.ui.pages.workers import page_of, workers_for
from hub.ui.process.heap import give_back_what_is_large
from hub.ui.process.huge_pages import prefer_huge_pages
from hub.ui.process.open_files import raise_open_files
from hub.ui.process.preflight import refuse_toy_broker
from hub.ui.process.signals import on_signals
from hub.ui.sealing import Sealing

Serving = Callable[[web.Application], AbstractAsyncContextManager[None]]
"""How the pages of a hub are shown."""

log = structlog.get_logger(__name__)


def run(
    context: typer.Context,
    *,
    workers: Annotated[
        int | None, typer.Option(min=1, help="So many processes share the partitions; else the setting workers.")
    ] = None,
    serving: Annotated[list[str] | None, typer.Option("--serving", hidden=True)] = None,
    heartbeat: Annotated[str, typer.Option("--heartbeat", hidden=True)] = "",
) -> None:
    """Hear, journal, judge and deliver until SIGTERM or Ctrl-C; health and metrics at http.host:http.port.

    With more than one partition (the setting more_partitions) it starts workers, and starts those anew that die.
    """
    desk = desk_of(context)
    raise_open_files()
    if serving:
        hold_me(STOP_SECONDS)
        kept_by = heartbeat_of(heartbeat) if heartbeat else None
        _run_all(desk, [(settings, _inherited(int(fd))) for settings, fd in _places(desk, serving)], kept_by)
        return
    partitions = partitions_of(desk.settings)
    shares = shares_of(partitions, workers or min(desk.settings.workers, len(partitions)))
    if len(partitions) == 1:
        _run_all(desk, [(desk.settings, lambda pages: serve(pages, desk.settings.http))])
    elif code := asyncio.run(_supervise(desk, shares)):
        raise typer.Exit(code)


def _places(desk: Desk, serving: Sequence[str]) -> Iterator[tuple[Settings, str]]:
    """Yield the settings of each ``PARTITION:FD`` that a worker serves, and the socket for its pages."""
    redis = desk.settings.redis.model_copy(update={"child_dir": None})  # who keeps us keeps that, too
    for each in serving:
        partition, _, descriptor = each.rpartition(":")
        yield settings_of(desk.settings, partition).model_copy(update={"redis": redis}), descriptor


def _inherited(descriptor: int) -> Serving:
    return lambda pages: serve_on(pages, socket.socket(fileno=os.dup(descriptor)))


async def _supervise(desk: Desk, shares: Sequence[Sequence[str]]) -> int:
    calm_the_watchdog()
    with workers_for(shares, desk.words) as (all_of_them, places):
        workers = Workers(all_of_them, desk.clock)
        with on_signals(workers.stop):
            pages = serve(page_of(workers, places), desk.settings.http)
            async with pages, own_valkey(desk.settings.redis, desk.clock):
                return await workers.run()


def _run_all(desk: Desk, places: Sequence[tuple[Settings, Serving]], kept_by: Heartbeat | None = None) -> None:
    turns = Turns(desk.clock.monotonic_ns)
    hubs = [(Hub(settings, desk.clock), serving) for settings, serving in places]
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(turns)) as runner:
        runner.run(_work(desk, hubs, turns, kept_by))


async def _work(desk: Desk, hubs: Sequence[tuple[Hub, Serving]], turns: Turns, kept_by: Heartbeat | None) -> None:
    """Run the hub of every partition in this process, until none is left that a person need not mend first."""
    working, stopped = [hub for hub, _ in hubs], asyncio.Event()
    calm_the_watchdog(lambda: not any(hub.stages.hung for hub in working), kept_by)
    await refuse_toy_broker(hubs[0][0].settings.mqtt)

    def stop() -> None:
        stopped.set()
        for hub in working:
            hub.stop()

    async def run_beside_others(hub: Hub, serving: Serving) -> None:
        refused: HubError | None = None
        try:
            await _run(desk, hub, serving, turns, group)
        except* ConfigError as errors:
            working.remove(hub)
            if not working:
                raise
            refused = next(ours(errors))
        if refused is not None:
            await _show_refused(hub, serving, refused, stopped)

    with on_signals(stop):
        async with asyncio.TaskGroup() as group:
            for hub, serving in hubs:
                group.create_task(run_beside_others(hub, serving), name=f"hub.run.{hub.settings.partition}")


async def _show_refused(hub: Hub, serving: Serving, error: HubError, stopped: asyncio.Event) -> None:
    """Tell, until ``stopped``, why a partition does not work.

    It is not tried again: each start would hold the others up for seconds, and a file that somebody is putting back is
    not whole yet. Whoever has mended it begins its worker anew.
    """
    log.error("partition_refused", partition=hub.settings.partition, reason=str(error))
    async with serving(pages_of(Metrics(), lambda: [refused_for(error)])):
        await stopped.wait()


async def _run(desk: Desk, hub: Hub, serving: Serving, turns: Turns, group: asyncio.TaskGroup) -> None:
    if hub.settings.files_dir != hub.settings.data_dir:  # the first one says what it says when it is alone
        structlog.contextvars.bind_contextvars(partition=hub.settings.partition)
    ease_the_collector()
    give_back_what_is_large()
    metrics, sealing = Metrics(), None
    if hub.settings.retention.dossiers:
        sealing = Sealing([*desk.words, "--partition", hub.settings.partition], hub.clock)
    hub.pages = lambda: _pages(hub, serving(pages_of(metrics, Watch(hub, sealing).missing, lambda: hub.stages.hung)))
    with suppress(StoppedError):  # it was stopped while a long journal was applied again
        async with hub:
            observe(hub, metrics, turns, sealing)
            spare_the_collector()
            prefer_huge_pages()
            with nullcontext() if sealing is None else sealing.beside(group):
                await hub.run()


@asynccontextmanager
async def _pages(hub: Hub, served: AbstractAsyncContextManager[None]) -> AsyncIterator[None]:
    """Show the hub, first of all that it waits for its own Valkey, where it has one."""
    async with served:
        hub.beginning.at(Step.OWN_REDIS)
        async with own_valkey(hub.settings.redis, hub.clock):
            yield


@asynccontextmanager
async def own_valkey(redis: RedisSettings, clock: Clock) -> AsyncIterator[None]:
    """Keep the wheel's Valkey running where settings wish one; ConfigError ``redis_url_invalid``, ``port_in_use``."""
    directory = redis.child_dir
    if directory is None:
        yield
        return
    try:
        port = urlsplit(redis.url.get_secret_value()).port
    except ValueError:
        port = None
    if port is None:
        hint = "redis://:PASSWORD@127.0.0.1:6380/0, as `hub init` writes it"
        raise ConfigError("redis_url_invalid", "redis.child_dir needs a redis.url with a port", hint=hint)
    async with kept(lambda: ValkeyService(directory, port=port, clock=clock), clock):
        yield


def ease_the_collector() -> None:
    """Let the garbage collector look less often: what is loaded stays, and half of loading it was looking at it."""
    gc.set_threshold(50_000, 20, 100)


def spare_the_collector() -> None:
    """Take what was loaded out of the garbage collector's sight, and let it look at the young less often.

    The registry and compiled rules live as long as the process; walking them costs more than a batch is worth. Also
    once: the 700 objects of garbage among them (as many with 10,000 devices) would take 0.12 s of a start to find.
    """
    gc.freeze()
    ease_the_collector()
