"""``hub config``: every setting, its value and where it came from."""

from __future__ import annotations

from dataclasses import asdict

import typer

from hub.ui.desk.desk import AsJson, desk_of
from hub.ui.printing import say_listing

app = typer.Typer()


@app.command()
def show(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Show each setting and where it came from; secrets are hidden."""
    settings = desk_of(context).settings.provenance()
    rows = ((one.name, one.value, one.origin) for one in settings)
    say_listing(map(asdict, settings), ("setting", "value", "from"), rows, empty="no settings", as_json=as_json)
