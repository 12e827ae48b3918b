"""A city process that is killed again and again, while hubs go on writing: nothing lost, nothing doubled."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from pathlib import Path

from hub.citywide.keeping import read_standing
from hub.config.settings import Settings
from hub.sinks.redis_link import Link
from tests.citywide.rig import GARDEN, HARBOUR, NOWHERE, ids, register, settings_of, should_be_told, swipe, told, write
from tests.servers.pages import page
from tests.servers.valkey import ValkeyServer
from tests.ui.installation import environment, hub_command
from tests.waiting import PATIENCE_SECONDS, wait_until

PASSAGES = 2_000
KILLS = 6


class CityRun:
    """``hub city run`` with a configuration of its own; may be killed and started again."""

    def __init__(self, settings: Settings) -> None:
        self.kills = 0
        self._settings = settings
        self._config = settings.data_dir / "city.toml"
        self._config.write_text(
            f"""\
data_dir = "{settings.data_dir}"
redis.url = "{settings.redis.url.get_secret_value()}"
city.settle = "300ms"
city.http.port = {settings.city.http.port}
""",
            encoding="utf-8",
        )

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        with (self._settings.data_dir / "city.log").open("ab") as log:
            command = hub_command("--config", str(self._config), "city", "run")
            process = subprocess.Popen(command, stdout=log, stderr=log, env=environment())
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def page(self, path: str) -> tuple[int, str]:
        """Return status and text of a page; 0 while nothing listens."""
        status, body = page(self._settings.city.http.port, path)
        return status, body.decode()

    async def until_ready(self) -> None:
        """Wait until it watches."""
        await wait_until(lambda: self.page("/readyz")[0] == HTTPStatus.OK)


async def test_a_city_that_is_killed_anywhere_tells_each_event_once(tmp_path: Path, valkey: ValkeyServer) -> None:
    settings = settings_of(tmp_path / "data", valkey.url)
    await register(settings)
    run, chance = CityRun(settings), random.Random(7)  # noqa: S311 -- the same kills every time
    async with valkey.link() as link:
        with run.running():
            await run.until_ready()
        writing = asyncio.create_task(_write_passages(valkey.link(), chance))  # noqa: TID251 -- beside the process
        while not writing.done() or run.kills < KILLS:
            with run.running() as process:
                before = await _judged(link)
                await wait_until(partial(_has_judged, link, before + 1, writing))
                process.send_signal(signal.SIGKILL)
                process.wait()
                run.kills += 1
        await writing
        with run.running() as process:
            await wait_until(lambda: _has_judged(link, PASSAGES))
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE_SECONDS) == 0
        events = await told(link)
        assert await _judged(link) == PASSAGES
        assert max(Counter(ids(events)).values()) == 1
        assert sorted(ids(events)) == sorted(await should_be_told(link, settings))
        assert len(events) > PASSAGES / 20


async def _write_passages(link: Link, chance: random.Random) -> None:
    """Write swipes of a hundred cards at three sites."""
    async with link:
        for number in range(PASSAGES):
            site = chance.choice((GARDEN, GARDEN, GARDEN, HARBOUR, NOWHERE))
            await write(link, swipe(number, site, f"{chance.randrange(100):010d}"))
            await asyncio.sleep(0.005)  # noqa: TID251 -- hubs write at a pace


async def _judged(link: Link) -> int:
    return (await read_standing(link)).kept.counts.get("judged", 0)


async def _has_judged(link: Link, count: int, writing: asyncio.Task[None] | None = None) -> bool:
    return await _judged(link) >= count or (writing is not None and writing.done())
