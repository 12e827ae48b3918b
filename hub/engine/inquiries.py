"""What people ask of commands: which there are, what became of each, and to take one back."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from hub.commands.arbitration import is_above, owner_of
from hub.commands.desired import Progress
from hub.commands.life import OPEN, Command, CommandState, Lease, Standing
from hub.commands.shown import MILLION, OPEN_STATES, REQUESTED, Hold, Listing, Shown, StepShown, shown, shown_hold
from hub.engine.acting import Hands
from hub.engine.areas import AGREE_NS, Areas
from hub.engine.desires import Desires
from hub.engine.moment import Moment
from hub.engine.state import Wanted
from hub.model.effects import Reply
from hub.model.records import Control
from hub.rules.rule import Priority

MOST = 200
"""How many one answer holds, about 80 kB."""


class Inquiries:
    """Answers from what is open, and from what ended within the last ten minutes; what is older is told by events."""

    def __init__(self, areas: Areas, hands: Hands, desires: Desires) -> None:
        self._areas = areas
        self._hands = hands
        self._desires = desires

    def commands(self, control: Control, moment: Moment) -> Reply:
        """Answer which commands there are, the newest first; ``args`` narrow it down.

        ``site``, ``device``, ``state`` (several with commas; ``open``), or ``id``: the beginning of one. A hold stands
        for all that it sends, unless an ``id`` is asked for.
        """
        wanted = _test(control)
        identity = str(control.args.get("id", ""))
        found = [each for each in self._all(moment, one_by_one=bool(identity)) if wanted(each)]
        listing = Listing(found[:MOST], len(found[MOST:]))
        return Reply(control.id, ok=True, code="ok", detail=msgspec.json.encode(listing).decode())

    def _all(self, moment: Moment, *, one_by_one: bool) -> Iterator[Shown]:
        yield from (_requested(each, moment) for each in self._areas.waiting())
        leases, commands = self._hands.leases, self._hands.commands
        holds = {each.id: _hold(each, moment) for each in leases.values()}
        rows: list[tuple[int, Shown]] = [
            (each.number, shown_hold(each, commands.get(each.last), holds[each.id])) for each in leases.values()
        ]
        known = set() if one_by_one else set(holds)
        for command in sorted(commands.values(), key=lambda each: -each.number):
            if command.lease and not one_by_one:
                if command.lease in known:
                    continue
                known.add(command.lease)
            rows.append((command.number, shown(command, holds.get(command.lease))))
        yield from (row for _, row in sorted(rows, key=lambda each: -each[0]))

    # ------------------------------------------------------------------------------------------------------ taken back

    def cancel(self, control: Control, moment: Moment) -> Reply:
        """End a hold, or what waits for a second person or a device that sleeps. What is out cannot be called back.

        A wish whose command is taken back is not done until somebody wants it anew.
        """
        identity, actor = str(control.args.get("id", "")), f"operator {control.actor}"
        why = str(control.args.get("reason", ""))
        if self._areas.cancel(identity, {"by": actor, "detail": why}, moment):
            return Reply(control.id, ok=True, code="cancelled", detail=f"{identity}: nobody can agree to it any more")
        command = self._hands.commands.get(identity)
        lease = self._hands.leases.get(identity if command is None or not command.lease else command.lease)
        if lease is not None and lease.standing is not Standing.RELEASES:
            return self._end(control, lease, actor, moment)
        if lease is None and command is not None and command.state is CommandState.WAITING:
            if is_above(command, Priority.OPERATOR.value):
                detail = f"{owner_of(command)} wants it, with priority {command.priority}"
                return Reply(control.id, ok=False, code="outranked", detail=detail)
            self._hands.take_back(command, f"{actor}: {why}".removesuffix(": "), moment)
            return Reply(control.id, ok=True, code="cancelled", detail=f"{command.name} had not left yet")
        code, detail = _too_late(command, lease)
        wanted = None if command is None else self._desires.behind(command)
        if wanted is not None and wanted.progress is Progress.PENDING:
            part = f" --part {wanted.part}" if wanted.part else ""
            detail += f"; it is sent again while {wanted.name}={wanted.value} is desired: "
            detail += f"hub twin unset {wanted.site}/{wanted.device} {wanted.name}{part}"
        return Reply(control.id, ok=False, code=code, detail=detail)

    def _end(self, control: Control, lease: Lease, actor: str, moment: Moment) -> Reply:
        if is_above(lease, Priority.OPERATOR.value):
            detail = f"{owner_of(lease)} has it, with priority {lease.priority}: that ends with its alarm"
            return Reply(control.id, ok=False, code="outranked", detail=detail)
        self._hands.cancel(lease, actor, str(control.args.get("reason", "")), moment)
        detail = f"{lease.command} of {owner_of(lease)}" if not lease.release else f"{lease.release} is sent"
        return Reply(control.id, ok=True, code="cancelled", detail=detail)


def _too_late(command: Command | None, lease: Lease | None) -> tuple[str, str]:
    if command is None and lease is None:
        return "no_such_command", "none that is open, or ended within ten minutes: hub commands list shows them"
    is_of_a_hold = command is not None and bool(command.lease)
    if command is not None and command.state in OPEN and not is_of_a_hold:
        return "already_out", f"it is {command.state}; send what undoes it"
    over = "its hold is over" if is_of_a_hold or command is None else f"it is {command.state}"
    return "already_over", over if lease is None else "its release is on its way"


def _test(control: Control) -> Callable[[Shown], bool]:
    args = {name: str(value) for name, value in control.args.items()}
    states = set(args.get("state", "").split(",")) - {""}
    if "open" in states:
        states |= OPEN_STATES

    def is_wanted(each: Shown) -> bool:
        return (
            args.get("site", "") in {"", each.site}
            and args.get("device", "") in {"", each.device}
            and (not states or each.state in states)
            and each.id.startswith(args.get("id", ""))
        )

    return is_wanted


def _hold(lease: Lease, moment: Moment) -> Hold:
    def wall(t: int | None) -> int:
        return 0 if not t else (moment.at + t - moment.t + MILLION // 2) // MILLION  # records are ns apart

    lapses = wall(lease.lapses_t) if lease.standing is Standing.HOLDS else 0
    again = wall(lease.renews_t) if lease.standing is Standing.RELEASES else 0
    ends = wall(lease.ends_t)
    return Hold(lease.id, lease.standing.value, lease.release, lapses, ends, lease.barred, lease.tries, again)


def _requested(wanted: Wanted, moment: Moment) -> Shown:
    words, until = wanted.args, moment.at + wanted.until_t - moment.t
    where = {"site", "place", "device", "part", "command"}
    return Shown(
        id=wanted.id, site=str(words.get("site", "")), device=f"@{words.get('place', '')}",
        part=str(words.get("part", "")), command=str(words.get("command", "")),
        args={name: value for name, value in words.items() if name not in where},
        priority=Priority.OPERATOR.value, cause=f"operator {wanted.actor}", state=REQUESTED,
        expires_at=until // MILLION, steps=[StepShown(REQUESTED, (until - AGREE_NS) // MILLION)],
    )  # fmt: skip
