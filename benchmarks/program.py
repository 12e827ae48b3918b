"""Somebody else's program on a stage: started until the broker knows it, killed, started again; flooded for its CPU."""

from __future__ import annotations

import asyncio
import shutil
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiomqtt

from benchmarks import publisher
from benchmarks.figures import FLOOD, Figure, Plan
from benchmarks.load import DELIVERY_SECONDS, Advance
from benchmarks.publisher import publish
from benchmarks.stage import Stage, cpu_ns, staged
from hub.errors import UnavailableError
from tests.waiting import wait_until

READY_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """How a program is called; ``client`` is the id with which it connects to the broker.

    ``says`` is the topic on which it tells that it has subscribed, where that takes it a while.
    """

    client: str
    command: Sequence[str]
    environment: Mapping[str, str]
    says: str = ""


class Program:
    """One program; each start finds the files, and the session at the broker, that were there."""

    def __init__(self, stage: Stage, call: Call) -> None:
        self._stage = stage
        self._call = call
        self._log = stage.directory / f"{call.client}.log"
        self._process: Process | None = None

    @property
    def pid(self) -> int:
        """The process id; 0 while it does not run."""
        return 0 if self._process is None else self._process.pid

    async def start(self) -> None:
        """Start it, and wait until the broker has let it in, and it has said so where it does."""
        if not self._call.says:
            return await self._start()
        async with aiomqtt.Client("127.0.0.1", self._stage.mosquitto.port) as client:
            await client.subscribe(self._call.says, qos=1)
            await self._start()
            try:
                await asyncio.wait_for(anext(client.messages), READY_SECONDS)
            except TimeoutError as error:
                raise self._not_ready() from error

    async def _start(self) -> None:
        before, call = self._connects(), self._call
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *call.command, stdout=log, stderr=log, env=dict(call.environment)
            )

        def is_in() -> bool:
            return self._connects() > before

        try:
            await wait_until(is_in, seconds=READY_SECONDS)
        except AssertionError as error:
            raise self._not_ready() from error

    def _not_ready(self) -> UnavailableError:
        said = self._log.read_text(encoding="utf-8", errors="replace")[-2_000:]
        return UnavailableError("program_not_ready", said, client=self._call.client)

    async def kill(self) -> None:
        """End it at once, if it still runs."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        self._process = None

    def _connects(self) -> int:
        return self._stage.mosquitto.log().count(f" as {self._call.client} (")


async def version(*command: str) -> str:
    """Return the first line that ``command`` says."""
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=DEVNULL)
    said, _ = await process.communicate()
    return said.decode().partition("\n")[0].strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """A program that does a part of what the hub does, where ``executable`` is on PATH; ``put`` puts it on a stage."""

    subject: str
    executable: str
    put: Callable[[str, Stage], Program]

    @property
    def absent(self) -> str:
        """What is said where it is not found."""
        return f"{self.subject}: {self.executable} not found on PATH"

    def find(self) -> str | None:
        """Return where it is."""
        return shutil.which(self.executable)


async def flood(rival: Rival, executable: str, directory: Path, plan: Plan, advance: Advance) -> Figure:
    """Publish as fast as the broker takes it, after a warm-up; CPU of the process until the last point is stored."""
    costs, lost = list[float](), 0
    for _ in range(plan.tutorial_runs):
        async with staged(directory / rival.executable) as stage:
            program = rival.put(executable, stage)
            try:
                await program.start()
                await _flood(stage, plan, range(plan.warm_up))
                cpu, numbers = cpu_ns(program.pid), range(plan.warm_up, plan.warm_up + plan.tutorial)
                lost += numbers.stop - await _flood(stage, plan, numbers)
                costs.append((cpu_ns(program.pid) - cpu) / 1e3 / plan.tutorial)
            finally:
                await program.kill()
        advance()
    messages = plan.tutorial * plan.tutorial_runs
    return Figure(subject=rival.subject, load=FLOOD, cpu_us=costs, messages=messages, events=0, lost=lost)


async def _flood(stage: Stage, plan: Plan, numbers: range) -> int:
    """Publish ``numbers``; return how many points the store has when all is there, or nothing more comes."""
    port, first = stage.mosquitto.port, numbers.start
    await publish(publisher.Order(port=port, devices=plan.devices, first=first, count=len(numbers)))
    return await _stored(stage, numbers.stop)


async def _stored(stage: Stage, count: int) -> int:
    """Wait until nothing more comes, and return how much came."""

    async def is_stored() -> bool:
        return await stage.count_points() >= count

    try:
        await wait_until(is_stored, seconds=DELIVERY_SECONDS / 4)
    except AssertionError:  # it lost some: say how many
        return await stage.count_points()
    return count
