"""Whose an actuator is: claims by priority, the newest among equals; one owner at a time; pure.

An actuator is what commands set of a part of a device: the lock of door-1, the door of a car. A part "" is all of them.
Claims are leases, and commands from when they are accepted until their end.
"""

from __future__ import annotations

from hub.commands.life import Command, Lease, Standing

HIGHEST = "life_safety"
PRIORITIES = (HIGHEST, "entrapment", "inspection", "operator", "automatic", "convenience")
"""Highest first (design.md, Commands)."""
_RANKS = {name: rank for rank, name in enumerate(PRIORITIES)}

Claim = Lease | Command


def name_of(claim: Claim) -> str:
    """Return the command that a claim is about."""
    return claim.command if isinstance(claim, Lease) else claim.name


def owner_of(claim: Claim) -> str:
    """Return the rule or person whose claim it is."""
    return claim.rule if isinstance(claim, Lease) else claim.cause


def is_owner(claim: Claim) -> bool:
    """Return whether a claim owns its actuator; an open command always does."""
    return not isinstance(claim, Lease) or claim.standing is Standing.HOLDS


def is_for_life(lease: Lease) -> bool:
    """Return whether a lease keeps people alive while its alarm lasts: only the end of that, or its own, ends it."""
    return lease.priority == HIGHEST and lease.is_of_an_alarm


def is_above(claim: Claim, priority: str) -> bool:
    """Return whether a claim is of a higher priority than ``priority``."""
    return _RANKS[claim.priority] < _RANKS[priority]


def covers(one: Claim, other: Claim) -> bool:
    """Return whether whatever ``other`` sets, ``one`` sets too."""
    return one.part in {"", other.part}


def agrees(one: Claim, other: Claim) -> bool:
    """Return whether ``one`` sets nothing but what ``other`` sets, and the same way."""
    return name_of(one) == name_of(other) and covers(other, one)


def outranks(one: Claim, other: Claim) -> bool:
    """Return whether ``one`` owns an actuator that both want: of the higher priority, among equals the newer.

    Nothing momentary ends a hold for the safety of life: that ends with its alarm, which a person clears.
    """
    mine, theirs = _RANKS[one.priority], _RANKS[other.priority]
    if mine == theirs == 0 and isinstance(one, Lease) is not isinstance(other, Lease):
        return isinstance(one, Lease)
    return (mine, -one.number) < (theirs, -other.number)


def needs_release(loser: Lease, winner: Claim | None) -> bool:
    """Return whether what ``loser`` holds must be let go: not when ``winner`` holds all of it too, or lets it go."""
    if not loser.release:
        return False
    return winner is None or not (covers(winner, loser) and name_of(winner) in {loser.command, loser.release})


def urgency(claim: Claim) -> tuple[int, int]:
    """Return what puts claims in order: the most urgent first, then the oldest."""
    return _RANKS[claim.priority], claim.number


class Claims:
    """Every claim by what it is on; those on an overlapping part of the same device are rivals."""

    def __init__(self) -> None:
        self._on: dict[tuple[str, str, str], dict[str, Claim]] = {}

    def put(self, claim: Claim) -> None:
        """Note a claim; one on no actuator concerns nobody."""
        if claim.sets:
            self._on.setdefault((claim.site, claim.device, claim.sets), {})[claim.id] = claim

    def drop(self, claim: Claim) -> None:
        """Forget a claim; the command of a person's lease has its id, and is none."""
        there = self._on.get((claim.site, claim.device, claim.sets), {})
        if there.get(claim.id) is claim:
            del there[claim.id]
        if not there:
            self._on.pop((claim.site, claim.device, claim.sets), None)

    def _overlapping(self, claim: Claim) -> list[Claim]:
        there = self._on.get((claim.site, claim.device, claim.sets), {}).values()
        found = [other for other in there if other.id != claim.id and (covers(claim, other) or covers(other, claim))]
        return sorted(found, key=lambda other: (_RANKS[other.priority], -other.number))

    def on(self, device: tuple[str, str], sets: str, part: str) -> list[Claim]:
        """Return the claims on what ``sets`` names of a part of a device (site, name), the highest first."""
        there = self._on.get((*device, sets), {}).values()
        found = [claim for claim in there if not (claim.part and part) or claim.part == part]
        return sorted(found, key=lambda claim: (_RANKS[claim.priority], -claim.number))

    def rivals(self, claim: Claim) -> list[Claim]:
        """Return the other claims on what ``claim`` sets, the one that outranks the others first."""
        return [
            other
            for other in self._overlapping(claim)
            if not (isinstance(other, Lease) and other.standing is Standing.RELEASES)
        ]

    def releasing(self, claim: Claim) -> list[Lease]:
        """Return the leases on what ``claim`` sets whose release is owed."""
        return [
            other
            for other in self._overlapping(claim)
            if isinstance(other, Lease) and other.standing is Standing.RELEASES
        ]

    def above(self, claim: Claim) -> Claim | None:
        """Return what outranks ``claim``; None when the actuator is its own."""
        return next((rival for rival in self.rivals(claim) if outranks(rival, claim)), None)
