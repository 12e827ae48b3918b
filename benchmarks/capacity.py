"""How much a hub takes: 25,000 a second for a minute beside its servers, and a backlog drained in bounded memory."""

from __future__ import annotations

import time
from pathlib import Path

from benchmarks.figures import Finding, Plan, Target
from benchmarks.hub_process import HubProcess, Setup, hub_on
from benchmarks.load import DELIVERY_SECONDS, Advance, Load, loaded
from benchmarks.stage import Stage, cpu_ns, memory_bytes, staged
from benchmarks.traffic import Traffic

CONNECTIONS = 8
MIB = 2**20
LAST_SECONDS = 5.0
"""A hub that keeps up has delivered everything so long after the last message."""
MOST_MIB = 400.0


async def top(directory: Path, plan: Plan, advance: Advance) -> list[Finding]:
    """Publish at the highest rate for a minute; what is counted is what is stored and streamed, a second."""
    count = plan.top_rate * plan.top_seconds
    async with loaded(directory, Setup(), plan.devices, warm_up=plan.warm_up) as load:
        before, began = _cpu(load.stage, load.hub), time.perf_counter()
        published = await load.publish(count, plan.top_rate, connections=CONNECTIONS)
        spoken = time.perf_counter()
        spent = {name: cpu - before[name] for name, cpu in _cpu(load.stage, load.hub).items()}
        await load.hub.until_delivered(seconds=DELIVERY_SECONDS)
        after, memory = time.perf_counter() - spoken, memory_bytes(load.hub.pid, "VmHWM")
        losses = await load.hub.stop()
    advance()
    cores = ", ".join(f"{name} {cpu / (spoken - began):.2f}" for name, cpu in spent.items())
    rate = count / (published.seconds + max(0.0, after - LAST_SECONDS))
    title = f"{plan.top_rate:,} a second offered for {plan.top_seconds} s"
    return [
        Finding(
            name=f"{title}: taken, stored and streamed", found=rate, unit="messages/s", lost=losses.total,
            target=Target(bound=plan.top_rate * 0.99, is_least=True), note=f"cores used: {cores}",
        ),
        Finding(name=f"{title}: delivered after the last message", found=after, unit="s"),
        Finding(
            name=f"{title}: PUBACK p99", found=published.puback_ms[1], unit="ms", note=f"p50 {published.puback_ms[0]}"
        ),
        Finding(name=f"{title}: peak memory of the hub", found=memory / MIB, unit="MiB"),
    ]  # fmt: skip


def _cpu(stage: Stage, hub: HubProcess) -> dict[str, float]:
    return {name: cpu_ns(pid) / 1e9 for name, pid in (("hub", hub.pid), *stage.pids())}


async def backlog(directory: Path, plan: Plan, advance: Advance) -> list[Finding]:
    """Publish to the session of a hub that is down; then let it drain what waits."""
    async with staged(directory) as stage, hub_on(stage, Traffic(plan.devices), Setup()) as hub:
        load = Load(stage, hub, plan.devices)
        await load.send(plan.warm_up)
        await hub.stop()
        hub.knows_events = False
        await load.publish(plan.backlog)
        began = time.perf_counter()
        await hub.start()
        await hub.until_delivered(seconds=DELIVERY_SECONDS)
        seconds, cpu = time.perf_counter() - began, cpu_ns(hub.pid) / 1e9
        memory = memory_bytes(hub.pid, "VmHWM")
        losses = await hub.stop()
    advance()
    title = f"backlog of {plan.backlog:,}"
    return [
        Finding(
            name=f"{title}: peak memory", found=memory / MIB, unit="MiB", target=Target(bound=MOST_MIB),
            lost=losses.total, note="start included",
        ),
        Finding(
            name=f"{title}: start to all delivered", found=seconds, unit="s", note=f"CPU {cpu:.1f} s, start included"
        ),
    ]  # fmt: skip
