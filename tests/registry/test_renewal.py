"""The broker's own certificate in the course of years: renewed by a hub that nobody touches, and shown by mosquitto."""

from __future__ import annotations

import asyncio
import shutil
import ssl
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from typing_extensions import override

from hub.clock import SystemClock
from hub.keeping import mosquitto
from hub.registry.brokers.broker import Drift
from hub.registry.certificates import SERVER_LIFE, Authority
from tests.servers.kept import KeptBroker
from tests.waiting import wait_until

NEARLY_OVER = SERVER_LIFE - timedelta(days=30)


class YearsClock(SystemClock):
    """The time of this machine, and years that pass in between."""

    def __init__(self) -> None:
        self._passed_ns = 0

    @override
    def wall_ns(self) -> int:
        return super().wall_ns() + self._passed_ns

    @override
    def monotonic_ns(self) -> int:
        return super().monotonic_ns() + self._passed_ns

    def let_pass(self, time: timedelta) -> None:
        """Let ``time`` pass on both clocks."""
        self._passed_ns += time // timedelta(microseconds=1) * 1_000


@pytest.fixture
def years() -> YearsClock:
    return YearsClock()


@pytest.fixture
async def broker(tmp_path: Path, years: YearsClock) -> AsyncIterator[KeptBroker]:
    async with KeptBroker(tmp_path, years, tls=True) as broker:
        yield broker


async def shown(broker: KeptBroker) -> str:
    """Return the certificate that devices see."""
    reader, writer = await asyncio.open_connection("127.0.0.1", _tls_port(broker), ssl=broker.trust())
    seen = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    await reader.read()
    return ssl.DER_cert_to_PEM_cert(seen)


async def test_a_hub_that_nobody_touches_for_years_renews_it_and_cuts_no_session(
    broker: KeptBroker, years: YearsClock
) -> None:
    """It was looked at where logins change only: every device of a quiet installation was kept out after 825 days."""
    async with asyncio.TaskGroup() as group:
        keeping = group.create_task(broker.keeper.run(years))
        await wait_until(lambda: "spy" not in (broker.broker.directory / "passwords").read_text("utf-8"))
        old = await shown(broker)
        async with broker.client("s1/gate-1", port=_tls_port(broker), tls_context=broker.trust()) as device:
            years.let_pass(NEARLY_OVER)
            await wait_until(lambda: _is_renewed(broker, old))
            await device.publish("hub/s1/gate-1/telemetry", b"still here", qos=1)
        assert await broker.is_welcome("s1/gate-2", port=_tls_port(broker), tls_context=broker.trust())
        keeping.cancel()


async def test_whoever_only_asks_what_differs_renews_nothing(broker: KeptBroker, years: YearsClock) -> None:
    """`hub broker plan` made a new pair, of which no mosquitto was told, and called nothing different."""
    wanted, file = await broker.keeper.settled(), broker.broker.directory / "server.crt"
    await broker.broker.apply(wanted)
    years.let_pass(NEARLY_OVER)
    before = file.read_bytes()
    assert (await broker.broker.drift(wanted), file.read_bytes()) == (Drift(files=("server.crt",)), before)
    assert (await broker.broker.apply(wanted)).files == ("server.crt",)
    assert not await broker.broker.drift(wanted)
    assert await shown(broker) == file.read_text("ascii") != before.decode()


async def test_one_that_mosquitto_was_not_told_of_is_found_and_told(broker: KeptBroker) -> None:
    """A hub that is killed between the file and the word, or somebody's own certificate that was renewed."""
    wanted, directory = await broker.keeper.settled(), broker.broker.directory
    await broker.broker.apply(wanted)
    (directory / "server.crt").unlink()
    certificate, _ = broker.authority.serve(directory, broker.settings.broker.names)
    assert await broker.broker.drift(wanted) == Drift(is_stale=True)
    await broker.broker.apply(wanted)
    assert await shown(broker) == certificate.read_text("ascii")
    assert not await broker.broker.drift(wanted)


async def test_mosquitto_is_not_told_of_a_certificate_whose_key_is_not_there_yet(
    broker: KeptBroker, tmp_path: Path
) -> None:
    """Somebody's own pair is two files, and mosquitto shows none any more once it has read two that do not fit."""
    directory, names = broker.broker.directory, broker.settings.broker.names
    pair = {"cert_file": directory / "server.crt", "key_file": directory / "server.key"}
    own = broker.settings.broker.model_copy(update=pair)
    theirs = mosquitto(broker.settings.model_copy(update={"broker": own}), broker.clock)
    wanted = await broker.keeper.settled()
    await theirs.apply(wanted)
    certificate, key = Authority(tmp_path / "other", broker.clock).serve(tmp_path / "new", names)
    shutil.copy(certificate, directory / "server.crt")
    assert not await theirs.drift(wanted)
    shutil.copy(key, directory / "server.key")
    assert await theirs.drift(wanted) == Drift(is_stale=True)


def _tls_port(broker: KeptBroker) -> int:
    return broker.settings.broker.tls_port or 0


async def _is_renewed(broker: KeptBroker, old: str) -> bool:
    return await shown(broker) != old
