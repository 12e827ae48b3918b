"""What a lease wants of its device now: the action, with the terms of the lease, and the wish for it by its id."""

from __future__ import annotations

from datetime import timedelta

from hub.commands.life import DEFAULT_EXPIRY_NS, Command, Lease
from hub.engine.device import Device
from hub.engine.moment import Moment
from hub.engine.sending import Cause, Wish
from hub.engine.state import Clock
from hub.model.values import Scalar
from hub.rules.rule import Do, Priority

CLEARED = "cleared"


def numbered(name: str, number: int, clock: Clock) -> str:
    """Return the id of the ``number``-th of ``name``; behind a gap with its mark: what is lost gave it, too."""
    return f"{name}{number}" if clock.began == 1 else f"{name}{number}@{clock.began}"


def action_of(lease: Lease, name: str, args: dict[str, Scalar], moment: Moment) -> Do:
    """Return the action ``name``: what an alarm holds with for as long as that lasts, anything else once."""
    lasts = lease.is_of_an_alarm and name == lease.command
    left = None if lease.ends_t is None else timedelta(microseconds=max(0, lease.ends_t - moment.t) // 1_000)
    return Do(
        command=name, args=args, priority=Priority(lease.priority), reflex=lease.reflex,
        until=CLEARED if lasts else None, at_most=left if lasts else None,
    )  # fmt: skip


def wish_of(lease: Lease, device: Device, action: Do, last: Command | None, clock: Clock) -> Wish:
    """Return the wish for ``action`` after the command ``last``; the first of a person's lease has its own id."""
    is_first = not lease.is_of_an_alarm and not lease.steps
    is_release = action.command != lease.command
    is_again = last is not None and last.name == action.command and not is_release
    return Wish(
        lease.id if is_first else numbered(f"{lease.id}.", lease.steps + 1, clock), device, lease.part, action,
        Cause(lease.rule, DEFAULT_EXPIRY_NS if is_release else lease.expiry_ns, drill=lease.drill), lease.id,
        is_again=is_again, tries=lease.tries if is_release else 0,
    )  # fmt: skip
