"""A hub in a process of its own for the chaos tests: started, paused, killed, and looked at from outside."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import orjson

from hub.config.settings import Settings
from hub.services.child import free_port
from tests.servers.valkey import PASSWORD
from tests.servers.warm import Forked, fork
from tests.waiting import PATIENCE_SECONDS, wait_until

SEEN = """
rule: card-seen
label: {en: Card seen, zh: 刷卡}
for_each: access_controller
on_signal: access.granted
raise: {event: access.card_seen, severity: info}
"""


class HubProcess:
    """``hub run`` with a configuration of its own; may be killed and started again. ``settings`` is more TOML.

    ``haste`` is code that it runs first at each start, before ``prelude``, which is for one start or another.
    ``partitions`` are those beside ``main``; each has a worker of its own unless ``workers`` is changed. Where they
    ``are_warm`` they are forked from a process that has the hub loaded.
    """

    are_warm = True

    def __init__(
        self,
        directory: Path,
        mqtt_port: int,
        redis_port: int,
        *,
        settings: str = "",
        rules: str = "",
        partitions: Sequence[str] = (),
    ) -> None:
        self.directory = directory
        self.mqtt_port = mqtt_port
        self.redis_port = redis_port
        self.more_settings = settings
        self._partitions = list(partitions)
        self.workers = 1 + len(self._partitions)
        self.data = directory / "data"
        self.rules = directory / "rules"
        self.rules.mkdir(parents=True)
        self.data.mkdir()
        (self.rules / "seen.yaml").write_text(f"{SEEN}---{rules}" if rules else SEEN, encoding="utf-8")
        self.config = directory / "hub.toml"
        self.http_port = free_port()
        self._write_config()
        self.settings = Settings(
            data_dir=self.data,
            rules_dir=self.rules,
            redis={"url": f"redis://:{PASSWORD}@127.0.0.1:{redis_port}/0"},
            more_partitions=partitions,
        )
        self._process: subprocess.Popen[bytes] | Forked | None = None
        self._log_start = 0
        self.haste = self.prelude = ""

    def _write_config(self) -> None:
        self.config.write_text(
            f"more_partitions = {self._partitions}\nworkers = {self.workers}\n"
            f'data_dir = "{self.data}"\nrules_dir = "{self.rules}"\n'
            f"[mqtt]\nport = {self.mqtt_port}\n"
            f'[redis]\nurl = "redis://:{PASSWORD}@127.0.0.1:{self.redis_port}/0"\n'
            f"[http]\nport = {self.http_port}\n"
            f'[checkpoint]\nevery = "1s"\n{self.more_settings}',
            encoding="utf-8",
        )

    def moved(self, directory: Path, host: str = "another-host") -> HubProcess:
        """Return the same hub on another host: a copy of its files as they are now, whatever it is doing."""
        moved = HubProcess(directory, self.mqtt_port, self.redis_port, settings=self.more_settings)
        shutil.copytree(self.rules, moved.rules, dirs_exist_ok=True)
        shutil.copytree(self.data, moved.data, dirs_exist_ok=True)
        moved.haste = self.haste
        moved.prelude = f"import socket; socket.gethostname = lambda: {host!r}; "
        return moved

    def start(self, failpoint: str = "", *, is_warm: bool = True) -> None:
        """Start it with its ports as they are now; it may die at ``failpoint``.

        One that ``is_warm`` is forked from a process that has loaded the hub, unless it has a prelude.
        """
        self._write_config()
        code = f"{self.haste}{self.prelude}from hub.ui.cli.main import main; main()"
        words = ["--config", str(self.config), "run"]
        environment = {"HUB_FAILPOINT": failpoint, "PATH": "/usr/bin:/usr/sbin:/bin"}
        with (self.directory / "hub.log").open("ab") as log:
            self._log_start = log.tell()
            if is_warm and self.are_warm and not self.prelude:
                self._process = fork(code, words, environment, log.fileno())
            else:
                command = [sys.executable, "-c", code, *words]
                self._process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)

    async def until_ended(self) -> int:
        """Wait until it has ended by itself and return its exit code."""
        process = self._process
        assert process is not None
        await wait_until(lambda: process.poll() is not None)
        return process.wait()

    async def until_said(self, words: str) -> None:
        """Wait until the log of this start has ``words``."""
        await wait_until(lambda: words in self.log()[self._log_start :])

    async def until_connected(self) -> None:
        """Wait until both sessions of each partition are connected since this start."""
        wanted = 2 * (1 + len(self._partitions))
        await wait_until(lambda: self.log()[self._log_start :].count("session_listening") >= wanted)

    @property
    def pid(self) -> int:
        """The process id; 0 while it is not running."""
        return 0 if self._process is None else self._process.pid

    def pause(self) -> None:
        """Stop it without ending it: connections stay, nothing is read or acknowledged."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on where it was paused."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once."""
        self._end(signal.SIGKILL)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it in good order and return its exit code."""
        return self._end(number)

    def has_died(self) -> bool:
        """Return whether it is not running."""
        return self._process is None or self._process.poll() is not None

    def log(self) -> str:
        """Return what it said."""
        return (self.directory / "hub.log").read_bytes().decode("ascii", "replace")

    async def cli(self, *arguments: str) -> Said:
        """Run another command of the hub beside it, with the same configuration."""
        return await run_cli(self.config, *arguments)

    async def readiness(self) -> tuple[int, set[str]]:
        """Return the status of /readyz, 0 while nothing listens, and the codes of its reasons."""
        try:
            status, body = await self._page("/readyz")
        except ConnectionError:
            return 0, set()
        return status, {reason["code"] for reason in orjson.loads(body)["reasons"]}

    async def until_down(self, partitions: set[str]) -> None:
        """Wait until a hub with workers says of these partitions, and of no others, that their worker is down."""
        await self.until_said_of("worker_down", partitions)

    async def until_said_of(self, code: str, partitions: set[str]) -> None:
        """Wait until a hub with workers says nothing but ``code``, and of these partitions alone."""

        async def is_said() -> bool:
            try:
                _, body = await self._page("/readyz")
            except ConnectionError:
                return False
            reasons = orjson.loads(body)["reasons"]
            codes, found = ({reason[word] for reason in reasons} for word in ("code", "partition"))
            return (codes, found) == ({code}, partitions)

        await wait_until(is_said)

    async def until_ready(self) -> None:
        """Wait until /readyz has no reason against it."""

        async def is_ready() -> bool:
            return await self.readiness() == (HTTPStatus.OK, set())

        try:
            await wait_until(is_ready)
        except AssertionError:
            message = f"not ready: {await self.readiness()}\n{self.log()[-3_000:]}"
            raise AssertionError(message) from None

    async def until_unready(self, code: str) -> None:
        """Wait until /readyz names ``code``."""

        async def is_unready() -> bool:
            status, codes = await self.readiness()
            return status == HTTPStatus.SERVICE_UNAVAILABLE and code in codes

        await wait_until(is_unready)

    async def metrics(self) -> dict[str, float]:
        """Return /metrics; the values of a metric that has labels are also summed under its bare name.

        ConnectionError while there is no hub that could tell, or it has only begun.
        """
        found: dict[str, float] = {}
        status, body = await self._page("/metrics")
        if status != HTTPStatus.OK:
            raise ConnectionError
        for line in body.decode().splitlines():
            if not line.startswith("#"):
                name, _, number = line.rpartition(" ")
                for key in {name, name.partition("{")[0]}:
                    found[key] = found.get(key, 0) + float(number)
        return found

    async def _page(self, path: str) -> tuple[int, bytes]:
        """Return status and body; ConnectionError unless all of it comes. A client of aiohttp costs ten times that."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.http_port)
        try:
            writer.write(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        finally:
            writer.transport.abort()
        if f"content-length: {len(body)}".encode() not in head.lower().split(b"\r\n"):
            raise ConnectionError(head)
        return int(head.split()[1]), body

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def _end(self, number: signal.Signals) -> int:
        if self._process is None:
            return 0
        self._process.send_signal(number)
        self._process.send_signal(signal.SIGCONT)
        code = self._process.wait(PATIENCE_SECONDS)
        self._process = None
        return code


@dataclass(frozen=True, slots=True)
class Said:
    """What a command line came to."""

    code: int
    out: bytes
    err: str


async def run_cli(config: Path, *arguments: str) -> Said:
    """Run one command of the hub to its end."""
    code = "from hub.ui.cli.main import main; main()"
    command = (sys.executable, "-c", code, "--config", str(config), *arguments)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe, env={"PATH": "/usr/bin:/bin"})
    out, err = await process.communicate()
    return Said(process.returncode or 0, out, err.decode())
