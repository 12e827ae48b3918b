"""`hub demo` in a pipe: the books add up, Ctrl-C is no excuse, and no child is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from hub.ui.demo.staging import BrokerChoice
from tests.machine import is_running, needs_mosquitto
from tests.ui.installation import environment, hub_command
from tests.waiting import PATIENCE_SECONDS


def demo(*arguments: str, **variables: str) -> subprocess.Popen[str]:
    """Start a demo whose output is a pipe."""
    pipe = subprocess.PIPE
    command = hub_command("demo", *arguments)
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, env=environment(TERM="dumb", **variables), text=True)


def runs(pid: int) -> list[str]:
    """Return the first words of what a process runs."""
    return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8").split("\0")[:3]


def descendants(pid: int) -> set[int]:
    """Return the children of ``pid``, and theirs."""
    children: set[int] = set()
    for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # that thread has ended meanwhile
            children |= {int(child) for child in tasks.read_text(encoding="ascii").split()}
    return children.union(*(descendants(child) for child in children))


@needs_mosquitto
def test_a_demo_of_seconds_adds_up(tmp_path: Path) -> None:
    # The operator opens a gate after 0.9 s, by when it must have connected: on a busy machine half a second is short.
    with demo("--duration", "6", "--dir", str(tmp_path / "demo"), "--broker", BrokerChoice.MOSQUITTO) as process:
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, err) == (0, ""), out
    assert out.splitlines()[-1] == "adds up"
    assert "FAIL" not in out
    assert "烟雾报警 / Smoke alarm raised" in out
    assert "命令已执行（设备答复） / A command was done, says the device" in out
    assert "命令已执行（状态已证实） / A command was done, as the device shows" in out
    assert "烟雾报警 / Smoke alarm acknowledged" in out
    assert (tmp_path / "demo" / "hub" / "journal.sqlite").exists()


def test_a_demo_without_mosquitto_says_what_its_broker_is_not(tmp_path: Path) -> None:
    with demo("--duration", "2", "--dir", str(tmp_path), "--broker", BrokerChoice.IOTCORE, "--json") as process:
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, err) == (0, ""), out
    lines = [json.loads(line) for line in out.splitlines()]
    assert "no access control" in lines[0]["note"]
    assert lines[-1]["adds_up"] is True
    (where,) = [line["note"] for line in lines if "redis-cli" in line.get("note", "")]
    assert f"$(cat {tmp_path}/valkey/password) redis-cli -p " in where, "a program of one's own finds the events"
    assert (tmp_path / "valkey" / "password").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@needs_mosquitto
def test_a_demo_that_is_stopped_closes_its_books_and_leaves_no_child(tmp_path: Path, number: signal.Signals) -> None:
    with demo("--duration", "50", "--dir", str(tmp_path)) as process:
        assert process.stdout is not None
        until_it_hears = iter(process.stdout.readline, "")
        assert any("applied=" in line and "applied=0" not in line for line in until_it_hears)
        children = descendants(process.pid)
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, err) == (0, ""), out
    assert "stopped early" in out
    assert out.splitlines()[-1] == "adds up"
    assert len(children) >= 4, "Valkey and mosquitto, each on a leash"
    assert [child for child in children if is_running(child)] == []


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_demo_that_nobody_reads_any_more_puts_everything_away(tmp_path: Path, form: tuple[str, ...]) -> None:
    with demo("--duration", "50", "--broker", BrokerChoice.IOTCORE, *form, TMPDIR=str(tmp_path)) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert any("applied" in line for line in iter(process.stdout.readline, ""))
        children = descendants(process.pid)
        process.stdout.close()
        err = process.stderr.read()
        assert (process.wait(PATIENCE_SECONDS), err) == (1, "")
    assert [child for child in children if is_running(child)] == []
    assert [*tmp_path.iterdir()] == []


@needs_mosquitto
def test_a_demo_whose_terminal_is_closed_puts_everything_away(tmp_path: Path) -> None:
    """It ended the hard way, and what it had written lay in /tmp for good."""
    terminal, its_end = os.openpty()
    words = hub_command("demo", "--duration", "50")
    # setsid and TIOCSCTTY: only who has a terminal for its own is told when it goes.
    begin = f"import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.executable, {words})"
    with subprocess.Popen(
        [sys.executable, "-c", begin],
        stdin=its_end,
        stdout=its_end,
        stderr=its_end,
        env=environment(TERM="dumb", TMPDIR=str(tmp_path)),
        start_new_session=True,
    ) as process:
        os.close(its_end)
        with os.fdopen(terminal, "rb", buffering=0) as screen:
            shown = b""
            while b"/readyz" not in shown:
                shown += screen.read(4096)
            children = descendants(process.pid)
        assert process.wait(PATIENCE_SECONDS) == 1
    assert len(children) >= 4, "Valkey and mosquitto, each on a leash"
    assert [child for child in children if is_running(child)] == []
    assert [*tmp_path.iterdir()] == []


def test_a_demo_whose_broker_dies_says_so_and_ends(tmp_path: Path) -> None:
    with demo("--duration", "50", "--dir", str(tmp_path), "--broker", BrokerChoice.IOTCORE) as process:
        assert process.stdout is not None
        assert any("applied=" in line for line in iter(process.stdout.readline, ""))
        (broker,) = [child for child in descendants(process.pid) if runs(child) == [sys.executable, "-m", "iotcore"]]
        os.kill(broker, signal.SIGKILL)
        _, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 1
    assert "[broker_died]" in err


def test_a_demo_keeps_away_from_a_directory_that_holds_something(tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    with demo("--dir", str(tmp_path)) as process:
        _, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 2
    assert "directory_not_empty" in err
