"""A registered device at work: its row, handler and rules, its series, and its entry of the state."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from msgspec.structs import asdict
from typing_extensions import override

from hub.catalogue import CommandKind, Label
from hub.engine.ages import NO_AGES
from hub.engine.arguments import settled
from hub.engine.known import DeviceState
from hub.engine.rows import DOUBLE, DeviceRow
from hub.engine.woken import NOBODY
from hub.model.effects import Series, Twin
from hub.model.heard import Reading
from hub.model.values import Scalar, Values
from hub.normalize.native import Shape
from hub.normalize.networks.source import CompiledSource
from hub.rules.held import NOTHING_OLDER, Held, Stamped

if TYPE_CHECKING:
    from hub.engine.kind_rules import KindRules
    from hub.engine.outfits import Outfit
    from hub.engine.places import Place

ReadForeign = Callable[[bytes, int | None], Sequence[Reading]]
"""A payload and the port that the network says beside it, to readings."""

LATE_AFTER_NS = 60_000_000_000


class Deafness(NamedTuple):
    """Why a device cannot be understood: what its messages end as."""

    code: str
    reason: str


class Abroad(NamedTuple):
    """What a device of a foreign network is there: its source, what that calls it in its topics, the profile at work.

    ``deafness`` says why it cannot be understood yet.
    """

    source: CompiledSource | None
    called: str
    profile: str
    deafness: Deafness | None


_held: Callable[[Part], Values | msgspec.Struct] = vars(Held)["values"].__get__
hold: Callable[[Part, Values | msgspec.Struct], None] = vars(Held)["values"].__set__
"""Let a part hold values as they were decoded; a struct is a dict again whenever somebody reads them."""


class Part(Held):
    """One part of a device at work ("" is the device itself): what is held of it, its key, its series.

    ``values`` as a :class:`~hub.normalize.native.Said` has them take 48 bytes of each device, and a dict of three 192.
    ``series`` is what its points are written under, once there was one. ``woken`` are the rules that the held reading
    woke, if the next of the same names may be usual; ``has_changed`` while its changed twin waits to be taken.
    """

    __slots__ = ("device", "has_changed", "key", "series", "woken")

    def __init__(self, device: Device, name: str, held: Held) -> None:  # takes the place of ``held``
        super().__init__(held.values, held.at, held.awake, held.quality, held.bad, held.older or NOTHING_OLDER)
        self.device = device
        self.key = device.key_of(name)
        self.series: Series | bytes | None = None
        self.woken = NOBODY
        self.has_changed = device.is_double  # what a drill put beside a device has no twin, ever: nobody takes it

    @property  # type: ignore[explicit-override] # mypy does not see it on a property that can be set
    def values(self) -> Values:
        """What was said last, by name."""
        said: Values | msgspec.Struct = _held(self)
        return asdict(said) if isinstance(said, msgspec.Struct) else said

    @values.setter
    def values(self, values: Values) -> None:
        hold(self, values)

    @property
    def name(self) -> str:
        """Its name."""
        return self.key[len(self.device.key) + 1 :]

    def join(self, device: Device) -> Part:
        """Be a part of ``device``, which may be another than before, or the same with other rules; return itself."""
        self.device, self.series, self.woken = device, None, NOBODY
        return self

    @override
    def _retire(self, values: Values) -> None:
        super()._retire(values)
        self._tell_places()

    @override
    def _put(self, name: str, stamped: Stamped) -> None:
        super()._put(name, stamped)
        self._tell_places()

    def _tell_places(self) -> None:
        """Let the places look again: somebody there may have said what nobody had."""
        for place in self.device.places:
            place.look_again()

    def twin(self) -> Twin:
        """Return what it reported as readers see it; of 100,000 devices nearly each message makes one."""
        device, said, at, quality = self.device, _held(self), self.at, self.quality
        row, known = device.row, device.state
        reported: dict[str, Any]  # of values, and then of what is told of each
        if self.bad or self.older:
            reported = self.shown()
        else:  # written over in place: 0.8 us where a dict made of another took 1.2
            reported = {**said} if isinstance(said, dict) else asdict(said)
            for name, value in reported.items():
                reported[name] = value, at, quality
        return Twin(
            site=row.site, name=row.device if device.whole is self else f"{row.device}#{self.name}", kind=row.kind,
            availability=known.availability, heard_at=known.heard_at, reported=reported,
        )  # fmt: skip

    def tags(self) -> Series:
        """Return the tags of its series."""
        device = self.device
        return Series(
            kind=device.kind, site=device.site, building=device.building, device=device.device, part=self.name,
            profile=device.profile,
        )  # fmt: skip


_NO_PARTS: Mapping[str, Part] = {}
"""Of every device that has none with a name."""


class _Pulse:
    """What every message of a device touches, side by side: a device's memory is rarely in the processor's cache.

    Python sorts the slots of a class by name, but those of a base class come first.
    """

    __slots__ = (
        "ages_end", "checksum", "is_awaited", "is_silent", "least_age", "most_age", "parts", "shape", "state", "whole",
    )  # fmt: skip


class Device(_Pulse):
    """One registered device at work, once it is equipped: its row, handler, rules, parts, and its entry of the state.

    A reading that came ``least_age`` to ``most_age`` ns after it was measured is live and teaches nothing of the
    device's clock, until ``ages_end`` of engine time awake. ``whole`` is the part "", once it has said something, and
    ``parts`` are those with a name. ``checksum`` is that of a topic of its own, once it has spoken. ``shape`` reads
    what says the same names as the message before, where a native device says them of itself alone.

    ``is_awaited`` while what it says may show that a command was done. ``abroad`` is what it is in a foreign network.
    """

    __slots__ = ("abroad", "key", "outfit", "places", "row", "rules")

    def __init__(self, row: DeviceRow, state: DeviceState) -> None:
        self.row = row
        self.key = state.key = state.key or f"{row.site}/{row.device}"
        self.state = state
        self.is_silent = False
        self.is_awaited = False
        self.checksum = 0
        self.outfit: Outfit
        self.rules: KindRules
        self.places: tuple[Place, ...] = ()
        self.abroad: Abroad | None = None

    @property
    def profile(self) -> str:
        """The profile at work, with the outfit."""
        return self.row.profile if self.abroad is None else self.abroad.profile

    @property
    def source(self) -> CompiledSource | None:
        """Its source, of a foreign network."""
        return None if self.abroad is None else self.abroad.source

    @property
    def called(self) -> str:
        """What a foreign network calls it in its topics."""
        return self.row.network_id if self.abroad is None else self.abroad.called

    @property
    def deafness(self) -> Deafness | None:
        """Why it cannot be understood yet."""
        return None if self.abroad is None else self.abroad.deafness

    @property
    def site(self) -> str:
        """Its site; of its row, like the next three: 32 bytes."""
        return self.row.site

    @property
    def device(self) -> str:
        """Its name."""
        return self.row.device

    @property
    def kind(self) -> str:
        """The name of its kind."""
        return self.row.kind

    @property
    def building(self) -> str:
        """The building that it is in, or nothing."""
        return self.row.building

    @property
    def commands(self) -> Mapping[str, CommandKind]:
        """The commands of its kind."""
        return self.outfit.commands

    @property
    def identity(self) -> tuple[str, str]:
        """Its site and name; made when it is asked for, for it takes 56 bytes."""
        return self.row.site, self.row.device

    @property
    def is_double(self) -> bool:
        """True for what a drill put beside a real device, to speak in its place."""
        return self.row.device.endswith(DOUBLE)

    def is_another_than(self, former: Device) -> bool:
        """Return whether it speaks otherwise than the one of its name did: what that said it may never take back."""
        return self.row.profile != former.row.profile

    def bind(self, rules: KindRules) -> None:
        """Have ``rules`` from now on."""
        self.rules = rules
        self.forget_shortcuts()

    def forget_shortcuts(self) -> None:
        """Look up again what depends on rules and profile."""
        whole, named = self.state.whole, self.state.seldom.parts
        self.whole = whole.join(self) if isinstance(whole, Part) else None
        found = {name: held.join(self) for name, held in named.items() if isinstance(held, Part)} if named else None
        self.parts: Mapping[str, Part] = found or _NO_PARTS
        self.least_age, self.most_age, self.ages_end = NO_AGES
        self.shape: Shape | None = None

    def part(self, name: str) -> Part:
        """Return a part that has said something, made when it first does."""
        part = self.parts.get(name) if name else self.whole
        if part is None:
            part = Part(self, name, self.state.held(name))
            self.state.keep(name, part)
            if name:
                self.parts = {**self.parts, name: part}
            else:
                self.whole = part
        return part

    def let_go(self) -> None:
        """Hold no parts any more, and have no twin: with them it would wait for the collector, with all that it has."""
        self.whole, self.parts, self.state.whole = None, _NO_PARTS, None
        if self.state.seldom.parts is not None:
            self.state.own().parts = None

    def key_of(self, part: str) -> str:
        """Return the key of the device, or of one of its parts."""
        return f"{self.key}#{part}" if part else self.key

    def can(self, command: str) -> bool:
        """Return whether it would understand ``command``: of a device with a profile only what that can encode."""
        is_ours = not (self.profile or self.deafness)
        return command in self.commands and (is_ours or command in self.outfit.downlinks)

    def told_as(self, command: str, part: str) -> tuple[str, ...]:
        """Return the parts that ``command`` for ``part`` leaves for: each where its maker has no word for the whole."""
        own = self.outfit.downlinks.get(command)
        return (part,) if part or own is None else own.parts or (part,)

    def longest_of(self, command: str) -> timedelta:
        """Return for how long at most it can be told to hold with ``command``."""
        own = self.outfit.downlinks.get(command)
        return timedelta.max if own is None else own.longest.get("ttl", timedelta.max)

    def why_not(self, command: str) -> Label:
        """Return why it cannot be told ``command``: what its profile says of it, if it does."""
        whose, said = self.profile or self.row.source or "its profile", self.outfit.reach.cannot.get(command)
        silent = {
            "en": f"{whose} does not say how it is told to {command}",
            "zh": f"{whose} 没有说明如何下达 {command}",
        }
        return silent if said is None else said

    def release_of(self, command: str) -> str:
        """Return the command that undoes ``command``, or nothing."""
        known = self.commands.get(command)
        return "" if known is None or known.release is None else known.release

    def is_hold(self, command: str) -> bool:
        """Return whether ``command`` lasts for a time and is then undone."""
        known = self.commands.get(command)
        return known is not None and known.is_hold

    def lets_go(self, command: str) -> bool:
        """Return whether ``command`` undoes another one."""
        return any(kind.release == command for kind in self.commands.values())

    def settle_args(self, command: str, args: Mapping[str, Scalar]) -> dict[str, Scalar]:
        """Return ``args`` as they go to the device, durations in ms; PoisonError ``bad_args`` says what is wrong."""
        return settled(command, self.commands[command], args)

    def twin(self, part: str) -> Twin:
        """Return the reported state as readers see it."""
        held = self.state.held(part)
        return Twin(
            site=self.site,
            name=f"{self.device}#{part}" if part else self.device,
            kind=self.kind,
            availability=self.state.availability,
            heard_at=self.state.heard_at,
            reported=held.shown(),
        )
