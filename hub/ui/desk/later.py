"""Commands that are imported when somebody calls them: what is only listed costs nothing."""

from __future__ import annotations

import gc
import sys
from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group
from typing_extensions import override

if TYPE_CHECKING:
    from typer._click import Command, Context  # typer keeps its click to itself


def later(commands: Mapping[str, tuple[str, str]]) -> type[TyperGroup]:
    """Return a group, for ``typer.Typer(cls=…)``, that knows ``commands`` by name: what it does, and its module.

    The module holds ``app``, a Typer of its own, or else a function of the command's name.
    """
    return type("Later", (_Later,), {"targets": dict(commands)})


class _Later(TyperGroup):
    targets: ClassVar[Mapping[str, tuple[str, str]]] = {}

    def __init__(self, **attributes: Any) -> None:  # noqa: ANN401 -- handed through as typer gave them
        super().__init__(**attributes)
        stand_ins = {name: TyperGroup(name=name, help=does) for name, (does, _) in self.targets.items()}
        self.commands = {**stand_ins, **self.commands}

    @override
    def resolve_command(self, ctx: Context, args: list[str]) -> tuple[str | None, Command | None, list[str]]:
        if args and args[0] in self.targets:
            self.commands[args[0]] = loaded(args[0], *self.targets[args[0]])
        return super().resolve_command(ctx, args)


def loaded(name: str, does: str, module: str) -> Command:
    """Return the command called ``name`` out of its module, with all that is below it."""
    found = _imported(module)
    if hasattr(found, "app"):
        group = get_group(found.app)
        group.name, group.help, group.no_args_is_help = name, does, True
        return group
    alone = typer.Typer(add_completion=False)
    alone.command(name)(getattr(found, name))
    return get_command(alone)


def _imported(module: str) -> ModuleType:
    """Import it, and let the garbage collector look at nothing meanwhile, nor at what stays ever after.

    A third of importing `hub run` was its looking, 0.2 s.
    """
    if module in sys.modules or not gc.isenabled():
        return import_module(module)
    gc.disable()
    try:
        found = import_module(module)
        gc.freeze()
    finally:
        gc.enable()
    return found
