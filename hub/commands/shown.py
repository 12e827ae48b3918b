"""Commands as people are shown them: what is wanted of whom, who wants it, and each step with its moment."""

from __future__ import annotations

import msgspec

from hub.commands.life import OPEN, Command, CommandState, Lease, Standing
from hub.model.values import Scalar

MILLION = 1_000_000
ASKS = "commands"
"""The verb that only asks: nothing keeps its answers, for whoever asks again wants a new one, nor who asked."""
REQUESTED = "needs_second_person"
OPEN_STATES = frozenset({REQUESTED, *OPEN, *Standing})
"""What a state is called that is not an end."""
STATES = frozenset({*OPEN_STATES, *CommandState, "unverified"})


class StepShown(msgspec.Struct, frozen=True):
    """One step: what, when (wall ms), and what was said of it."""

    what: str
    at: int
    detail: str = ""


class Hold(msgspec.Struct, frozen=True, omit_defaults=True):
    """The lease behind a command: when (wall ms) its device lets go by itself, and when nothing renews it any more.

    ``tries``: how many releases came to nothing; the next leaves ``again_at`` (wall ms).
    """

    id: str
    standing: str
    release: str = ""
    lapses_at: int = 0
    ends_at: int = 0
    barred: str = ""
    tries: int = 0
    again_at: int = 0


class Shown(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A command, a hold with the command that it sent last, or a request that waits for a second person.

    ``cause`` is the rule or the person. Moments are wall ms; ``steps`` begin with its acceptance, of a hold with its
    wish.
    """

    id: str
    site: str
    device: str
    part: str = ""
    command: str
    args: dict[str, Scalar] = {}
    priority: str
    cause: str
    state: str
    detail: str = ""
    drill: bool = False
    expires_at: int = 0
    steps: list[StepShown]
    hold: Hold | None = None

    @property
    def began_at(self) -> int:
        """When it was accepted, or first known."""
        return self.steps[0].at

    @property
    def is_hold(self) -> bool:
        """True for a hold itself, which stands for the commands that it sends; the first may have its id."""
        return self.hold is not None and self.state == self.hold.standing

    @property
    def is_open(self) -> bool:
        """True until it has come to an end."""
        return self.state in OPEN_STATES


class Listing(msgspec.Struct, frozen=True):
    """The answer to who asks for commands, the newest first; ``left_off`` were too many."""

    commands: list[Shown]
    left_off: int = 0


def shown(command: Command, hold: Hold | None) -> Shown:
    """Return a command as it is shown."""
    return Shown(
        id=command.id, site=command.site, device=command.device, part=command.part, command=command.name,
        args=command.args, priority=command.priority, cause=command.cause, state=command.state.value,
        detail=command.detail, drill=command.drill, expires_at=command.expires_at // MILLION,
        steps=_steps(command), hold=hold,
    )  # fmt: skip


def shown_hold(lease: Lease, last: Command | None, hold: Hold) -> Shown:
    """Return a lease as it is shown, with the steps of what it sent last."""
    args = lease.args if last is None or last.name != lease.command else last.args
    return Shown(
        id=lease.id, site=lease.site, device=lease.device, part=lease.part, command=lease.command, args=args,
        priority=lease.priority, cause=lease.rule, state=lease.standing.value, drill=lease.drill,
        detail=lease.barred or ("" if last is None else f"{last.name} {last.state}: {last.detail}".removesuffix(": ")),
        expires_at=hold.lapses_at, hold=hold,
        steps=[StepShown("wanted", lease.made_at // MILLION), *(() if last is None else _steps(last))],
    )  # fmt: skip


def _steps(command: Command) -> list[StepShown]:
    accepted = StepShown("accepted", command.created_at // MILLION)
    return [accepted, *(StepShown(step.what, step.at // MILLION, step.detail) for step in command.steps)]
