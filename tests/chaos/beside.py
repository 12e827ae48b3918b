"""The model beside the storm: its state machine with a seed of its own, in a process that yields to the storm's."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).parent.parent.parent
MACHINE = "tests/model/test_model.py::TestHub"
EXAMPLES_PER_MINUTE = 20
"""A quarter of a second of a quiet processor each, a second of a busy one: it is done before the storm is."""
SAID_BYTES = 4_000


class Model:
    """Plays as many examples as fit beside ``minutes`` of a storm, none for none; leaving ends it."""

    def __init__(self, minutes: float, seed: int, python: str = sys.executable) -> None:
        self.seed = seed
        self.examples = round(EXAMPLES_PER_MINUTE * minutes)
        examples = f"HUB_MODEL_EXAMPLES={self.examples}"
        self.command = "env", examples, python, "-m", "pytest", MACHINE, f"--hypothesis-seed={seed}"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        if self.examples:
            self._said = tempfile.TemporaryFile()
            command = ("nice", "-n", "10", *self.command, "-q", "-x", "-p", "no:cacheprovider")
            self._process = subprocess.Popen(command, cwd=ROOT, stdout=self._said, stderr=subprocess.STDOUT)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._said.close()

    def end(self) -> str:
        """Wait for its end; return what is wrong and how to see it again, nothing when all held."""
        if self._process is None or self._process.wait() == 0:
            return ""
        self._said.seek(0)
        return (
            f"the model does not hold, again by: {' '.join(self.command)}\n" + self._said.read()[-SAID_BYTES:].decode()
        )
