"""A storm in a process of its own: faults go in by name, outcomes come out; its proxies wait for no other town."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import typer

from tests.chaos.beside import ROOT
from tests.chaos.faults.fault import Fault
from tests.chaos.faults.table import FAULTS
from tests.chaos.hub_process import HubProcess
from tests.chaos.outcome import Outcome
from tests.chaos.storm import storm_in

LINE_BYTES = 2**24
"""An outcome holds what is wrong, with the numbers of everything that was lost."""


class StormEndedError(Exception):
    """The process of a town ended by itself; it has said why on stderr."""


class StormProcess:
    """The storm of one town, seen from the campaign. ``outcomes``: what came of its faults so far."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.outcomes: list[Outcome] = []
        self._reader = reader
        self._writer = writer

    async def strike(self, fault: Fault) -> None:
        """Let ``fault`` happen and remember what came of it; the first waits until everything works."""
        self._writer.write(f"{fault.name}\n".encode())
        line = await self._reader.readline()
        if not line:
            raise StormEndedError(fault.name)
        self.outcomes.append(msgspec.json.decode(line, type=Outcome))


@asynccontextmanager
async def storm_process(directory: Path, seed: int, *, is_warm: bool = False) -> AsyncIterator[StormProcess]:
    """Open a town in a process that ends, with all that it started, when we leave or are killed.

    It is of a session of its own: a Ctrl-C is ours alone.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        how = ["--is-warm"] if is_warm else []
        command = (sys.executable, "-m", __spec__.name, str(directory), str(seed), str(theirs.fileno()), *how)
        process = await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, stdin=asyncio.subprocess.DEVNULL, pass_fds=(theirs.fileno(),), start_new_session=True
        )
    reader, writer = await asyncio.open_connection(sock=ours, limit=LINE_BYTES)
    try:
        yield StormProcess(reader, writer)
    finally:
        writer.close()
        code = await process.wait()
    if code:
        raise StormEndedError(f"exit={code}")


def main(directory: Path, seed: int, campaign: int, *, is_warm: bool = False) -> None:
    """Live as one town; ``campaign`` is the file descriptor of a socket, and its end is ours."""
    os.set_inheritable(campaign, False)  # noqa: FBT003 -- positional in the standard library
    HubProcess.are_warm = is_warm
    asyncio.run(_serve(directory, seed, socket.socket(fileno=campaign)))


async def _serve(directory: Path, seed: int, campaign: socket.socket) -> None:
    reader, writer = await asyncio.open_connection(sock=campaign)
    names: asyncio.Queue[str] = asyncio.Queue(1)
    async with asyncio.TaskGroup() as group:
        living = group.create_task(_live(directory, seed, names, writer), name="storm.life")
        while line := await reader.readline():
            await names.put(line.decode().strip())
        living.cancel()


async def _live(directory: Path, seed: int, names: asyncio.Queue[str], writer: asyncio.StreamWriter) -> None:
    async with storm_in(directory, seed) as storm:
        await storm.start()
        while True:
            outcome = await storm.strike(FAULTS[await names.get()])
            writer.write(msgspec.json.encode(outcome) + b"\n")


if __name__ == "__main__":
    typer.run(main)
