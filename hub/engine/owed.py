"""Releases that are owed: sent until they, or something newer that sets the same, are done; never after that."""

from __future__ import annotations

import msgspec

from hub.commands.arbitration import Claim, covers
from hub.commands.life import OPEN, Command, CommandState, Lease, Standing
from hub.engine.device import Device
from hub.engine.kept_leases import Leases
from hub.engine.moment import Moment
from hub.engine.sending import GIVEN_UP, LET_GO
from hub.model.values import Scalar
from hub.normalize.networks.envelope import EnvelopeClass

RETRY_NS, LONGEST_RETRY_NS = 5_000_000_000, 300_000_000_000
"""How soon a release that came to nothing is tried again: twice as late each time."""
MOST_UNHEEDED = 50
"""So many, in about four hours, that the broker took or the device refused change nothing: a person has to look."""
UNSUPPORTED = "unsupported"
"""What a device answers to what it can not: it is not asked again."""


class Owed(Leases):
    """What is to be let go of leases that are over, or that wait.

    The law: on each part of an actuator the newest intent is the last on the wire. A release is as old as the end of
    its hold, however late it is sent. A command or hold that comes after that lets go by setting the same, so the
    release is tried again only if that fails; of a whole that is overtaken on one part the other parts are let go, each
    by itself. Of a device that never spoke of its parts the whole is let go again: a release always goes out.

    A release is done when its device says or shows so; where neither can be, when the broker has it. Else it is tried
    again, which is harmless: commands set, and never toggle. People are told of the first that came to nothing, and of
    the end: that it was done after all, or that nobody tries any more.
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
        lease.owes_release, lease.last = False, ""

    def retry_t(self, lease: Lease, moment: Moment) -> int:
        """Return when a release is tried again, 0 while it is on its way: then what becomes of it says so."""
        last = self._sender.commands.get(lease.last)
        is_out = last is not None and last.state in OPEN and last.name == lease.release
        return 0 if is_out else moment.t + RETRY_NS

    # ----------------------------------------------------------------------------------------------- what became of it

    def settle(self, command: Command, moment: Moment) -> None:
        """Owe no longer what is done with ``command``; try again what is not."""
        for lease in self._let_go_by(command):
            device = self._find(lease.site, lease.device)
            if device is None or not device.can(lease.release) or _has_let_go(command, lease, device):
                self._be_over(lease, command, moment, f"{command.name} {command.state}" if command.is_done else "")
            elif command.state not in OPEN:
                self._came_to_nothing(lease, command, moment)

    def _came_to_nothing(self, lease: Lease, command: Command, moment: Moment) -> None:
        """Try again later what ``command`` did not do; give up where the device never does it."""
        self.keep(lease)
        is_own, is_refused = command.name == lease.release, command.state is CommandState.REJECTED
        lease.unheeded += is_own and (is_refused or command.is_delivered)
        is_hopeless = lease.unheeded >= MOST_UNHEEDED or (is_own and is_refused and command.detail == UNSUPPORTED)
        wait_ns = min(RETRY_NS << min(lease.tries, 8), LONGEST_RETRY_NS)
        lease.tries += 1
        if lease.standing is not Standing.RELEASES:
            return
        if is_hopeless:
            self.forget(lease)
            self._tell(GIVEN_UP, lease, f"{command.name} {command.state}: {command.detail}".removesuffix(": "), moment)
        else:
            lease.renews_t = moment.t + wait_ns
            self._time(lease)

    def _tell(self, what: str, lease: Lease, why: str, moment: Moment) -> None:
        """Tell what became of a release that was tried again."""
        words: dict[str, Scalar] = {"command": lease.release, "id": lease.last, "detail": why, "tries": lease.tries}
        self._sender.tell(lease, what, words, moment)

    def _let_go_by(self, command: Command) -> list[Lease]:
        """Return the leases that ``command`` lets go: its own, and those that it has overtaken."""
        found = [one for one in self._sender.claims.releasing(command) if one.last == command.id]
        found = [one for one in found if not command.lease or command.name == one.release]
        own = self.leases.get(command.lease) if command.lease else None
        if own is None or own in found or own.last != command.id or command.name != own.release:
            return found
        return [own, *found] if own.owes_release or own.standing is Standing.RELEASES else found

    def _be_over(self, lease: Lease, command: Command, moment: Moment, why: str) -> None:
        """Owe it no longer; ``why`` it is known to be done, if it is."""
        if lease.standing is not Standing.RELEASES:
            self.keep(lease)
            lease.owes_release = False
            return
        self.forget(lease)
        if lease.tries and why and command.name == lease.release:
            self._tell(LET_GO, lease, why, moment)


def _has_let_go(command: Command, lease: Lease, device: Device) -> bool:
    """Return whether ``command`` has let go: a release when it is known to be done, any other when it may be done."""
    if command.is_done:
        return True
    if command.name == lease.release:
        return command.is_delivered and not _would_show(device, lease.release)
    return command.is_delivered and command.state not in OPEN | {CommandState.REJECTED, CommandState.FAILED}


def _would_show(device: Device, release: str) -> bool:
    """Return whether it would be known that ``release`` was done: by what is reported then, or by an answer."""
    outfit, source = device.outfit, device.source
    guard = outfit.guards.get(release)
    if guard is not None and guard.confirm is not None:
        return True
    if source is not None:
        return any(stream.carries is EnvelopeClass.RESPONSE for stream in source.streams)
    return release not in outfit.unanswered
