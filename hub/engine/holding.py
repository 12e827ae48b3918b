"""Leases at work: taken, lost, taken up again, renewed and let go; each hold ends, and its release goes out."""

from __future__ import annotations

from hub.commands.arbitration import Claim, covers, is_for_life, is_owner, needs_release, urgency
from hub.commands.life import OPEN, Command, Lease, Standing
from hub.engine.device import Device
from hub.engine.guards import Guards, is_gone
from hub.engine.leasing import action_of, wish_of
from hub.engine.moment import Moment
from hub.engine.owed import RETRY_NS, Owed
from hub.engine.sending import Find, Sender
from hub.engine.state import State
from hub.model.values import Scalar
from hub.rules.timers import Timers

BARRED_NS = 1_000_000_000
"""How soon what an interlock bars is tried again."""


class Holds(Owed):
    """Takes them, lets them go."""

    def __init__(self, state: State, timers: Timers, sender: Sender, find: Find, guards: Guards) -> None:
        super().__init__(state, timers, sender, find)
        self._guards = guards
        sender.when_moved = self._command_moved

    # ----------------------------------------------------------------------------------------------------- whose it is

    def take(self, lease: Lease, device: Device, moment: Moment) -> None:
        """Let a new lease own its actuator, or wait beneath what outranks it."""
        self._sender.undo.note(f"lease/{lease.id}", None)
        self.claim(lease)
        above = self._sender.claims.above(lease)
        if above is None:
            self._own(lease, device, moment)
            return
        self.keep(lease)
        lease.standing = Standing.WAITS
        self._time(lease)
        self._sender.lose(lease, above, moment)

    def _sleeps(self, lease: Lease, device: Device, moment: Moment) -> bool:
        """Keep a lease waiting until its device speaks: whether an interlock bars it then is asked then."""
        if not (lease.asleep and self._sender.sleepers.sleeps(device, moment)):
            return False
        self.keep(lease)
        lease.barred = ""
        return True

    def _is_barred(self, lease: Lease, device: Device, name: str, moment: Moment) -> bool:
        """Keep ``name`` from leaving while an interlock bars it, and tell so once; it is tried again."""
        because = self._guards.bar(device, lease.part, name, moment) or {}
        why = because.get("en", "")
        if why and why != lease.barred:
            words: dict[str, Scalar] = {"command": name, "id": lease.last or lease.id, "detail": why}
            self._sender.tell(lease, "interlocked", words, moment, because)
        if why or lease.barred:
            self.keep(lease)
            lease.barred, lease.renews_t = why, moment.t + BARRED_NS
        return bool(why)

    def look(self, moment: Moment) -> None:
        """Let go what an interlock has come to bar: visibly, and until it no longer does."""
        for lease in sorted(self.watched.values(), key=lambda one: one.number):
            device = self._find(lease.site, lease.device)
            if device is None or not self._guards.is_watched(device, lease.command):
                self.watched.pop(lease.id, None)
            elif self._is_barred(lease, device, lease.command, moment):
                lease.standing, lease.owes_release = Standing.WAITS, bool(lease.release)
                self._time(lease)
                if lease.release:
                    self._transmit(device, lease, lease.release, {}, moment)
                    self.owe_apart(lease, moment)

    def make_way(self, winner: Claim, moment: Moment, *, lets_go: bool = False) -> None:
        """Let go what ``winner``, which nothing outranks, takes over: to wait, or for good when it ``lets_go``."""
        for rival in self._sender.claims.rivals(winner):
            if isinstance(rival, Command):
                self._sender.lose(rival, winner, moment)
                continue
            if is_owner(rival) or lets_go:
                self._give_way(rival, winner, moment, for_good=lets_go)
            if isinstance(winner, Command):
                self.owe_apart(rival, moment)
        self.overtake(winner, moment)

    def _give_way(self, loser: Lease, winner: Claim, moment: Moment, *, for_good: bool) -> None:
        was_owner = is_owner(loser)
        self.keep(loser)
        if not (isinstance(winner, Lease) and (winner.rule, winner.key) == (loser.rule, loser.key)):
            self._sender.lose(loser, winner, moment)
        device = self._find(loser.site, loser.device)
        if was_owner and device is not None and needs_release(loser, winner):
            loser.owes_release = True
            if not self._guards.bar(device, loser.part, loser.release, moment):
                self._transmit(device, loser, loser.release, {}, moment)
        if not for_good:
            loser.standing = Standing.WAITS
        elif was_owner or loser.owes_release:
            loser.standing, loser.renews_t = Standing.RELEASES, self.retry_t(loser, moment)
        else:
            self.forget(loser)
        if loser.id in self.leases:
            self._time(loser)
        if for_good:
            self.take_up(loser, moment)

    def _own(self, lease: Lease, device: Device, moment: Moment) -> None:
        if self._sleeps(lease, device, moment) or self._is_barred(lease, device, lease.command, moment):
            lease.standing = Standing.WAITS
            self._time(lease)
            return
        self.keep(lease)
        lease.standing, lease.owes_release = Standing.HOLDS, False  # first: who gives way looks for whose turn it is
        lease.tries = lease.unheeded = 0
        self.make_way(lease, moment)
        lease.lapses_t = moment.t + lease.ttl_ns
        is_renewed = lease.is_of_an_alarm or (lease.ends_t is not None and lease.ends_t > lease.lapses_t)
        lease.renews_t = moment.t + (lease.ttl_ns // 2 if is_renewed else lease.ttl_ns)
        self._time(lease)
        self._transmit(device, lease, lease.command, lease.args, moment)

    def take_up(self, gone: Claim, moment: Moment) -> None:
        """Let what waited beneath ``gone`` own its actuator again."""
        for heir in self._sender.claims.rivals(gone):
            if not isinstance(heir, Lease) or heir.standing is not Standing.WAITS:
                continue
            device = self._find(heir.site, heir.device)
            if device is not None and self._sender.claims.above(heir) is None:
                self._resume(heir, device, moment)

    def _resume(self, lease: Lease, device: Device, moment: Moment) -> None:
        self._own(lease, device, moment)
        if is_owner(lease):
            detail = "the device has spoken" if lease.asleep else "its turn again"
            words: dict[str, Scalar] = {"command": lease.command, "id": lease.last, "detail": detail}
            self._sender.tell(lease, "resumed", words, moment)

    def heard(self, device: Device, moment: Moment) -> None:
        """Send ``device``, which listens now, what keeps people alive and would have come too late by itself."""
        mine = self.asleep.get(device.identity, {})
        for lease in sorted(mine.values(), key=urgency):
            if lease.standing is Standing.WAITS and self._sender.claims.above(lease) is None:
                self._resume(lease, device, moment)
            elif lease.standing is Standing.HOLDS and self._is_worn(lease, moment):
                self._renew(lease, device, moment)

    def _is_worn(self, lease: Lease, moment: Moment) -> bool:
        """Return whether half of the time is over for which it was sent last."""
        last = self._sender.commands.get(lease.last)
        return last is None or last.name != lease.command or moment.t - last.created_t >= lease.ttl_ns // 2

    # ------------------------------------------------------------------------------------------------------- their end

    def end(self, lease: Lease, moment: Moment) -> None:
        """End a lease: what it holds is let go, unless what waits beneath it holds the same.

        So is what is over and was not let go yet: a release that came to nothing is sent now, for the last time. What
        is owed of one that waits is sent when nobody else holds the same.
        """
        self.owe_apart(lease, moment)
        was_owner = is_owner(lease) or (lease.standing is Standing.RELEASES and lease.renews_t > 0)
        self.forget(lease)
        self.withdraw(lease, "nobody wants it any more", moment)
        if was_owner:
            self._let_go(lease, moment)
        self.take_up(lease, moment)

    def end_all(self, device: Device, moment: Moment) -> None:
        """End every lease on ``device``, and let go what one that waits still owes."""
        for lease in self.on(device.identity):
            if lease.id in self.leases:
                self.end(lease, moment)
        for lease in self.on(device.identity):
            if lease.renews_t:
                self.end(lease, moment)

    def _let_go(self, lease: Lease, moment: Moment) -> None:
        claims = self._sender.claims
        heirs = (one for one in claims.rivals(lease) if isinstance(one, Lease) and claims.above(one) is None)
        device = self._find(lease.site, lease.device)
        if device is None or not needs_release(lease, next(heirs, None)):
            return
        lease.standing, lease.renews_t = Standing.RELEASES, 0
        self.claim(lease)
        self._state.touch(f"lease/{lease.id}", lease)
        self._release(device, lease, moment)

    def _release(self, device: Device, lease: Lease, moment: Moment) -> None:
        """Send the release of a lease that is over; barred it waits."""
        if self._is_barred(lease, device, lease.release, moment):
            self._time(lease)
            return
        self.keep(lease)
        lease.renews_t = 0
        self._transmit(device, lease, lease.release, {}, moment)

    def _is_put_off(self, lease: Lease, device: Device, moment: Moment) -> bool:
        """Return whether a release is not to be tried now, nor any more when what its device reports shows it done.

        It waits while others hold any of the same, and, after a first that came to nothing, until its device speaks.
        """
        if self._is_seen_done(lease, device, moment):
            return True
        rivals = self._sender.claims.rivals(lease)
        holder = next((one for one in rivals if isinstance(one, Lease) and is_owner(one)), None)
        is_deaf = lease.tries and is_gone(device) and not self._sender.sleepers.sleeps(device, moment)
        if holder is None and not is_deaf:
            return False
        self.keep(lease)
        lease.renews_t = moment.t + RETRY_NS
        self._time(lease)
        if holder is not None and not covers(holder, lease):
            self._of_part(lease, holder.part)
        return True

    def _is_seen_done(self, lease: Lease, device: Device, moment: Moment) -> bool:
        """Owe no longer what came to be so since it was tried, in whatever way; of one part, for of several who knows.

        What opens the door after that was not we, and we do not undo it.
        """
        last = self._sender.commands.get(lease.last)
        is_one = bool(lease.part) or not any(device.state.by_part())  # not ``parts``: a start fills those anew
        if not (is_one and last is not None and last.name == lease.release):
            return False
        if not self._guards.is_seen(device, lease.part, last.name, last.since):
            return False
        self._be_over(lease, last, moment, "the device shows it")
        return True

    def _command_moved(self, command: Command, moment: Moment) -> None:
        """Take up what waited beneath a command that has ended; see whether what is owed was done with it."""
        self.settle(command, moment)
        if not command.lease and command.sets and command.state not in OPEN:
            self.take_up(command, moment)

    # ------------------------------------------------------------------------------------------------------------ time

    def ripen(self, identity: str, moment: Moment) -> list[Lease]:
        """Renew or end a lease whose time has come; return those that lapsed though they may still be wanted.

        What keeps an escape door open does not lapse: while nobody could renew it, nobody said that it is over either.
        """
        lease = self.leases.get(identity)
        device = None if lease is None else self._find(lease.site, lease.device)
        if lease is None or device is None:
            if lease is not None:
                self.forget(lease)
            return []
        if lease.standing is Standing.RELEASES:
            if not self._is_put_off(lease, device, moment):
                self._release(device, lease, moment)
            return []
        is_over = lease.ends_t is not None and moment.t >= lease.ends_t
        has_lapsed = lease.standing is Standing.HOLDS and moment.t >= lease.lapses_t
        if is_over:
            self.end(lease, moment)
        elif has_lapsed and not is_for_life(lease):
            return self._lapse(lease, moment)
        else:
            self._go_on(lease, device, moment)
        return []

    def _go_on(self, lease: Lease, device: Device, moment: Moment) -> None:
        """Renew a lease, or try whether it is its turn now."""
        if lease.standing is Standing.HOLDS and moment.t >= lease.renews_t:
            self._renew(lease, device, moment)
        elif lease.standing is Standing.WAITS and self._sender.claims.above(lease) is None:
            self._resume(lease, device, moment)

    def _lapse(self, lease: Lease, moment: Moment) -> list[Lease]:
        """Let go what nobody renewed: nobody knows yet whether it, or what waits beneath it, is still wanted."""
        beneath = [one for one in self._sender.claims.rivals(lease) if isinstance(one, Lease)]
        for one in beneath:
            self.forget(one)
        self.end(lease, moment)
        for one in beneath:  # of another part, that waited beneath what is forgotten
            self.take_up(one, moment)
        return [lease, *beneath]

    def _renew(self, lease: Lease, device: Device, moment: Moment) -> None:
        self.keep(lease)
        lease.renews_t, lease.lapses_t = moment.t + lease.ttl_ns // 2, moment.t + lease.ttl_ns
        self._time(lease)
        self._transmit(device, lease, lease.command, lease.args, moment)

    def _transmit(self, device: Device, lease: Lease, name: str, args: dict[str, Scalar], moment: Moment) -> None:
        last = self._sender.commands.get(lease.last)
        wish = wish_of(lease, device, action_of(lease, name, args, moment), last, self._state.clock)
        if last is not None and wish.is_again and self._sender.sleepers.is_needless(wish, last, moment):
            return
        self.withdraw(lease, f"{name} takes its place", moment)
        self.keep(lease)
        lease.steps += 1
        lease.last = wish.identity
        self._sender.transmit(device, self._sender.prepare(wish, moment), moment)
