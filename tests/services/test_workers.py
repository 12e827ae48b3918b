"""Workers: what dies comes back, what cannot begin ends with 2, and nothing outlives who started it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

from hub.clock import SystemClock
from hub.services.watchdog import ALIVE, TIMES
from hub.services.workers import Worker, Workers, fate_of
from tests.waiting import PATIENCE_SECONDS, wait_until

LIVES = "import time; time.sleep(600)"
HOPELESS = "raise SystemExit(2)"


def worker(name: str, code: str) -> Worker:
    return Worker(name=name, command=[sys.executable, "-c", code])


async def test_a_worker_that_dies_is_started_again_and_the_other_stays(tmp_path: Path) -> None:
    births = tmp_path / "births"
    dying = worker("dying", f"open({str(births)!r}, 'a').write('.'); {LIVES}")
    steady = worker("steady", LIVES)
    workers = Workers([dying, steady], SystemClock())
    async with asyncio.TaskGroup() as group:
        running = group.create_task(workers.run())
        await wait_until(lambda: births.exists() and births.read_text() == "." and steady.pid)
        first, other = dying.pid, steady.pid
        assert dying.process is not None
        dying.process.kill()
        await wait_until(lambda: births.read_text() == "..")
        assert (dying.fate, dying.restarts, steady.pid) == ("ended by SIGKILL", 1, other)
        assert dying.pid != first
        workers.stop()
    assert running.result() == 0
    assert (dying.pid, steady.pid, steady.fate) == (0, 0, "ended by SIGTERM")


async def test_a_worker_that_says_nothing_for_three_looks_is_killed_and_started_again_and_the_other_stays() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    deaf, deafs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs, deaf, deafs:
        steady, hung = worker("steady", LIVES), worker("hung", LIVES)
        steady.line, hung.line = ours, deaf
        workers = Workers([steady, hung], SystemClock())
        async with asyncio.TaskGroup() as group:
            running = group.create_task(workers.run())
            await wait_until(lambda: steady.pid and hung.pid)
            first, other = hung.pid, steady.pid
            os.kill(first, signal.SIGSTOP)
            for _ in range(TIMES):
                assert hung.process is not None
                theirs.send(ALIVE)
                workers.look()
            await wait_until(lambda: hung.restarts == 1 and hung.pid)
            assert (hung.fate, hung.pid != first, hung.silent) == ("hung, ended by SIGKILL", True, 0)
            assert (steady.pid, steady.restarts) == (other, 0)
            workers.stop()
        assert running.result() == 0


async def test_when_no_worker_can_begin_all_end_with_2() -> None:
    workers = Workers([worker("one", HOPELESS), worker("two", HOPELESS)], SystemClock())
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert await workers.run() == 2


async def test_one_that_cannot_begin_does_not_end_the_others() -> None:
    hopeless, steady = worker("hopeless", HOPELESS), worker("steady", LIVES)
    workers = Workers([hopeless, steady], SystemClock())
    async with asyncio.TaskGroup() as group:
        running = group.create_task(workers.run())
        await wait_until(lambda: hopeless.restarts)
        assert steady.process is not None
        workers.stop()
    assert running.result() == 0


async def test_one_that_could_not_begin_and_now_works_is_not_ended_by_another_that_cannot(tmp_path: Path) -> None:
    """Both had left with 2, weeks apart: all was ended, with a code after which systemd starts nothing again."""
    mended, broken = tmp_path / "mended", tmp_path / "broken"
    look = "import pathlib, time; file = pathlib.Path({!r});"
    healed = worker("healed", f"{look.format(str(mended))} file.exists() or file.touch() or exit(2); {LIVES}")
    ill = worker("ill", f"{look.format(str(broken))}\nwhile not file.exists(): time.sleep(0.01)\n{HOPELESS}")
    workers = Workers([healed, ill], SystemClock())
    async with asyncio.TaskGroup() as group:
        running = group.create_task(workers.run())
        await wait_until(lambda: healed.restarts and healed.pid)
        works = healed.pid
        broken.touch()
        await wait_until(lambda: ill.restarts)
        assert healed.pid == works
        workers.stop()
    assert running.result() == 0


async def test_one_that_cannot_be_started_now_is_tried_again_and_ends_nobody(tmp_path: Path) -> None:
    """As without memory for another process; that had ended us, and with us all the others."""
    late, steady = Worker(name="late", command=[str(tmp_path / "late")]), worker("steady", LIVES)
    workers = Workers([late, steady], SystemClock())
    async with asyncio.TaskGroup() as group:
        running = group.create_task(workers.run())
        await wait_until(lambda: late.restarts and steady.pid)
        assert late.fate == "not started: No such file or directory"
        other = steady.pid
        (tmp_path / "late").symlink_to("/bin/cat")
        await wait_until(lambda: late.pid)
        assert steady.pid == other
        workers.stop()
    assert running.result() == 0


async def test_a_process_on_a_leash_ends_when_its_pipe_does() -> None:
    assert await _ended_by("import time; from hub.services.leash import hold_me; hold_me(60);") == -signal.SIGTERM


async def test_one_that_does_not_listen_to_sigterm_is_killed() -> None:
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    assert await _ended_by(f"{deaf} from hub.services.leash import hold_me; hold_me(0.1);") == -signal.SIGKILL


async def _ended_by(code: str) -> int:
    """Start a process, let go of its pipe, and return how it ended."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", f"{code} print(flush=True); time.sleep(600)", stdin=PIPE, stdout=PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    await process.stdout.readline()
    process.stdin.close()
    async with asyncio.timeout(PATIENCE_SECONDS):
        return await process.wait()


def test_the_fate_of_a_worker_is_told_in_words() -> None:
    assert (fate_of(2), fate_of(-9)) == ("left with 2", "ended by SIGKILL")
