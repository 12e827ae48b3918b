"""A thousand devices, and a hundred times as many: what a message costs, what a device holds, what a start takes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.figures import Finding, Plan, Size, Target
from benchmarks.hub_process import Setup
from benchmarks.load import Advance, loaded
from benchmarks.stage import memory_bytes

MOST_RATIO, MOST_DEVICE_BYTES, MOST_START_SECONDS = 1.5, 2_048.0, 5.0


async def measure(directory: Path, plan: Plan, advance: Advance) -> tuple[list[Size], list[Finding]]:
    """Flood hubs with more and more devices; each device has spoken before anything is measured."""
    sizes, lost = list[Size](), 0
    for devices in plan.sizes:
        warm_up = max(plan.warm_up, devices)
        async with loaded(directory / str(devices), Setup(), devices, warm_up=warm_up) as load:
            costs = [await load.flood(plan.size_flood) for _ in range(plan.flood_runs)]
            memory = memory_bytes(load.hub.pid)
            losses = await load.hub.stop()
        lost += losses.total
        sizes.append(
            Size(devices=devices, start_cpu_seconds=load.hub.start_cpu_seconds, memory_bytes=memory, cpu_us=costs)
        )
        advance()
    return sizes, _findings(sizes, lost)


def _findings(sizes: Sequence[Size], lost: int) -> list[Finding]:
    least, most = sizes[0], sizes[-1]
    title = f"{most.devices:,} devices"
    each = (most.memory_bytes - least.memory_bytes) / (most.devices - least.devices)
    costs = ", ".join(f"{size.devices:,}: {size.median_us:.1f} µs" for size in sizes)
    return [
        Finding(
            name=f"{title}: cost of a message, against {least.devices:,}", found=most.median_us / least.median_us,
            unit="×", target=Target(bound=MOST_RATIO), lost=lost, note=costs,
        ),
        Finding(
            name=f"{title}: memory a device", found=each, unit="bytes", target=Target(bound=MOST_DEVICE_BYTES),
            note=", ".join(f"{size.devices:,}: {size.memory_bytes / 2**20:.0f} MiB" for size in sizes),
        ),
        Finding(
            name=f"{title}: CPU of a start", found=most.start_cpu_seconds, unit="s",
            target=Target(bound=MOST_START_SECONDS),
            note=", ".join(f"{size.devices:,}: {size.start_cpu_seconds:.1f} s" for size in sizes),
        ),
    ]  # fmt: skip
