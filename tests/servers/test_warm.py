"""What is forked from a warm process is a process as any other: its words, its environment, its output and its end."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.machine import is_running
from tests.servers.warm import Forked, fork
from tests.waiting import PATIENCE_SECONDS

TELLS = """
import os, sys
print(sys.argv[1:], sorted(os.environ), "hub.app" in sys.modules, flush=True)
print("and this", file=sys.stderr)
sys.exit(3)
"""


def forked(file: Path, code: str, *words: str) -> Forked:
    with file.open("wb") as output:
        return fork(code, words, {"HUB_X": "1"}, output.fileno())


def test_it_has_its_own_words_and_nothing_of_ours_and_leaves_with_its_own_code(tmp_path: Path) -> None:
    process = forked(tmp_path / "said", TELLS, "run", "--now")
    assert process.wait(PATIENCE_SECONDS) == 3
    assert (tmp_path / "said").read_text().splitlines() == ["['run', '--now'] ['HUB_X'] True", "and this"]
    process.kill()  # which is nothing any more


def test_it_is_seen_as_what_it_is_and_killed(tmp_path: Path) -> None:
    process = forked(tmp_path / "said", "print('up', flush=True); import signal; signal.pause()", "hub.toml", "run")
    while not (tmp_path / "said").read_bytes():
        assert process.poll() is None
    assert b"-c\0hub.toml\0run" in Path(f"/proc/{process.pid}/cmdline").read_bytes()
    process.kill()
    assert process.wait(PATIENCE_SECONDS) == -signal.SIGKILL
    assert process.poll() == -signal.SIGKILL
    assert not is_running(process.pid)
