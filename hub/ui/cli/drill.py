"""``hub drill``: drills of places and devices, by whom, why and until when, with or without commands."""

from __future__ import annotations

from typing import Annotated

import typer

from hub.model.values import Scalar
from hub.ui.cli.drill_fire import fire
from hub.ui.desk.desk import AsJson, desk_of
from hub.ui.desk.exercises import For, Names, Reason, Sites, ask, say_running
from hub.ui.desk.reply import Actor, tell

app = typer.Typer()
app.command("fire")(fire)


@app.command()
def start(
    context: typer.Context,
    site: str,
    names: Names,
    *,
    span: For,
    reason: Reason,
    rule: Annotated[list[str], typer.Option(help="A rule that is drilled; may be repeated. The others stay real.")],
    with_commands: Annotated[
        bool,
        typer.Option("--with-commands", help="Commands really go to the devices, once a second person has agreed."),
    ] = False,
    actor: Actor,
    as_json: AsJson = False,
) -> None:
    """Drill devices, or places with everything in them: the rules named judge as always, what they raise is marked.

    WARNING: UNTIL IT ENDS, A REAL EMERGENCY OF THESE RULES THERE IS MARKED AS A DRILL TOO, and without --with-commands
    nothing is unlocked, recalled or closed for it: nobody can tell it from what you do to the detectors. End the drill
    (`hub drill end`), and it is raised anew and acts. `hub drill fire` has doubles speak: beside it a real alarm stays
    real. 警告：演练期间，同一范围内真实的报警也会标为演练，不联动；如遇真实险情，立即执行 hub drill end。
    """
    args: dict[str, Scalar] = {"site": site, "what": " ".join(names), "for": span, "reason": reason}
    args |= {"rules": " ".join(rule), "with_commands": with_commands}
    tell(ask(desk_of(context), "drill", actor, args), as_json=as_json)


@app.command()
def end(context: typer.Context, site: str, names: Names, *, actor: Actor, as_json: AsJson = False) -> None:
    """End a drill before its time; what is still true is raised anew, for real."""
    args = {"site": site, "what": " ".join(names)}
    tell(ask(desk_of(context), "end_drill", actor, args), as_json=as_json)


@app.command("list")
def list_drills(context: typer.Context, *, site: Sites = None, as_json: AsJson = False) -> None:
    """List the drills that run, what ends first first."""
    say_running(desk_of(context), "drill", site, as_json=as_json)
