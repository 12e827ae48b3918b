"""``python -m tests.model.mutants``: plants one bug after another into the hub; the model's tests must notice each."""

from __future__ import annotations

import importlib.machinery
import re
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from types import CodeType, ModuleType
from typing import Annotated, NamedTuple

import pytest
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table
from typing_extensions import override

ROOT = Path(__file__).parent.parent.parent
TESTS = ("tests/model/test_peers.py", "tests/journal/test_state_file.py", "tests/model/test_model.py")
"""The machine comes last: what is played step by step notices sooner."""
SAID = re.compile(r"^\S+:\d+: (.*)$|^FAILED \S+::(\S+)", re.MULTILINE)


class Bug(NamedTuple):
    """``old`` stands once in ``file``; with ``new`` in its place the hub is wrong, and ``tests`` notice."""

    name: str
    file: str
    old: str
    new: str
    tests: Sequence[str] = TESTS


def bugs() -> list[Bug]:
    """Return all of them."""
    return [Bug(**each) for each in tomllib.loads((Path(__file__).parent / "planted.toml").read_text("utf-8"))["bug"]]


class _Loader(importlib.machinery.SourceFileLoader):
    bug: Bug

    @override
    def get_code(self, fullname: str) -> CodeType:
        text = Path(self.path).read_text("utf-8").replace(self.bug.old, self.bug.new, 1)
        return compile(text, self.path, "exec", dont_inherit=True)


class Planted:
    """Finds the module that has the bug, before anybody else does."""

    def __init__(self, bug: Bug) -> None:
        self._bug = bug
        self._module = bug.file.removesuffix(".py").replace("/", ".")

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the module with its bug, or nothing for every other."""
        if name != self._module:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        assert spec is not None
        assert spec.origin is not None
        loader = spec.loader = _Loader(name, spec.origin)
        loader.bug = self._bug
        return spec


def try_one(bug: Bug) -> list[str]:
    """Run the model's tests with the bug in a process of its own; return what they said, nothing when they passed."""
    command = [sys.executable, "-m", "tests.model.mutants", "--plant", bug.name]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return []
    if done.returncode != pytest.ExitCode.TESTS_FAILED:
        message = f"{bug.name}: the tests did not run\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        raise RuntimeError(message)
    return ["".join(pair) for pair in SAID.findall(done.stdout)]


def main(
    only: Annotated[str, typer.Option(help="Only bugs with this in their names.")] = "",
    plant: Annotated[str, typer.Option(hidden=True)] = "",
) -> None:
    """Plant every bug, one at a time; exit 1 when one goes unnoticed. Half a minute each at most."""
    if plant:
        bug = next(bug for bug in bugs() if bug.name == plant)
        sys.meta_path.insert(0, Planted(bug))
        raise typer.Exit(pytest.main(["-x", "-q", "--tb=line", "-p", "no:cacheprovider", *bug.tests]))
    missed = False
    progress = Console(stderr=True)
    table = Table("Planted bug", "Noticed by")
    for bug in track([bug for bug in bugs() if only in bug.name], "Planting", console=progress):
        said = try_one(bug)
        missed |= not said
        table.add_row(bug.name, "\n".join(map(escape, said)) or "[red]nobody[/red]")
        progress.print(f"{bug.name}: {'noticed' if said else '[red]noticed by nobody[/red]'}", highlight=False)
    Console().print(table)
    raise typer.Exit(int(missed))


if __name__ == "__main__":
    typer.run(main)
