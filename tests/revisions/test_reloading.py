"""What is read again while the judge lags: two changes in a row, of which the second takes the first back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import aiomqtt
import pytest
from msgspec.structs import replace

from hub.app import Hub
from hub.clock import SystemClock
from hub.errors import ConfigError
from hub.model.effects import Reply
from hub.model.records import Control, Record
from hub.registry.nouns import Device, Site
from hub.revisions.reloading import Reloading
from hub.sinks.control import Request, send_control
from tests.clocks import ManualClock
from tests.running import running, settings_of
from tests.servers.mosquitto import Mosquitto
from tests.servers.valkey import ValkeyServer
from tests.waiting import wait_until

RULE = """
rule: smoke-of-ours
label: {en: Smoke, zh: 烟雾}
for_each: smoke_sensor
when: status == 'alarm'
raise: {event: fire.smoke_of_ours, severity: high}
clear: {by: operator}
"""
OURS, NEWCOMER = "rule/smoke-of-ours", Device(site="garden", id="smoke-1", kind="smoke_sensor")


@contextmanager
def held(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let nothing be judged meanwhile: a long record before it, or a lag."""
    may_go, get = asyncio.Event(), hub.hearing.heard.get

    async def wait() -> list[Record]:
        heard = await get()
        await may_go.wait()
        return heard

    monkeypatch.setattr(hub.hearing.heard, "get", wait)
    try:
        yield
    finally:
        may_go.set()


async def test_what_was_changed_and_changed_back_while_the_judge_lagged_is_as_it_was(
    tmp_path: Path, mosquitto: Mosquitto, valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = tmp_path / "rules" / "ours.yaml"
    ours.parent.mkdir()
    ours.write_text(RULE, encoding="utf-8")
    settings = settings_of(tmp_path, mosquitto, valkey).model_copy(update={"rules_dir": ours.parent})
    hub = Hub(settings, SystemClock())

    async def is_noted() -> bool:
        return hub.comparing.revision == await hub.registry.revision()

    async def ask() -> Reply:
        request = Request(actor="li", verb="reload")
        async with valkey.link() as link:
            return await send_control(link, SystemClock(), "main", request, wait=timedelta(seconds=30))

    async with hub, running(hub), asyncio.TaskGroup() as group:
        await wait_until(lambda: hub.is_running and OURS in hub.engine.content.bodies())
        with held(hub, monkeypatch):
            ours.unlink()
            await hub.registry.add_site(Site(id="garden", zone="Asia/Shanghai"))
            await hub.registry.add_devices([NEWCOMER])
            first = group.create_task(ask())
            await wait_until(is_noted)
            ours.write_text(RULE, encoding="utf-8")
            await hub.registry.remove_device("garden", "smoke-1")
            second = group.create_task(ask())
            heard = hub.journal.last
            await wait_until(lambda: hub.hearing.heard.full() or hub.journal.last >= heard + 2)
            assert not await is_noted()  # it waits until there is something to compare with
        assert (await first).code == "reloaded"
        assert (await second).code == "reloaded"
        assert await is_noted()
        assert OURS in hub.engine.content.bodies()
        assert "device/garden/smoke-1" not in hub.engine.content.bodies()


async def test_what_files_are_refused_for_is_answered_and_the_next_request_is_done() -> None:
    clock, noted = ManualClock(), list[Control]()
    readings: list[Exception | dict[str, bytes]] = [ConfigError("bad_document"), {"rule/a": b"{}"}]

    def read() -> dict[str, bytes]:
        found = readings.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    async def revise(documents: dict[str, bytes]) -> int:
        return len(documents)

    async def name(control: Control) -> Control:
        return replace(control, args={"last": 7})

    reloading = Reloading(read, revise, name, noted.append, clock)
    for number in range(2):
        reloading.take(Control(f"{number}-0", str(number), "li", "reload", clock.wall_ns() + 1))
    reloading.take(Control("2-0", "2", "li", "retry", clock.wall_ns() + 1))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(reloading.run())
        await wait_until(lambda: len(noted) == 3)
        task.cancel()
    assert noted.pop().args == {"last": 7}
    refused = [str(control.args.get("refused", "")) for control in noted]
    assert ["[bad_document]" in refused[0], refused[1]] == [True, ""]
    assert noted[1].args == {"changed": 1}


async def test_what_waited_for_a_device_is_not_taken_twice_by_who_adds_it_and_asks_for_dead_letters_at_once(
    tmp_path: Path, mosquitto: Mosquitto, valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = Hub(settings_of(tmp_path, mosquitto, valkey), SystemClock())

    async def is_noted() -> bool:
        return hub.comparing.revision == await hub.registry.revision()

    async with hub, running(hub):
        await hub.registry.add_site(Site(id="garden", zone="Asia/Shanghai"))
        await wait_until(is_noted)
        async with aiomqtt.Client("127.0.0.1", mosquitto.port) as device:
            await device.publish("hub/garden/smoke-1/telemetry", b'{"values": {"status": "alarm"}}', qos=1)
        await wait_until(lambda: hub.state_file.dead_letter_bytes > 0)
        with held(hub, monkeypatch):
            await wait_until(lambda: hub.hearing.heard.qsize() > 1)
            await hub.registry.add_devices([NEWCOMER])
            await wait_until(is_noted)
            asked = Control("1-0", "r1", "li", "retry", SystemClock().wall_ns() + 60 * 10**9)
            hub._reloading.take(asked)  # noqa: SLF001 -- as the control stream hands it on
            for _ in range(9):  # whoever is named now was looked for in the file before this
                await hub.state_file.letters(lambda _: None)
        await wait_until(lambda: "r1" in hub.engine.state.answers.by_id)
        assert hub.engine.state.ledger.replayed == 1
