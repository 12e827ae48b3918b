"""Leases by id: each is an entry of the state, a claim on its actuator, and due at its moments."""

from __future__ import annotations

from hub.commands.life import Lease, Standing
from hub.engine.sending import Find, Sender
from hub.engine.state import State
from hub.rules.timers import TimerClass, Timers

LEASE_RENEWS, LEASE_LAPSES = "lease renews", "lease lapses"


class Leases:
    """Those that there are; ``watched`` may come to be barred by an interlock, ``asleep``, by device, wait for it."""

    def __init__(self, state: State, timers: Timers, sender: Sender, find: Find) -> None:
        self._state = state
        self._timers = timers
        self._sender = sender
        self._find = find
        self.leases: dict[str, Lease] = {}
        self.watched: dict[str, Lease] = {}
        self.asleep: dict[tuple[str, str], dict[str, Lease]] = {}
        self._wanted: dict[tuple[str, str], dict[str, Lease]] = {}
        self._on: dict[tuple[str, str], dict[str, Lease]] = {}

    def on(self, device: tuple[str, str]) -> list[Lease]:
        """Return the leases on a device, in the order in which they were made."""
        return sorted(self._on.get(device, {}).values(), key=lambda one: one.number)

    def of(self, rule: str, key: str) -> list[Lease]:
        """Return the leases that a rule wants for a key, in the order in which they were made."""
        wanted = [one for one in self._wanted.get((rule, key), {}).values() if one.standing is not Standing.RELEASES]
        return sorted(wanted, key=lambda one: one.number)

    # --------------------------------------------------------------------------------------------------------- entries

    def restore(self, lease: Lease) -> None:
        """Take an entry of a checkpoint, or back what a failed step has changed."""
        self.claim(lease)
        self._time(lease)

    def claim(self, lease: Lease) -> None:
        """Let it be one of those that there are, and a claim on its actuator."""
        self.leases[lease.id] = lease
        self._wanted.setdefault((lease.rule, lease.key), {})[lease.id] = lease
        self._on.setdefault((lease.site, lease.device), {})[lease.id] = lease
        self._sender.claims.put(lease)

    def ascribe(self, lease: Lease, rule: str) -> None:
        """Let ``rule``, which may be a person, have caused what becomes of a lease from now on."""
        self.keep(lease)
        _drop(self._wanted, (lease.rule, lease.key), lease)
        lease.rule = rule
        self.claim(lease)

    def put(self, lease: Lease) -> None:
        """Take a new one."""
        self._sender.undo.note(f"lease/{lease.id}", None)
        self.restore(lease)
        self._state.touch(f"lease/{lease.id}", lease)

    def keep(self, lease: Lease) -> None:
        """Say that ``lease`` is about to change."""
        self._sender.undo.note(f"lease/{lease.id}", lease)
        self._state.touch(f"lease/{lease.id}", lease)

    def forget(self, lease: Lease) -> None:
        """Forget a lease without a word to its device."""
        self._sender.undo.note(f"lease/{lease.id}", lease)
        self.leases.pop(lease.id, None)
        self.watched.pop(lease.id, None)
        for held in (self.asleep, self._on):
            _drop(held, (lease.site, lease.device), lease)
        _drop(self._wanted, (lease.rule, lease.key), lease)
        self._sender.claims.drop(lease)
        self._state.remove(f"lease/{lease.id}")
        self._timers.drop(TimerClass.RUNNING, LEASE_RENEWS, lease.id)
        self._timers.drop(TimerClass.RUNNING, LEASE_LAPSES, lease.id)

    def _time(self, lease: Lease) -> None:
        ends = lease.ends_t
        self.watched.pop(lease.id, None)
        _drop(self.asleep, (lease.site, lease.device), lease)
        if lease.asleep and lease.standing is not Standing.RELEASES:
            self.asleep.setdefault((lease.site, lease.device), {})[lease.id] = lease
        match lease.standing:
            case Standing.HOLDS:
                renews, lapses = lease.renews_t if ends is None else min(lease.renews_t, ends), lease.lapses_t
                self._timers.set(TimerClass.RUNNING, renews, LEASE_RENEWS, lease.id)
                self._timers.set(TimerClass.RUNNING, lapses, LEASE_LAPSES, lease.id)
                self.watched[lease.id] = lease
            case Standing.WAITS:
                dues = [due for due in (ends, lease.renews_t if lease.barred else None) if due is not None]
                self._timers.put(TimerClass.RUNNING, min(dues, default=None), LEASE_RENEWS, lease.id)
                self._timers.drop(TimerClass.RUNNING, LEASE_LAPSES, lease.id)
            case Standing.RELEASES:
                self._timers.put(TimerClass.RUNNING, lease.renews_t or None, LEASE_RENEWS, lease.id)
                self._timers.drop(TimerClass.RUNNING, LEASE_LAPSES, lease.id)


def _drop(found: dict[tuple[str, str], dict[str, Lease]], key: tuple[str, str], lease: Lease) -> None:
    there = found.get(key)
    if there is not None and there.pop(lease.id, None) is not None and not there:
        del found[key]
