"""``python -m tests.engine.histories``: other histories than those of CI, until one is wrong or all are played."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import track

from tests.engine.histories.trying import STEPS, report, try_one


def main(
    seed: Annotated[int, typer.Option(help="The first history; the others follow.")] = 1_000,
    histories: Annotated[int, typer.Option(help="How many.")] = 100,
    steps: Annotated[int, typer.Option(help="How long each is.")] = STEPS,
    most: Annotated[int, typer.Option(help="End when so many are wrong.")] = 1,
) -> None:
    """Play histories; exit 1 when one is wrong, and show it as short as it can be."""
    found = 0
    for each in track(range(seed, seed + histories), "Playing", console=Console(stderr=True)):
        history, wrong = try_one(each, steps)
        if wrong:
            found += 1
            Console().print(escape(report(each, history, wrong)), "", sep="\n", soft_wrap=True, highlight=False)
        if found >= most:
            break
    raise typer.Exit(int(found > 0))


if __name__ == "__main__":
    typer.run(main)
