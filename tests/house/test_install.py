"""The installer: what a machine lacks is one sentence, before anything is written."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.rooms import HOUSE

# What the fake interpreter answers to each question of the installer.
GOOD = {
    "version_info": "exit 0",
    "ensurepip": "exit 0",
    "sys.platform": "echo linux",
    "glibc": "exit 0",
    "28": "exit 0",
}


VENV = "-m venv --clear .venv"
INSTALL = "-m pip install --disable-pip-version-check --constraint constraints.txt --editable .[dev]"


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """Return a copy of what the installer reads, on a machine whose PATH holds next to nothing."""
    (tmp_path / "house" / ".ci").mkdir(parents=True)
    shutil.copy(HOUSE / ".ci" / "install", tmp_path / "house" / ".ci" / "install")
    shutil.copy(HOUSE / "Makefile", tmp_path / "house" / "Makefile")
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / "house" / name).touch()
    (tmp_path / "bin").mkdir()
    for tool in ("sh", "dirname", "cat", "rm", "mkdir", "ln", "make"):
        found = shutil.which(tool)
        assert found is not None
        (tmp_path / "bin" / tool).symlink_to(found)
    return tmp_path / "house"


def python(house: Path, name: str = "python3", **answers: str) -> None:
    """Put an interpreter on the PATH that answers as told and, for -m, only writes down what it was asked."""
    cases = "\n".join(f"    *{question}*) {answer} ;;" for question, answer in {**GOOD, **answers}.items())
    record = house.parent / "asked"
    script = f"""#!/bin/sh
case "$1" in
-m)
    echo "$*" >> {record}
    [ "$2" != venv ] || {{ mkdir -p .venv/bin; ln -sf "$0" .venv/bin/python; echo "#!$PWD/.venv/" >.venv/bin/pip; }}
    exit 0 ;;
esac
case "$2" in
{cases}
esac
"""
    file = house.parent / "bin" / name
    file.write_text(script, encoding="utf-8")
    file.chmod(0o755)


def run(house: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {"PATH": str(house.parent / "bin"), **environment}
    return subprocess.run(command, cwd=house, env=variables, capture_output=True, text=True, check=False)


def asked(house: Path) -> list[str]:
    record = house.parent / "asked"
    return record.read_text(encoding="utf-8").splitlines() if record.exists() else []


def refusal(house: Path, **environment: str) -> str:
    """Install, expect a refusal of one sentence that leaves nothing behind, and return it."""
    before = sorted(path.relative_to(house) for path in house.rglob("*"))
    done = run(house, "sh", ".ci/install", **environment)
    assert done.returncode == 1
    assert done.stdout == ""
    assert asked(house) == []
    assert sorted(path.relative_to(house) for path in house.rglob("*")) == before
    assert re.fullmatch(r"[^\n]+[.)]\n", done.stderr)
    return done.stderr


def test_a_machine_without_python_is_told_which_one_it_needs(house: Path) -> None:
    assert "needs Python 3.11 or newer" in refusal(house)


def test_an_old_python_is_as_good_as_none(house: Path) -> None:
    python(house, version_info="exit 1")
    assert "needs Python 3.11 or newer" in refusal(house)


def test_a_newer_python_under_another_name_is_found(house: Path) -> None:
    python(house, version_info="exit 1")
    python(house, "python3.12")
    assert run(house, "sh", ".ci/install").returncode == 0
    assert asked(house)[0] == VENV


def test_a_python_that_cannot_make_environments_names_the_package(house: Path) -> None:
    python(house, ensurepip="exit 1")
    assert "apt-get install python3-venv" in refusal(house)


def test_musl_is_named(house: Path) -> None:
    python(house, glibc="exit 1")
    assert "musl" in refusal(house)


def test_an_old_c_library_is_named(house: Path) -> None:
    python(house, **{"28": "exit 1"})
    assert "older than 2.28" in refusal(house)


def test_another_system_than_linux_is_not_asked_for_its_c_library(house: Path) -> None:
    python(house, **{"sys.platform": "echo darwin", "glibc": "exit 1"})
    assert run(house, "sh", ".ci/install").returncode == 0


def test_an_interpreter_can_be_named(house: Path) -> None:
    python(house, version_info="exit 1")
    python(house, "mine")
    assert run(house, "sh", ".ci/install", PYTHON="mine").returncode == 0


def test_the_questions_are_answered_by_a_real_python_too() -> None:
    text = (HOUSE / ".ci" / "install").read_text(encoding="utf-8")
    questions = re.findall(r"-c '([^']+)'", text)
    assert len(questions) == 6
    codes = [subprocess.run(["python3", "-c", question], check=False).returncode for question in questions]
    assert codes == [0] * 6


def test_installing_happens_once_and_again_when_the_pins_change(house: Path) -> None:
    python(house)
    assert run(house, "make", ".venv/installed").returncode == 0
    assert run(house, "make", ".venv/installed").returncode == 0
    assert asked(house) == [VENV, INSTALL]
    later = (house / ".venv" / "installed").stat().st_mtime + 10
    os.utime(house / "constraints.txt", (later, later))
    assert run(house, "make", ".venv/installed").returncode == 0
    assert asked(house) == [VENV, INSTALL, INSTALL]


REALLY = f'exec {sys.executable} "$@"'


def test_a_tree_that_was_moved_or_copied_has_an_environment_of_its_own(house: Path) -> None:
    """The commands of one that is another tree's start that one's hub, and prove its code."""
    python(house, version_info=REALLY)
    assert run(house, "make", ".venv/installed").returncode == 0
    shutil.copytree(house, house.parent / "hou", symlinks=True)
    (house.parent / "asked").unlink()
    for _ in range(2):
        assert run(house.parent / "hou", "make", ".venv/installed").returncode == 0
    assert asked(house) == [VENV, INSTALL]


def test_an_environment_whose_python_is_gone_is_made_anew(house: Path) -> None:
    python(house, version_info=REALLY)
    assert run(house, "make", ".venv/installed").returncode == 0
    (house / ".venv" / "installed").unlink()
    (house / ".venv" / "bin" / "python").unlink()
    (house / ".venv" / "bin" / "python").symlink_to("/usr/bin/python3.6")
    assert run(house, "make", ".venv/installed").returncode == 0
    assert asked(house) == [VENV, INSTALL] * 2


def test_the_interpreter_that_was_named_is_taken_or_none(house: Path) -> None:
    python(house)
    python(house, "my own", version_info="exit 1")
    assert "needs Python 3.11 or newer" in refusal(house, PYTHON="my own")
    python(house, "my own")
    assert run(house, "sh", ".ci/install", PYTHON="my own").returncode == 0


def test_a_failed_installation_is_tried_again(house: Path) -> None:
    python(house)
    broken = house.parent / "bin" / "python3"
    broken.write_text(
        broken.read_text(encoding="utf-8").replace("exit 0 ;;\nesac", "exit 1 ;;\nesac"), encoding="utf-8"
    )
    assert run(house, "make", ".venv/installed").returncode != 0
    assert not (house / ".venv" / "installed").exists()


@pytest.mark.parametrize("script", [".ci/run", ".ci/install"])
def test_scripts_are_plain_posix_and_executable(script: str) -> None:
    path = HOUSE / script
    assert path.read_text(encoding="utf-8").startswith("#!/bin/sh\n")
    assert os.access(path, os.X_OK)
    assert subprocess.run(["sh", "-n", str(path)], check=False).returncode == 0
