"""mosquitto on this machine: its files written whole, read again by SIGHUP, and who was revoked cut off."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar

import structlog

from hub.clock import Clock
from hub.errors import ConfigError, UnavailableError
from hub.registry.brokers.broker import BrokerUser, Drift, Roster
from hub.registry.brokers.knock import Answer, knock
from hub.registry.brokers.mosquitto_files import (
    ACL,
    CA,
    CONFIG,
    CRL,
    PASSWORDS,
    PID,
    PROBE,
    Listeners,
    configuration,
    is_by_pattern,
    is_user,
    read_users,
    refuse_odd,
    with_guests,
    without,
    write_acl,
    write_passwords,
)
from hub.registry.brokers.papers import shows_another
from hub.registry.certificates import SERVER_CERTIFICATE, Authority, read_crl
from hub.registry.hashing import hash_secret, new_secret
from hub.whole import write_whole

RELOAD_SECONDS, POLL_SECONDS = 10.0, 0.005
TURN_SECONDS = 30.0
"""How long is waited for whoever else writes the files: longer than it takes to cut off a thousand users."""
_PROBE_FILE, _LOCK_FILE = "probe", "lock"

P = ParamSpec("P")
T = TypeVar("T")
log = structlog.get_logger(__name__)


class Mosquitto:
    """A :class:`hub.registry.brokers.broker.Broker`: the mosquitto whose files are in ``directory``, which is ours.

    It may be down: then it finds the files when it starts. ``authority`` signs the list of revoked certificates, where
    there are certificates, and the broker's own, where it is called ``names``.
    """

    def __init__(
        self,
        directory: Path,
        listeners: Listeners,
        clock: Clock,
        *,
        authority: Authority | None = None,
        names: Collection[str] = (),
    ) -> None:
        self.directory = directory
        self.config = directory / CONFIG
        self._listeners = listeners
        self._clock = clock
        self._authority = authority
        self._names = names

    # -------------------------------------------------------------------------------------------------------- what is

    async def list(self) -> Roster:
        """Return whom the files name."""
        return await _in_thread(self._known)

    def mark(self) -> object:
        """Return which files are there, as far as that is told without reading them.

        But for its settings: two of us that were not started with the same ones would write them in turns.
        """
        return [_mark_of(self.directory / name) for name in (CA, CRL, ACL, PASSWORDS)]

    def _known(self) -> Roster:
        users = read_users(self._text(PASSWORDS), self._text(ACL))
        return Roster(users=users, revoked=dict.fromkeys(read_crl(self.directory / CRL), ""))

    async def drift(self, wanted: Roster) -> Drift:
        """Return how the files differ from ``wanted``, and whether mosquitto works with those that are there."""
        found = await _in_thread(self._differences, wanted)  # 10,000 users take half a second
        if found:
            return found
        is_stale = await knock(self._listeners.port, PROBE, self._probe()[0]) is Answer.REFUSED
        tls = self._listeners.tls or self._listeners.mutual
        return Drift(is_stale=is_stale or (tls is not None and await shows_another(tls)))

    def _differences(self, wanted: Roster) -> Drift:
        known = self._known()
        # Of one who comes by certificate only and has its topics by pattern, no file says anything.
        users = {name: user for name, user in wanted.users.items() if user.password_hash or not is_by_pattern(user)}
        both = known.users.keys() & users.keys()
        texts = self._texts(wanted)
        serials = wanted.revoked.keys() ^ known.revoked.keys() if self._authority else ()
        files = [name for name, text in texts.items() if self._text(name) != text]
        if self._authority and self._names and not self._authority.serves(self.directory, self._names):
            files.append(SERVER_CERTIFICATE)
        return Drift(
            added=_those(users.keys() - both),
            rotated=_those(both, lambda name: known.users[name].password_hash != users[name].password_hash),
            regranted=_those(both, lambda name: _topics(known.users[name]) != _topics(users[name])),
            revoked=_those(known.users.keys() - both),
            certificates=_those(serials),
            files=_those(files),
            needs_restart=self._text(CONFIG) not in {"", texts[CONFIG]},
        )

    def _texts(self, wanted: Roster) -> dict[str, str]:
        """Return what the files should hold, in the order in which they are written.

        Rules before users: one who exists before its rules do would be told "no" for a moment.
        """
        outcasts = set(wanted.revoked.values()) - wanted.users.keys()
        texts = {CONFIG: configuration(self.directory, self._listeners)}
        if self._authority is not None:
            texts[CA] = self._authority.certificate
            texts[CRL] = self._crl(wanted)
        return {
            **texts,
            ACL: write_acl(wanted.users, outcasts),
            PASSWORDS: write_passwords(wanted.users, self._probe()[1]),
        }

    def _crl(self, wanted: Roster) -> str:
        """Return the list as it is while it says the same: each signature is another."""
        if self._authority is None:
            return ""
        text = self._text(CRL)
        is_right = text and read_crl(self.directory / CRL).keys() == wanted.revoked.keys()
        return text if is_right else self._authority.crl(wanted.revoked.keys())

    # -------------------------------------------------------------------------------------------------- what shall be

    async def apply(self, wanted: Roster) -> Drift:
        """Write what differs and have it read. mosquitto cuts off who lost a secret, we who lost a certificate."""
        refuse_odd(wanted.users)
        async with self._alone():
            drift = await self.drift(wanted)
            if not drift:
                return drift
            await self.write(wanted)
            await self._reload(PROBE, self._probe()[0], Answer.WELCOME)
            revoked = {wanted.revoked[serial] for serial in drift.certificates if serial in wanted.revoked}
            # Also those without a connection: what is queued for them would be there for whoever has the name next.
            await self._cut_off(revoked | {*filter(is_user, drift.revoked)}, spares_session=False)
            log.info("broker_users_written", users=len(wanted.users))
        return drift

    async def write(self, wanted: Roster) -> None:
        """Write the files and tell nobody: for a mosquitto that is still to be started."""
        secret = new_secret()
        self._write(_PROBE_FILE, f"{secret} {hash_secret(secret)}\n")
        await _in_thread(self._write_all, wanted)

    async def revoke(self, users: Collection[str]) -> None:
        """Let ``users`` in no more and cut them off, at once; what remains is for :meth:`apply`."""
        async with self._alone():
            self._write(PASSWORDS, without(self._text(PASSWORDS), users))
            await self._cut_off(users, spares_session=False)

    async def kick(self, users: Collection[str]) -> None:
        """Cut ``users`` off; they may come again."""
        async with self._alone():
            await self._cut_off(users, spares_session=True)

    async def _cut_off(self, users: Collection[str], *, spares_session: bool) -> None:
        """Come in under the name of each, which shows out who is in; with a secret that holds for that moment only.

        mosquitto lets those stay whose certificate was revoked while they were connected. The probe has that secret
        too: a mosquitto that is left with it, because it could not be told of its end, works with older files.
        """
        if not users or self._pid() is None:
            return
        first, *others = sorted(users)
        secret, settled = new_secret(), self._text(PASSWORDS)
        self._write(PASSWORDS, with_guests(settled, dict.fromkeys({*users, PROBE}, hash_secret(secret))))
        try:
            await self._reload(first, secret, Answer.WELCOME, spares_session=spares_session)
            for user in others:
                await knock(self._listeners.port, user, secret, spares_session=spares_session)
        finally:
            self._write(PASSWORDS, settled)
            await self._reload(first, secret, Answer.REFUSED)

    async def _reload(self, user: str, secret: str, until: Answer, *, spares_session: bool = False) -> None:
        """Have mosquitto read its files, and wait until it answers ``user`` as it must by them.

        It is told anew behind each other answer: what it is told while it reads it forgets when it has read, and who is
        cancelled may tell it in that moment. In the usual case the first answer is the right one.
        """
        deadline = self._clock.monotonic_ns() + round(RELOAD_SECONDS * 1e9)
        while (pid := self._pid()) is not None:
            if _minds_hangups(pid):
                _hang_up(pid)
                if await knock(self._listeners.port, user, secret, spares_session=spares_session) is until:
                    return
            if self._clock.monotonic_ns() > deadline:
                raise UnavailableError("broker_not_reloaded", "mosquitto does not take its new files", pid=pid)
            await self._clock.sleep(POLL_SECONDS)
        if await knock(self._listeners.port, user, secret) is not Answer.ABSENT:  # else it will find the files
            # Of another account's the hub cannot tell whether it is ours: the unit's ProtectProc hides it.
            hint = f"start mosquitto with {self.config}, on this machine, as the user that the hub runs as"
            raise ConfigError(
                "broker_not_ours",
                f"what listens on port {self._listeners.port} is not the mosquitto of these files, or of another user",
                hint=hint,
            )

    # ---------------------------------------------------------------------------------------------------------- files

    def _text(self, name: str) -> str:
        path = self.directory / name
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def _write_all(self, wanted: Roster) -> None:
        if self._authority and self._names:
            self._authority.serve(self.directory, self._names)
        for name, text in self._texts(wanted).items():
            self._write(name, text)

    def _write(self, name: str, text: str) -> None:
        if self._text(name) != text:
            write_whole(self.directory / name, text)

    def _probe(self) -> tuple[str, str]:
        secret, _, password_hash = self._text(_PROBE_FILE).strip().partition(" ")
        return secret, password_hash

    def _pid(self) -> int | None:
        """Return the mosquitto that reads our files, None when there is none."""
        with suppress(ValueError, OSError):
            pid = int(self._text(PID))
            if Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip() == "mosquitto":
                return pid
        return None

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Hold the directory: a hub and a person at the command line may want to write at the same time.

        UnavailableError ``broker_files_held``: who was stopped while writing (Ctrl-Z) holds nobody up without a word.
        """
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = self.directory / _LOCK_FILE
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            deadline = self._clock.monotonic_ns() + round(TURN_SECONDS * 1e9)
            while not _is_ours(descriptor):
                if self._clock.monotonic_ns() > deadline:
                    raise UnavailableError(
                        "broker_files_held", f"for {TURN_SECONDS:.0f} s by another process: fuser {file}"
                    )
                await self._clock.sleep(POLL_SECONDS)
            yield
        finally:
            os.close(descriptor)


async def _in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what ``work`` returns. Who is cancelled waits for its end: a thread goes on, and somebody else may not."""
    done = asyncio.get_running_loop().run_in_executor(None, partial(work, *args, **kwargs))
    try:
        return await asyncio.shield(done)
    finally:
        await asyncio.wait({done})


def _is_ours(descriptor: int) -> bool:
    """Take the lock, if nobody has it."""
    with suppress(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def _hang_up(pid: int) -> None:
    """Tell mosquitto to read its files."""
    try:
        os.kill(pid, signal.SIGHUP)
    except PermissionError as error:
        hint = "let mosquitto run as the user that the hub runs as"
        raise ConfigError("broker_not_ours", "mosquitto cannot be told to reload", pid=pid, hint=hint) from error


def _minds_hangups(pid: int) -> bool:
    """Return whether SIGHUP has a mosquitto read its files: while it still reads what it had kept, it would end it."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    caught = next(int(line.removeprefix("SigCgt:"), 16) for line in lines if line.startswith("SigCgt:"))
    return bool(caught & 1 << signal.SIGHUP - 1)


def _mark_of(path: Path) -> tuple[int, int, int] | None:
    with suppress(OSError):
        found = path.stat()
        return found.st_ino, found.st_size, found.st_mtime_ns
    return None


def _those(names: Iterable[str], which: Callable[[str], bool] = bool) -> tuple[str, ...]:
    return tuple(sorted(name for name in names if which(name)))


def _topics(user: BrokerUser) -> tuple[frozenset[str], frozenset[str]]:
    return frozenset(user.reads), frozenset(user.writes)
