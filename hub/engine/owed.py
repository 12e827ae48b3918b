"""Releases that are owed: sent until they, or something newer that sets the same, have left; never after that."""

from __future__ import annotations

import msgspec

from hub.commands.arbitration import Claim, covers
from hub.commands.life import OPEN, Command, CommandState, Lease, Standing
from hub.engine.kept_leases import Leases
from hub.engine.moment import Moment

RETRY_NS, LONGEST_RETRY_NS = 5_000_000_000, 300_000_000_000
"""How soon a release that did not leave is tried again: twice as late each time, until it has left."""
_LEFT = frozenset({CommandState.DELIVERED, CommandState.EXECUTED, CommandState.VERIFIED, CommandState.REJECTED})


class Owed(Leases):
    """What is to be let go of leases that are over, or that wait.

    The law: on each part of an actuator the newest intent is the last on the wire. A release is as old as the end of
    its hold, however late it is sent. A command or hold that comes after that lets go by setting the same, so the
    release is tried again only if that fails; of a whole that is overtaken on one part the other parts are let go, each
    by itself. Of a device that never spoke of its parts the whole is let go again: a release always goes out.
    """

    def withdraw(self, lease: Lease, why: str, moment: Moment) -> None:
        """End the command of a lease that still waits for its device to speak."""
        last = self._sender.commands.get(lease.last)
        if last is not None and last.state is CommandState.WAITING:
            self._sender.become(last, CommandState.SUPERSEDED, why, moment)

    def overtake(self, winner: Claim, moment: Moment) -> None:
        """Let ``winner``, which leaves now, do what is owed on what it sets."""
        for old in self._sender.claims.releasing(winner):
            is_whole = covers(winner, old)
            mine = old if is_whole else self._of_part(old, winner.part)
            if mine is None:
                continue
            if isinstance(winner, Lease):
                self.forget(mine)  # its own release will do
                if is_whole:
                    self.withdraw(mine, "another hold takes its place", moment)
            else:
                self.keep(mine)
                mine.last, mine.renews_t = winner.id, 0
                self._time(mine)

    def _of_part(self, lease: Lease, part: str) -> Lease | None:
        """Owe the release of a whole for each of its parts; return the one of ``part``, None: nobody knows of it."""
        device = self._find(lease.site, lease.device)
        named = [] if device is None else sorted(name for name in device.state.by_part() if name)
        if part not in named:
            return None
        self.forget(lease)
        for name in named:
            self.put(msgspec.structs.replace(lease, id=f"{lease.id}#{name}", part=name))
        return self.leases[f"{lease.id}#{part}"]

    def owe_apart(self, lease: Lease, moment: Moment) -> None:
        """Owe the release of a lease that waits, if it does, apart from it: it may hold again, or end, before that."""
        if lease.standing is not Standing.WAITS or not lease.owes_release:
            return
        due = self.retry_t(lease, moment)
        self.put(
            msgspec.structs.replace(
                lease, id=f"{lease.id}~{lease.steps}", standing=Standing.RELEASES, renews_t=due, barred=""
            )
        )
        self.keep(lease)
        lease.owes_release = False

    def retry_t(self, lease: Lease, moment: Moment) -> int:
        """Return when a release is tried again, 0 while it is on its way: then what becomes of it says so."""
        last = self._sender.commands.get(lease.last)
        is_out = last is not None and last.state in OPEN and last.name == lease.release
        return 0 if is_out else moment.t + RETRY_NS

    # ----------------------------------------------------------------------------------------------- what became of it

    def settle(self, command: Command, moment: Moment) -> None:
        """Owe no longer what has left with ``command``; try again what has not."""
        for lease in self._let_go_by(command):
            device = self._find(lease.site, lease.device)
            if device is None or not device.can(lease.release) or _has_let_go(command):
                self._has_left(lease)
            elif command.state not in OPEN and lease.standing is Standing.RELEASES:
                self.keep(lease)
                lease.renews_t = moment.t + min(RETRY_NS << min(lease.tries, 8), LONGEST_RETRY_NS)
                lease.tries += 1
                self._time(lease)

    def _let_go_by(self, command: Command) -> list[Lease]:
        """Return the leases that ``command`` lets go: its own, and those that it has overtaken."""
        found = [one for one in self._sender.claims.releasing(command) if one.last == command.id]
        found = [one for one in found if not command.lease or command.name == one.release]
        own = self.leases.get(command.lease) if command.lease else None
        if own is None or own in found or own.last != command.id or command.name != own.release:
            return found
        return [own, *found] if own.owes_release or own.standing is Standing.RELEASES else found

    def _has_left(self, lease: Lease) -> None:
        if lease.standing is Standing.RELEASES:
            self.forget(lease)
        else:
            self.keep(lease)
            lease.owes_release = False


def _has_let_go(command: Command) -> bool:
    """Return whether ``command`` has let go: a release when it has left, any other when it ends and was not refused."""
    if command.lease:
        return command.is_delivered or command.state in _LEFT
    return command.is_delivered and command.state not in OPEN | {CommandState.REJECTED, CommandState.FAILED}
