"""A keeper of the broker that is cancelled anywhere: it ends as cancelled, and puts back what it had begun."""

from __future__ import annotations

import asyncio
import fcntl
import os
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest
from typing_extensions import override

from hub.clock import SystemClock
from hub.errors import ConfigError
from hub.registry.brokers.broker import Roster
from hub.registry.brokers.mosquitto import Mosquitto
from hub.registry.brokers.mosquitto_files import Listeners
from tests.interrupted import Interrupted, here
from tests.servers.kept import KeptBroker
from tests.waiting import wait_until

GATE = "s1/gate-1"


async def test_who_is_cancelled_anywhere_while_it_cuts_off_lets_in_again_who_may_come(kept: KeptBroker) -> None:
    passwords = kept.broker.directory / "passwords"
    settled = passwords.read_bytes()
    for at in count(1):
        if not await _is_cancelled(Interrupted(kept.broker.kick([GATE]), at)):
            break
        assert passwords.read_bytes() == settled, at
        assert await kept.is_welcome(GATE), at
    assert at > 5


async def test_what_mosquitto_is_told_while_it_reads_it_is_told_again(kept: KeptBroker) -> None:
    """It forgets that, and who was to be cut off for a moment could not come in any more: nothing looked amiss."""
    passwords, acl, aside = (kept.broker.directory / name for name in ("passwords", "acl", "aside"))
    settled, rules = passwords.read_bytes(), acl.read_bytes()
    acl.rename(aside)
    os.mkfifo(acl)  # mosquitto reads the passwords, and then waits here for its rules
    async with asyncio.TaskGroup() as group:
        kicking = group.create_task(kept.broker.kick([GATE]))
        pipe = await wait_until(lambda: _opened(acl))
        assert isinstance(pipe, int)
        assert passwords.read_bytes() != settled
        kicking.cancel()
        await wait_until(lambda: passwords.read_bytes() == settled)
        aside.rename(acl)
        os.write(pipe, rules)
        os.close(pipe)
    assert kicking.cancelled()
    assert await kept.is_welcome(GATE)


async def test_a_keeper_that_is_cancelled_ends_though_it_cannot_put_back_what_it_had_begun(kept: KeptBroker) -> None:
    """It took that failure for one to try again behind, and no hub that was stopped in this moment ended."""
    passwords, pid = kept.broker.directory / "passwords", kept.broker.directory / "mosquitto.pid"
    settled = passwords.read_bytes()
    aside = pid.with_name("aside")

    def is_cutting_off_the_spy() -> bool:
        """Let it find no mosquitto any more, once it has."""
        if passwords.read_bytes() == settled or b"\nspy:" not in passwords.read_bytes():
            return False
        pid.rename(aside)
        return True

    keeping = Interrupted(kept.keeper.run(Restless()), 1, is_cutting_off_the_spy)
    assert await _is_cancelled(keeping)
    assert keeping.reached
    aside.rename(pid)
    await kept.keeper.apply()
    assert not await kept.is_welcome("spy")


async def test_who_could_not_be_let_in_again_is_as_soon_as_mosquitto_can_be_told(kept: KeptBroker) -> None:
    """The files were right and the probe could come in: nothing seemed to be amiss, and nobody told it."""
    passwords, pid = kept.broker.directory / "passwords", kept.broker.directory / "mosquitto.pid"
    settled, aside, left = passwords.read_bytes(), pid.with_name("aside"), 0

    def is_the_last() -> bool:
        """Let it find no mosquitto any more, once it has cut off a little."""
        nonlocal left
        left -= passwords.read_bytes() != settled
        if left == 0:
            pid.rename(aside)
        return left == 0

    for at in count(1):
        left = at
        with suppress(ConfigError):  # ``broker_not_ours``
            await _is_cancelled(Interrupted(kept.broker.kick([GATE, "s1/gate-2"]), 1, is_the_last))
        if left > 0:
            break
        aside.rename(pid)
        await kept.keep()
        assert await kept.is_welcome(GATE), at
        settled = passwords.read_bytes()
    assert at > 5


async def test_who_is_cancelled_lets_nobody_else_at_the_files_before_his_thread_has_ended(tmp_path: Path) -> None:
    """It wrote what it knew behind somebody who knew more: who was revoked would have come in again."""
    broker = Mosquitto(tmp_path, Listeners(port=1), SystemClock())
    os.mkfifo(broker.config)  # the thread waits here
    async with asyncio.TaskGroup() as group:
        applying = group.create_task(broker.apply(Roster(users={})))
        pipe = await wait_until(lambda: _opened(broker.config))
        assert isinstance(pipe, int)
        applying.cancel()
        await asyncio.wait([applying], timeout=0.1)
        with (tmp_path / "lock").open("wb") as lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        broker.config.unlink()
        os.close(pipe)
    assert applying.cancelled()


class Restless(SystemClock):
    """Of somebody who is to end, not to wait until he tries again."""

    @override
    async def sleep(self, seconds: float) -> None:
        raise AssertionError


def _opened(pipe: Path) -> int | None:
    """Open a pipe to write, as soon as somebody reads it."""
    with suppress(OSError):
        return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    return None


async def _is_cancelled(work: Interrupted) -> bool:
    try:
        await work
    except asyncio.CancelledError:
        return True
    finally:
        while here().cancelling():
            here().uncancel()
    return False
