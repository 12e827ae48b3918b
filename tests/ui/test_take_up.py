"""How soon a running hub takes up what people change: everything that people read says the same, and it is so."""

from __future__ import annotations

import re
from pathlib import Path

from hub import app
from hub.ui.cli.sim_scenario import TAKE_UP_SECONDS

TOP = Path(app.__file__).parents[1]
SAID = re.compile(r"(?:takes? (?:it|them) up|is taken) within (\d+) s")


def test_everything_that_people_read_says_the_same_and_a_hub_looks_that_often() -> None:
    pages = [TOP / "README.md", *sorted((TOP / "hub" / "ui").rglob("*.py"))]
    said = {str(page.relative_to(TOP)): set(SAID.findall(page.read_text("utf-8"))) for page in pages}
    told = {name: each for name, each in said.items() if each}
    assert told == {name: {f"{TAKE_UP_SECONDS:.0f}"} for name in told}
    assert {"README.md", "hub/ui/installing/readme.py", "hub/ui/cli/scenes.py"} <= set(told)
    assert (app.REGISTRY_TICKS + 1) * app.REGISTRY_TICK_SECONDS < TAKE_UP_SECONDS
