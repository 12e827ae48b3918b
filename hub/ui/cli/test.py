"""``hub test``: devices and places under test, by whom, why and until when."""

from __future__ import annotations

import typer

from hub.ui.desk.desk import AsJson, desk_of
from hub.ui.desk.exercises import For, Names, Reason, Sites, ask, say_running
from hub.ui.desk.reply import Actor, tell

app = typer.Typer()


@app.command()
def start(
    context: typer.Context, site: str, names: Names, *, span: For, reason: Reason, actor: Actor, as_json: AsJson = False
) -> None:
    """Put devices, or places with everything in them, under test.

    What is still true when the test ends is raised anew, for real. Said again, it moves the end.
    """
    args = {"site": site, "what": " ".join(names), "for": span, "reason": reason}
    tell(ask(desk_of(context), "test", actor, args), as_json=as_json)


@app.command()
def end(context: typer.Context, site: str, names: Names, *, actor: Actor, as_json: AsJson = False) -> None:
    """End a test before its time; what is still true is raised anew, for real."""
    args = {"site": site, "what": " ".join(names)}
    tell(ask(desk_of(context), "end_test", actor, args), as_json=as_json)


@app.command("list")
def list_tests(context: typer.Context, *, site: Sites = None, as_json: AsJson = False) -> None:
    """List what is under test, what ends first first."""
    say_running(desk_of(context), "test", site, as_json=as_json)
