"""``hub run``: the long-running process."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from urllib.parse import urlsplit

import typer

from hub.app import Hub
from hub.clock import Clock
from hub.config import RedisSettings
from hub.errors import ConfigError, StoppedError
from hub.metrics import Metrics
from hub.services.keeping import kept
from hub.services.valkey import ValkeyService
from hub.ui.cli.desk import Desk, desk_of
from hub.ui.http import application, serve
from hub.ui.huge_pages import collapse
from hub.ui.observing import Watch, observe
from hub.ui.preflight import refuse_toy_broker

HUGE_PAGES_AFTER_SECONDS = (0.0, 10.0)
"""What was loaded, and what the devices have said by then; a thread does it, 0.23 s for 86 MiB."""
SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run(context: typer.Context) -> None:
    """Hear, journal, judge and deliver until SIGTERM or Ctrl-C; health and metrics at http.host:http.port."""
    asyncio.run(_run(desk_of(context)))


async def _run(desk: Desk) -> None:
    settings = desk.settings
    await refuse_toy_broker(settings.mqtt)
    hub = Hub(settings, desk.clock)
    with on_signals(hub.stop):
        async with own_valkey(settings.redis, desk.clock):
            with suppress(StoppedError):  # it was stopped while a long journal was applied again
                await _work(hub)


async def _work(hub: Hub) -> None:
    async with hub:
        metrics = Metrics()
        observe(hub, metrics)
        spare_the_collector()
        prefer_huge_pages()
        async with serve(application(metrics, Watch(hub).vitals), hub.settings.http):
            await hub.run()


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


def spare_the_collector() -> None:
    """Take what was loaded out of the garbage collector's sight, and let it look at the young less often.

    The registry and compiled rules live as long as the process; walking them costs more than a batch is worth.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def prefer_huge_pages() -> None:
    """Move the memory onto huge pages at once, and once more when the hub has worked for a while."""
    loop = asyncio.get_running_loop()
    for seconds in HUGE_PAGES_AFTER_SECONDS:
        loop.call_later(seconds, loop.run_in_executor, None, collapse)


@contextmanager
def on_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Call ``stop`` at the first SIGINT or SIGTERM; a second one ends the process the hard way."""
    loop = asyncio.get_running_loop()

    def stop_once() -> None:
        for number in SIGNALS:
            loop.remove_signal_handler(number)
        stop()

    for number in SIGNALS:
        loop.add_signal_handler(number, stop_once)
    try:
        yield
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)
