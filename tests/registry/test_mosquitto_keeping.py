"""Keeping mosquitto's files in step: whatever stands in the way ends no keeper, and is over when it is gone."""

from __future__ import annotations

import asyncio
import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import IO

import pytest
from structlog.testing import capture_logs

from hub.errors import ConfigError, UnavailableError
from hub.keeping import Keeping
from hub.registry import credentials
from hub.registry.brokers.broker import Drift
from hub.registry.brokers.mosquitto import Mosquitto
from hub.registry.brokers.mosquitto_files import Listeners
from hub.registry.nouns import Device
from tests.clocks import ManualClock
from tests.machine import find
from tests.registry.rosters import GATE, roster, user
from tests.servers.kept import KeptBroker
from tests.waiting import wait_until


async def test_a_broker_that_works_with_older_files_is_found_and_told(kept: KeptBroker) -> None:
    pid_file, aside = kept.broker.directory / "mosquitto.pid", kept.broker.directory / "aside"
    wanted = roster(user("s1/gate-9", "nine", ("s1", "gate-9")))
    pid_file.rename(aside)
    with pytest.raises(ConfigError, match=r"broker_not_ours.*or of another user.*as the user that the hub runs as"):
        await kept.broker.apply(wanted)  # written, and mosquitto cannot be told
    aside.rename(pid_file)
    assert await kept.broker.drift(wanted) == Drift(is_stale=True)
    assert not await kept.is_welcome("s1/gate-9", "nine")
    await kept.broker.apply(wanted)
    assert await kept.is_welcome("s1/gate-9", "nine")
    assert not await kept.broker.drift(wanted)


async def test_a_broker_that_is_still_reading_what_it_kept_is_not_ended_by_our_word(kept: KeptBroker) -> None:
    """It has said who it is before it reads, and SIGHUP ends it until it has read: with much to read, for seconds."""
    directory, queue = kept.broker.directory, kept.broker.directory / "mosquitto.db"
    kept.process.kill()
    (directory / "mosquitto.pid").unlink()
    queue.unlink(missing_ok=True)
    os.mkfifo(queue)
    broker = await asyncio.create_subprocess_exec(find("mosquitto") or "mosquitto", "-c", str(kept.broker.config))

    def has_read() -> bool:
        """Let it read, once it wants to, that it kept nothing."""
        assert broker.returncode is None
        with suppress(OSError):  # it does not want to yet
            os.close(os.open(queue, os.O_WRONLY | os.O_NONBLOCK))
            return True
        return False

    try:
        await wait_until((directory / "mosquitto.pid").exists)
        await kept.registry.add_devices([Device(site="s1", id="gate-9", kind="access_controller")])
        await kept.provide()
        async with asyncio.TaskGroup() as group:
            keeping = group.create_task(kept.keep())
            await wait_until(lambda: "s1/gate-9" in (directory / "passwords").read_text(encoding="utf-8"))
            await wait_until(has_read)
        assert keeping.result().added == ("s1/gate-9",)
        assert await kept.is_welcome("s1/gate-9")
    finally:
        with suppress(ProcessLookupError):
            broker.kill()
        await broker.wait()


async def test_files_that_cannot_be_read_end_no_keeper_and_are_kept_again_afterwards(kept: KeptBroker) -> None:
    """The hub ended by them, and again after each start: a hub that nobody could tell of a fire."""
    acl, aside = kept.broker.directory / "acl", kept.broker.directory / "aside"
    acl.rename(aside)
    acl.mkdir()  # root can read every file, but no directory
    await kept.registry.add_devices([Device(site="s1", id="gate-9", kind="access_controller")])
    await kept.provide()
    with capture_logs() as logs:
        async with asyncio.TaskGroup() as group:
            keeping = group.create_task(kept.keeper.run(kept.clock))
            await wait_until(lambda: [each for each in logs if each["event"] == "broker_not_kept"])
            assert "acl" in kept.keeper.error
            assert kept.keeper.failing_since is not None
            acl.rmdir()
            aside.rename(acl)
            await wait_until(lambda: kept.is_welcome("s1/gate-9"))
            await wait_until(lambda: not kept.keeper.error)
            assert kept.keeper.failing_since is None
            keeping.cancel()


async def test_files_that_somebody_else_put_there_are_mended_by_a_hub_at_work(
    kept: KeptBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker was set up afresh: until the next change of the registry no device was let in, and nothing said so."""
    looks, revision, passwords = 0, kept.registry.revision, kept.broker.directory / "passwords"

    async def counted() -> int:
        nonlocal looks
        looks += 1
        return await revision()

    monkeypatch.setattr(kept.registry, "revision", counted)
    async with asyncio.TaskGroup() as group:
        keeping = group.create_task(kept.keeper.run(kept.clock))
        await wait_until(lambda: looks > 1)
        assert await kept.is_welcome("s1/gate-1")
        fresh = "".join(
            line for line in passwords.read_text("utf-8").splitlines(keepends=True) if not line.startswith("s1/")
        )
        passwords.write_text(fresh, encoding="utf-8")
        await wait_until(lambda: "s1/gate-1" in passwords.read_text("utf-8"))
        await wait_until(lambda: kept.is_welcome("s1/gate-1"))
        keeping.cancel()


@pytest.mark.parametrize("damage", [b"# no certificate\n", b""])
async def test_a_server_certificate_that_is_none_ends_no_hub_at_its_start_and_is_made_anew(
    kept_tls: KeptBroker, damage: bytes
) -> None:
    certificate = kept_tls.broker.directory / "server.crt"
    certificate.write_bytes(damage)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(Keeping().run(kept_tls.settings, kept_tls.registry, kept_tls.clock))
        await wait_until(lambda: certificate.read_bytes().startswith(b"-----BEGIN CERTIFICATE"))
        task.cancel()


async def test_an_authority_that_is_damaged_ends_no_hub_at_its_start(kept_tls: KeptBroker) -> None:
    key, keeping = kept_tls.settings.data_dir / "authority" / "ca.key", Keeping()
    whole = key.read_bytes()
    key.write_bytes(b"no key")
    async with asyncio.TaskGroup() as group:
        task = group.create_task(keeping.run(kept_tls.settings, kept_tls.registry, kept_tls.clock))
        await wait_until(lambda: "authority_damaged" in keeping.error)
        assert keeping.failing_since is not None
        key.write_bytes(whole)
        await wait_until(lambda: not keeping.error)
        task.cancel()


async def test_a_registry_that_is_away_says_nothing_of_the_broker(
    kept: KeptBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def revision() -> int:
        raise UnavailableError("registry_unavailable", "connection refused")

    monkeypatch.setattr(kept.registry, "revision", revision)
    async with asyncio.TaskGroup() as group:
        keeping = group.create_task(kept.keeper.run(kept.clock))
        await wait_until(lambda: "connection refused" in kept.keeper.error)
        assert kept.keeper.failing_since is None
        keeping.cancel()


async def test_of_two_who_keep_the_broker_at_once_the_one_who_waited_does_not_let_in_who_was_revoked(
    kept: KeptBroker,
) -> None:
    async with asyncio.TaskGroup() as group:
        with (kept.broker.directory / "lock").open("wb") as held:  # as the other one does, who is faster
            fcntl.flock(held, fcntl.LOCK_EX)
            group.create_task(kept.keeper.apply())
            await wait_until(lambda: _is_waited_for(held))
            await credentials.revoke(kept.registry, ("s1", "gate-1"))
            await kept.broker.write(await kept.keeper.wanted())
    assert await kept.is_welcome("s1/gate-2")
    assert not await kept.is_welcome("s1/gate-1")


def _is_waited_for(file: IO[bytes]) -> bool:
    """Return whether somebody beside us has opened a file."""
    opened = (each.stat() for each in Path("/proc/self/fd").iterdir() if each.exists())
    return sum(os.path.samestat(each, os.fstat(file.fileno())) for each in opened) > 1


async def test_who_was_stopped_while_writing_holds_nobody_up_for_ever(tmp_path: Path) -> None:
    """A `hub broker apply` and Ctrl-Z: the hub kept nobody's files any more, was ready, and could not even stop."""
    broker = Mosquitto(tmp_path, Listeners(port=1), ManualClock())
    with (tmp_path / "lock").open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(UnavailableError, match=f"broker_files_held.*fuser {tmp_path}/lock"):
            await broker.apply(roster(GATE))
    assert await broker.apply(roster(GATE))


async def test_nothing_is_written_when_nothing_changed(kept: KeptBroker) -> None:
    ours = [kept.broker.directory / name for name in ("mosquitto.conf", "passwords", "acl", "probe")]
    before = [file.stat().st_mtime_ns for file in ours]
    assert not await kept.keep()
    assert [file.stat().st_mtime_ns for file in ours] == before
