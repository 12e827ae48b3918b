"""A hub that was started by hand may open more files than the system gives to whoever does not ask."""

from __future__ import annotations

import subprocess
import sys

import pytest

FOUND = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
from hub.ui.process.open_files import raise_open_files
may = raise_open_files()
assert may == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
print(may)
"""


@pytest.mark.parametrize(("soft", "hard", "may"), [(256, 1024, 1024), (1024, 1024, 1024)])
def test_as_many_files_are_open_to_it_as_the_system_allows(soft: int, hard: int, may: int) -> None:
    said = subprocess.run([sys.executable, "-c", FOUND.format(soft=soft, hard=hard)], capture_output=True, check=True)
    assert said.stdout.splitlines()[-1] == str(may).encode()
