"""Inputs: what many devices, or one over some time, come to as one value; three-valued and pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import isfinite
from typing import NamedTuple

import msgspec

from hub.durations import nanoseconds
from hub.model.values import Scalar
from hub.rules.clauses import TIME, Input
from hub.rules.expression import Expression, Lists, Name, compile_expression, unless
from hub.rules.held import OF_WITNESSES, Held
from hub.rules.intervals import Between, between

MANY = float("inf")
NEVER = 2**63
POINTS = 128
"""How many steps of one member are remembered; more become coarser."""
NANOSECONDS = 1_000_000_000

Value = Scalar | Between | None


class Track(msgspec.Struct):
    """What is remembered of one member: its last word, and when it moved.

    For ``where``: ``last`` is whether it was true, ``steps`` hold when that ended. For a property over time: ``last``
    is its value measured at ``seen``, ``steps`` are [engine time, sum of what it changed by until then].
    """

    last: Scalar | None = None
    seen: int = -1
    steps: list[tuple[int, float]] = []


class Memory(msgspec.Struct):
    """What the inputs of a rule remember for one key, an entry of the engine's state: input and member to track.

    ``due``: the engine time at which an input changes by itself.
    """

    rule: str
    key: str
    tracks: dict[str, dict[str, Track]] = {}
    due: int | None = None


class Member(msgspec.Struct, frozen=True, gc=False):
    """One device or part that an input looks at; ``clock_error`` of its device in ns."""

    key: str
    device: str
    place: str
    held: Held
    clock_error: int


class Present(msgspec.Struct, frozen=True, gc=False):
    """The moment of looking: engine time, wall time, and engine time awake."""

    t: int
    at: int
    awake: int

    def happened(self, member: Member, measured: int) -> int:
        """Return the engine time of what a member measured then, by its clock less its error."""
        return self.t - max(0, self.at - measured - member.clock_error)


class Tally(NamedTuple):
    """The members that are known to count, and those of which it is not known."""

    yes: list[Member]
    maybe: list[Member]


class CompiledInput:
    """An input at work; ConfigError ``bad_expression`` for a ``where`` or a property that does not fit."""

    def __init__(self, words: Input, names: Mapping[str, Name], lists: Lists | None = None) -> None:
        self.kinds = tuple(words.of)
        self.take, self.of_what = words.taken
        self.within_ns = None if words.within is None else nanoseconds(words.within)
        self.where: Expression | None = None if words.where is None else compile_expression(words.where, names, lists)
        if self.where is not None and words.unless is not None:
            self.where = unless(self.where, compile_expression(words.unless, names, lists))
        self.names = frozenset() if self.where is None else self.where.names
        self._limit: int | None = None
        if self.of_what and not (self.take == "distinct" and self.of_what in {"device", "place"}):
            wanted = self.of_what if self.take in {"changes", "distinct"} else f"{self.of_what} > 0"
            self.names |= {self.of_what}
            if self.take not in {"changes", "distinct"}:
                compile_expression(wanted, names)
            elif self.of_what not in names:
                compile_expression(f"{self.of_what} == 0", names)
            self._limit = names[self.of_what].stale_after
        limits = {name: names[name].stale_after for name in self.names if name in names}
        self.limits = [(name, limit) for name, limit in sorted(limits.items()) if limit is not None]
        self.may_rest = self.where is not None and self.within_ns is not None and self.take not in TIME

    def members(self, found: Sequence[Member]) -> Iterator[Member]:
        """Yield those of whom anything is held that the input reads; a device that said nothing of it is one."""
        spoken = {each.device for each in found if self._speaks(each)}
        silent: set[str] = set()
        for each in found:
            if self._speaks(each):
                yield each
            elif each.device not in spoken and each.device not in silent:
                silent.add(each.device)
                yield each

    def _speaks(self, member: Member) -> bool:
        return any(member.held.value(name) is not None for name in self.names - OF_WITNESSES)

    def value(self, found: Sequence[Member], tracks: dict[str, Track], now: Present) -> tuple[Value, int | None]:
        """Return what it comes to, and when that changes by itself. Changes ``tracks``."""
        members = found if len(found) == 1 else list(self.members(found))
        dues = list(self._ends(members, now)) if self.limits else []
        if self.take in TIME:
            answer, due = self._over_time(members, tracks, now)
            return answer, min(dues if due is None else [*dues, due], default=None)
        tally = Tally([], [])
        dues += [due for each in members if (due := self._count(each, tally, tracks, now)) is not None]
        return _TAKES[self.take](self, tally, now, len(members)), min(dues, default=None)

    def _ends(self, members: Sequence[Member], now: Present) -> Iterator[int]:
        """Yield the engine times at which what members said becomes stale; they come later by what is blind till then.

        Nobody has to say anything for an input to become unknown.
        """
        for member in members:
            for name, limit in self.limits:
                stamped = member.held.get(name)
                if stamped is not None and stamped[2] + limit >= now.awake:
                    yield now.t + stamped[2] + limit + 1 - now.awake

    # ------------------------------------------------------------------------------------------------- what is so now

    def _count(self, member: Member, tally: Tally, tracks: dict[str, Track], now: Present) -> int | None:
        """Put a member where it belongs; return when it leaves by itself."""
        verdict = True if self.where is None else self.where.verdict(member.held, now.awake)
        due = None if self.within_ns is None else self._track(member, verdict, tracks, now)
        if verdict or due is not None:
            tally.yes.append(member)
        elif verdict is None:
            tally.maybe.append(member)
        return due

    def _track(self, member: Member, verdict: object, tracks: dict[str, Track], now: Present) -> int | None:
        """Remember of a member whether it is so now; return when it ceases to count, if it is not."""
        track = tracks.get(member.key)
        if verdict:
            if track is None or not track.last:
                tracks[member.key] = Track(last=True)
            return None
        if track is None:
            return None
        if track.last:
            has_grown_old = verdict is None and self.where is not None and self.where.verdict(member.held, 0)
            ended = now.t if has_grown_old else now.happened(member, member.held.at)
            tracks[member.key] = track = Track(last=False, steps=[(ended, 0.0)])
        due = track.steps[0][0] + (self.within_ns or 0)
        if due > now.t:
            return due
        del tracks[member.key]
        return None

    def stays_until(self, track: Track | None, t: int, *, is_so: bool) -> int:
        """Return until when what it looks for, which ``is_so`` of its only member at ``t``, leaves ``track`` as it is.

        0 where it does not.
        """
        if track is None or track.last:
            return NEVER if is_so is (track is not None) else 0
        ends = track.steps[0][0] + (self.within_ns or 0)
        return 0 if is_so or ends <= t else ends

    def rest(self, held: Held, track: Track | None, now: Present) -> int | None:
        """Return when it changes by itself (NEVER: not), if what its only member holds leaves its ``track`` as it is.

        None where that moves, or where something it reads is stale: since that is so, it is known no longer, and others
        may have become so in the same moment. It is what :meth:`value` does then, without what it comes to.
        """
        is_so = self.where is not None and bool(self.where.verdict(held, now.awake))
        due = self.stays_until(track, now.t, is_so=is_so)
        if not due:
            return None
        for name, limit in self.limits:
            stamped = held.get(name)
            if stamped is None:
                continue
            if stamped[2] + limit < now.awake:
                return None
            due = min(due, now.t + stamped[2] + limit + 1 - now.awake)
        return due

    def remember(self, member: Member, tracks: dict[str, Track], now: Present, *, is_so: bool) -> tuple[int, int]:
        """Remember what its only member says as :meth:`value` does.

        Return when that changes by itself: the member ceases to count, what it said is stale (NEVER: not).
        """
        verdict = is_so or self.where is None or self.where.verdict(member.held, now.awake)
        leaves, ends = self._track(member, verdict, tracks, now) or NEVER, NEVER
        for name, limit in self.limits:
            stamped = member.held.get(name)
            if stamped is not None and stamped[2] + limit >= now.awake:
                ends = min(ends, now.t + stamped[2] + limit + 1 - now.awake)
        return leaves, ends

    def known(self, member: Member, now: Present) -> float | None:
        """Return the number that a member holds, unless it is stale."""
        value = self.said(member, now)
        return value if isinstance(value, int | float) else None

    def said(self, member: Member, now: Present) -> Scalar | None:
        """Return what a member holds of the property that is taken, unless it is stale; else who or where it is."""
        if self.of_what in {"device", "place"}:
            return member.device if self.of_what == "device" else member.place
        return member.held.fresh(self.of_what, -1 if self._limit is None else now.awake - self._limit)

    # ------------------------------------------------------------------------------------------------------- over time

    def _over_time(self, members: Sequence[Member], tracks: dict[str, Track], now: Present) -> tuple[Value, int | None]:
        within = self.within_ns or 0
        low, high = 0.0, 0.0
        dues: list[int] = []
        for member in members:
            track = tracks.setdefault(member.key, Track())
            self._follow(member, track, now)
            start = now.t - within
            while len(track.steps) > 1 and track.steps[1][0] <= start:
                track.steps.pop(0)
            if not track.steps:
                high = MANY
                continue
            moved = track.steps[-1][1] - track.steps[0][1]
            is_covered = track.steps[0][0] <= start
            low += moved
            high += moved if is_covered and self.said(member, now) is not None else MANY
            nearest = 0 if not is_covered else 1
            if nearest < len(track.steps):
                dues.append(track.steps[nearest][0] + within)
        scale = NANOSECONDS / within if self.take == "rate" else 1
        found = between(low * scale, high * scale) if members and isfinite(low) else None
        return found, min(dues, default=None)

    def _follow(self, member: Member, track: Track, now: Present) -> None:
        stamped = member.held.get(self.of_what)
        if stamped is None or stamped[1] == track.seen:  # what is held never goes back, but our clock may
            return
        value = stamped[0]
        at = now.happened(member, stamped[1])
        if not track.steps:
            track.steps = [(at, 0.0)]
        elif value != track.last:
            track.steps.append((max(at, track.steps[-1][0]), track.steps[-1][1] + self._step(track.last, value)))
            if len(track.steps) > POINTS:
                track.steps = [track.steps[0], *track.steps[2:-1:2], track.steps[-1]]
        track.last, track.seen = value, stamped[1]

    def _step(self, before: Scalar | None, value: Scalar) -> float:
        """Return what a change adds: a counter that falls began anew at nothing."""
        if self.take == "changes" or not isinstance(value, int | float) or not isinstance(before, int | float):
            return 1.0
        return float(value - before if value >= before else value)


def _any(_: CompiledInput, tally: Tally, __: Present, members: int) -> Value:
    if tally.yes:
        return True
    return None if tally.maybe or not members else False


def _all(_: CompiledInput, tally: Tally, __: Present, members: int) -> Value:
    if len(tally.yes) + len(tally.maybe) < members:
        return False
    return None if tally.maybe or not members else True


def _how_many(_: CompiledInput, tally: Tally, __: Present, ___: int) -> Value:
    return between(len(tally.yes), len(tally.yes) + len(tally.maybe))


def _distinct(wanted: CompiledInput, tally: Tally, now: Present, _: int) -> Value:
    yes = [wanted.said(member, now) for member in tally.yes]
    every = [*yes, *(wanted.said(member, now) for member in tally.maybe)]
    least, most = {*yes} - {None}, {*every} - {None}
    return between(max(len(least), bool(yes)), len(most) + every.count(None))


def _of_numbers(take: Callable[[list[float]], float], empty: float | None) -> Callable[..., Value]:
    def value(wanted: CompiledInput, tally: Tally, now: Present, _: int) -> Value:
        numbers = [wanted.known(member, now) for member in tally.yes]
        known = [number for number in numbers if number is not None]
        if tally.maybe or len(known) < len(numbers):
            return None
        return _written(take(known)) if known else empty

    return value


def _written(number: float) -> float | None:
    """Return a number as it can be written down: beyond 64 bits a fraction, and beyond every fraction unknown."""
    if isfinite(number):
        return number if -NEVER <= number < NEVER else float(number)
    return None


def _bound(take: Callable[[list[float]], float], far: float) -> Callable[..., Value]:
    def value(wanted: CompiledInput, tally: Tally, now: Present, _: int) -> Value:
        numbers = [wanted.known(member, now) for member in tally.yes]
        known = [number for number in numbers if number is not None]
        if not known:
            return None
        if not tally.maybe and len(known) == len(numbers):
            return take(known)
        return Between(take(known), far) if far > 0 else Between(far, take(known))

    return value


_TAKES: dict[str, Callable[[CompiledInput, Tally, Present, int], Value]] = {
    "any": _any, "all": _all, "count": _how_many, "distinct": _distinct,
    "sum": _of_numbers(sum, 0), "avg": _of_numbers(lambda numbers: sum(numbers) / len(numbers), None),
    "min": _bound(min, -MANY), "max": _bound(max, MANY),
}  # fmt: skip
