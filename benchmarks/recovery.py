"""Again: a hub that lost its checkpoint reads its whole journal, and a replay of the same journal beside it."""

from __future__ import annotations

import asyncio
import time
from asyncio.subprocess import PIPE
from pathlib import Path

from benchmarks.figures import Finding, Plan, Target
from benchmarks.hub_process import COMMAND, ENVIRONMENT, HubProcess, Setup, heard_once
from benchmarks.load import Advance, loaded
from hub.errors import UnavailableError

NEVER = 'checkpoint.messages = 1000000000\ncheckpoint.every = "1d"\n'
MOST_SECONDS, LEAST_SPEED, REAL_RATE = 30.0, 20.0, 1_000


async def measure(directory: Path, plan: Plan, advance: Advance) -> list[Finding]:
    """Fill a journal, kill the hub before its first checkpoint, start it; then replay the journal, rules unchanged.

    Before that the same with many devices, of which nobody replays the journal: a checkpoint of theirs waits longest.
    """
    found: list[Finding] = []
    for devices in (plan.sizes[-1], plan.devices):
        warm_up = max(plan.warm_up, devices)
        async with loaded(directory / str(devices), Setup(settings=NEVER), devices, warm_up=warm_up) as load:
            hub = load.hub
            await load.send(plan.journal - warm_up)
            found.append(await _recovered(hub, plan, "" if devices == plan.devices else f" of {devices:,} devices"))
            advance()
            if devices == plan.devices:
                found.append(await _replayed(hub, plan))
    advance()
    return found


async def _recovered(hub: HubProcess, plan: Plan, whose: str) -> Finding:
    await hub.kill()
    began = time.perf_counter()
    await hub.start()
    recovered, cpu = time.perf_counter() - began, hub.start_cpu_seconds
    heard = heard_once(await hub.metrics())
    losses = await hub.stop()
    return Finding(
        name=f"journal of {plan.journal:,} messages{whose}: ready again after a kill, without a checkpoint",
        found=recovered, unit="s", target=Target(bound=MOST_SECONDS), lost=losses.total + abs(heard - plan.journal),
        note=f"CPU {cpu:.1f} s",
    )  # fmt: skip


async def _replayed(hub: HubProcess, plan: Plan) -> Finding:
    replayed = await _replay(hub)
    return Finding(
        name=f"journal of {plan.journal:,} messages: replay against real time at {REAL_RATE:,} a second",
        found=plan.journal / REAL_RATE / replayed, unit="×", target=Target(bound=LEAST_SPEED, is_least=True),
        note=f"{replayed:.1f} s",
    )  # fmt: skip


async def _replay(hub: HubProcess) -> float:
    """Return the seconds of `hub rules replay` from the journal's first record, with the rules as they are."""
    words = ("--config", str(hub.config), "rules", "replay", "--from", "1h", "--json")
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(*COMMAND, *words, stdout=PIPE, stderr=PIPE, env=ENVIRONMENT)
    _, complaint = await process.communicate()
    if process.returncode not in {0, 1}:
        raise UnavailableError("replay_failed", complaint.decode()[-2_000:], returncode=process.returncode)
    return time.perf_counter() - began
