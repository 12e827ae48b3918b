"""``hub config``: every setting, its value and where it came from."""

from __future__ import annotations

from dataclasses import asdict

import typer

from hub.ui.cli.desk import AsJson, desk_of
from hub.ui.printing import say_json, say_table

app = typer.Typer()


@app.callback()
def _noun() -> None:
    """Settings of this installation."""


@app.command()
def show(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Show each setting and where it came from; secrets are hidden."""
    settings = desk_of(context).settings.provenance()
    if as_json:
        say_json([asdict(setting) for setting in settings])
    else:
        say_table(("setting", "value", "from"), ((one.name, one.value, one.origin) for one in settings))
