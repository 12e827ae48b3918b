"""A real PostgreSQL for tests: its own cluster on a free port, started once, an empty database for each test."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from typing_extensions import override

from tests.machine import find
from tests.ready_registry import make
from tests.servers.process import ServerProcess

USER = "postgres"
"""PostgreSQL refuses to run as root; its package brings this user. Whoever is not root starts it as themselves."""


LOCKED_OUT = "locked_out"
"""Who has no password that would be right; everybody else needs none."""


class PostgresServer(ServerProcess):
    """One cluster; ``database`` makes an empty database in it, ``registry`` one with the tables of a registry."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory.with_suffix(".log"), self._words, self._is_ready)
        self._files = directory
        self._binaries = Path(find("postgres") or "postgres").parent
        self._as_user = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"] if os.getuid() == 0 else []
        self._ready: str | None = None

    def make(self) -> None:
        """Make its files."""
        if self._as_user:
            shutil.chown(self._files, USER, USER)
        words = ["--username", USER, "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync"]
        command = [*self._as_user, str(self._binaries / "initdb"), "--pgdata", str(self._files), *words]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/")
        rules = self._files / "pg_hba.conf"
        locked = f"host all {LOCKED_OUT} 127.0.0.1/32 scram-sha-256\n"
        rules.write_text(locked + rules.read_text(encoding="utf-8"), encoding="utf-8")

    def database(self) -> str:
        """Return the URL of a new, empty database, as an operator writes it."""
        name = f"hub_{uuid4().hex[:12]}"
        with closing(psycopg.connect(self._url("postgres"), autocommit=True)) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self._url(name)

    def registry(self) -> str:
        """Return the URL of a new registry with nothing in it: copied from one that was opened once."""
        if self._ready is None:
            self._ready = self.database()
            make(self._ready)
        name = f"hub_{uuid4().hex[:12]}"
        with closing(psycopg.connect(self._url("postgres"), autocommit=True)) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {self._ready.rpartition('/')[2]}".encode())
        return self._url(name)

    @override
    def stop(self) -> None:
        """End it in good order, without waiting for its clients to leave (SIGTERM would)."""
        self._end(signal.SIGINT)

    def quit(self) -> None:
        """End it at once, with all of its processes, and without saving anything."""
        self._end(signal.SIGQUIT)

    def _url(self, database: str) -> str:
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"

    def _words(self) -> list[str]:
        place = ["-D", str(self._files), "-h", "127.0.0.1", "-p", str(self.port), "-k", str(self._files)]
        quick = [word for name in ("fsync", "synchronous_commit", "full_page_writes") for word in ("-c", f"{name}=off")]
        return [*self._as_user, str(self._binaries / "postgres"), *place, *quick]

    def _is_ready(self) -> bool:
        try:
            psycopg.connect(self._url("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A running PostgreSQL. Its files lie outside of pytest's folders, which other users may not enter."""
    directory = Path(tempfile.mkdtemp(prefix="hub-postgres-"))
    server = PostgresServer(directory)
    try:
        server.make()
        server.start()
        yield server
    finally:
        server.quit()
        shutil.rmtree(directory)
        directory.with_suffix(".log").unlink(missing_ok=True)
