"""A registered device at work: its row, handler and rules, its series, and its entry of the state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import NamedTuple

import msgspec

from hub.catalogue import CommandKind, Type, is_member
from hub.durations import read_duration
from hub.engine.ages import NO_AGES
from hub.engine.state import DeviceState
from hub.errors import PoisonError
from hub.model import Handler, Scalar, Series, Twin
from hub.normalize.responses import Response
from hub.rules.held import Held, of
from hub.rules.rule import Rule
from hub.rules.states import CompiledRule
from hub.rules.verdicts import Verdict

LATE_AFTER_NS = 60_000_000_000
SHAPES = 10_000
"""How many sets of names are remembered per kind; a device that invents new ones costs itself time, not memory."""


class DeviceRow(msgspec.Struct, frozen=True):
    """A device document: what the registry says of one device; ``profile`` empty means the native payload."""

    site: str
    device: str
    kind: str
    profile: str = ""
    building: str = ""
    place: str = ""
    zone: str = "UTC"
    params: dict[str, Scalar] = {}


class Woken(NamedTuple):
    """The rules that the values of a reading wake, by name, and the conditions among them.

    ``minds_missing``: one of them does something when a value is unknown, so it counts when values become stale.
    """

    rules: tuple[CompiledRule, ...]
    verdicts: tuple[Verdict, ...]
    minds_missing: bool


NOBODY = Woken((), (), minds_missing=False)


class KindRules:
    """The rules that concern devices of one kind, by what wakes them; each list in the order of names."""

    def __init__(self, rules: list[CompiledRule]) -> None:
        self._rules = rules
        self.absent = [rule for rule in rules if rule.absent_ns is not None]
        self._reading: dict[tuple[str, ...], Woken] = {}

    def reading(self, part: str, values: Mapping[str, Scalar]) -> Woken:
        """Return the rules whose expressions read one of ``values`` of ``part`` ("" is the device itself).

        Looked up by the names that came together: devices send the same few sets of them, so rules that read none of
        them cost nothing.
        """
        names = (part, *values)
        found = self._reading.get(names)
        if found is None:
            rules = tuple(rule for rule in self.of(part) if not rule.names.isdisjoint(values))
            verdicts = tuple(rule.when.verdict for rule in rules if rule.when is not None)
            found = Woken(rules, verdicts, any(rule.minds_missing for rule in rules))
            if len(self._reading) < SHAPES:
                self._reading[names] = found
        return found

    def of(self, part: str) -> list[CompiledRule]:
        """Return the rules that read anything of ``part``."""
        return [rule for rule in self._rules if rule.names and _covers(rule.rule, part)]

    def waiting_for(self, signal: str, part: str) -> list[CompiledRule]:
        """Return the rules that ``signal`` of ``part`` wakes."""
        return [rule for rule in self._rules if rule.rule.on_signal == signal and _covers(rule.rule, part)]


def _covers(rule: Rule, part: str) -> bool:
    """Return whether ``for_each`` holds a state for ``part``; a signal rule of a kind takes signals of any part."""
    wanted = rule.for_each.part
    if wanted is None:
        return not part or rule.on_signal is not None
    return part == wanted or part.startswith(f"{wanted}-")


class Part:
    """One part of a device at work ("" is the device itself): what is held of it, its key, its series.

    ``names`` are those of the reading that is held, and ``woken`` the rules that they wake; ``has_changed`` since the
    twins were last asked for.
    """

    __slots__ = ("device", "has_changed", "held", "key", "name", "names", "series", "woken")

    def __init__(self, device: Device, name: str, held: Held) -> None:
        row = device.row
        self.device = device
        self.name = name
        self.held = held
        self.key = device.key_of(name)
        self.series = Series(
            kind=row.kind, site=row.site, building=row.building, device=row.device, part=name, profile=row.profile
        )  # fmt: skip
        self.names: tuple[str, ...] = ()
        self.woken = NOBODY
        self.has_changed = False


class Device:
    """One registered device at work: its row, handler, rules, parts, and its entry of the state.

    A reading that came ``least_age`` to ``most_age`` ns after it was measured is live and teaches nothing of the
    device's clock, until ``ages_end`` of engine time awake.
    """

    __slots__ = (
        "ages_end", "building", "commands", "device", "entry_key", "handler", "identity", "is_silent", "key", "kind",
        "late_after_ns", "least_age", "mark", "most_age", "parts", "respond", "row", "rules", "site", "state",
    )  # fmt: skip

    def __init__(self, row: DeviceRow, state: DeviceState) -> None:
        self.row = row
        self.site, self.device, self.kind, self.building = row.site, row.device, row.kind, row.building
        self.identity = (row.site, row.device)
        self.key = f"{row.site}/{row.device}"
        self.entry_key = f"device/{self.key}"
        self.state = state
        self.mark = 0
        self.is_silent = False
        self.handler: Handler
        self.respond: Callable[[bytes], Response]
        self.rules: KindRules
        self.commands: Mapping[str, CommandKind] = {}
        self.late_after_ns = LATE_AFTER_NS
        self.forget_shortcuts()

    def forget_shortcuts(self) -> None:
        """Look up again what depends on rules and profile."""
        self.parts: dict[str, Part] = {}
        self.least_age, self.most_age, self.ages_end = NO_AGES

    def part(self, name: str) -> Part:
        """Return a part that has said something, made when it first does."""
        part = self.parts.get(name)
        if part is None:
            held = self.state.parts.setdefault(name, Held())
            part = self.parts[name] = Part(self, name, held)
        return part

    def key_of(self, part: str) -> str:
        """Return the key of the device, or of one of its parts."""
        return f"{self.key}#{part}" if part else self.key

    def release_of(self, command: str) -> str:
        """Return the command that undoes ``command``, or nothing."""
        known = self.commands.get(command)
        return "" if known is None or known.release is None else known.release

    def settle_args(self, command: str, args: Mapping[str, Scalar]) -> dict[str, Scalar]:
        """Return ``args`` as they go to the device, durations in ms; PoisonError ``bad_args`` says what is wrong."""
        known = self.commands[command].args
        settled: dict[str, Scalar] = {}
        for name, value in sorted(args.items()):
            typed = known.get(name)
            if typed is None:
                raise PoisonError("bad_args", f"{command} takes: {', '.join(sorted(known)) or 'nothing'}")
            if typed.type is Type.DURATION:
                settled[name] = _milliseconds(name, value)
            elif is_member(typed, value):
                settled[name] = value
            else:
                raise PoisonError("bad_args", f"{name} is {typed.type.value}, not {value!r}")
        return settled

    def twin(self, part: str) -> Twin:
        """Return the reported state as readers see it."""
        held = of(self.state.parts, part)
        return Twin(
            site=self.site,
            name=f"{self.device}#{part}" if part else self.device,
            kind=self.kind,
            availability=self.state.availability,
            heard_at=self.state.heard_at,
            reported={name: (value, at, quality) for name, (value, at, _, quality) in held.items()},
        )


def _milliseconds(name: str, value: Scalar) -> int:
    try:
        return read_duration(value) // timedelta(milliseconds=1)
    except ValueError as error:
        raise PoisonError("bad_args", f"{name}: {error}") from error
