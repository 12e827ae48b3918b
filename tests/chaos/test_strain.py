"""The gauge: a stall of Valkey and of our own loop is told."""

from __future__ import annotations

from pathlib import Path

from redis import Redis

from tests.chaos.strain import NOTED_MS, Gauge, waited_ms
from tests.servers.valkey import PASSWORD, ValkeyServer

BUSY = "for i = 1, 2e8 do end return 0"


async def test_a_stall_of_valkey_and_of_our_loop_is_told_and_what_came_before_is_not(tmp_path: Path) -> None:
    valkey = ValkeyServer(tmp_path, latency_monitor_threshold=str(NOTED_MS))
    valkey.start()
    try:
        gauge = Gauge(valkey)
        with Redis(port=valkey.port, password=PASSWORD) as impatient:
            async with gauge.measuring(), valkey.link():
                impatient.eval(BUSY, 0)  # whoever waits for it in this thread keeps our loop from turning
            strain = await gauge.read()
            async with gauge.measuring():
                pass
        again = await gauge.read()
    finally:
        valkey.kill()
    assert strain.valkey_ms >= NOTED_MS
    assert strain.ours_ms > 0
    assert strain.valkey_in == "command"
    assert str(strain).startswith(f"longest stall of Valkey {strain.valkey_ms} ms in command, of our proxies ")
    assert (again.valkey_ms, again.valkey_in) == (0, "")


async def test_of_a_valkey_that_is_dead_nothing_is_told(tmp_path: Path) -> None:
    gauge = Gauge(ValkeyServer(tmp_path))
    async with gauge.measuring():
        pass
    assert (await gauge.read()).valkey_ms == 0


def test_a_machine_that_counts_no_pressure_has_none() -> None:
    assert waited_ms("nothing of the sort") == 0
