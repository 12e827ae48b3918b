"""What a device works with: handler, answers, commands and storing, compiled once for all that are alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from copy import copy
from dataclasses import dataclass, field, replace
from weakref import WeakValueDictionary, finalize

from hub.catalogue import CommandKind, Kind
from hub.durations import nanoseconds
from hub.engine.device import LATE_AFTER_NS, Abroad, Deafness, Device, ReadForeign
from hub.engine.guards import Guard, compile_guards, with_confirms
from hub.engine.meters import Quota
from hub.engine.reach import ANY_REACH, Reach, reach_of
from hub.engine.sparing import Sparing, StoringNothing
from hub.errors import ConfigError, PoisonError
from hub.model.heard import Handler, Reading
from hub.model.values import exactly
from hub.normalize.compile import compile_downlinks, compile_profile, compile_reply
from hub.normalize.downlinks import ID, CompiledCommand, holes
from hub.normalize.handler import ProfileHandler, Recall
from hub.normalize.native import Shape, compile_native
from hub.normalize.networks.synthesis import VENDOR
from hub.normalize.profile import Profile
from hub.normalize.responses import Response, compile_response

COUNTS = ("partials", "unknown_names", "clocks_unset", "clocks_disagreeing")
"""What handlers count."""
_NOTHING = StoringNothing()


def _no_shape(_names: tuple[str, ...]) -> None:
    return None


def _nothing_known(_payload: bytes) -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True, weakref_slot=True)
class Outfit:
    """What devices of one kind and profile, with the same parameters in the same time zone, work with."""

    handler: Handler
    read: ReadForeign
    """Reads a payload of a foreign network, with the port beside it."""
    respond: Callable[[bytes], Response]
    commands: Mapping[str, CommandKind]
    """Of its kind; those in ``downlinks`` the profile encodes."""
    downlinks: Mapping[str, CompiledCommand]
    guards: Mapping[str, Guard]
    reach: Reach = ANY_REACH
    store: Sparing | None = None
    late_after_ns: int = LATE_AFTER_NS
    quota: Quota | None = None
    """What it may say; None: what any device may."""
    shape: Callable[[tuple[str, ...]], Shape | None] = _no_shape
    """Of messages that say exactly these names; None: only the handler reads them."""
    recall: Recall = _nothing_known
    unanswered: Collection[str] = frozenset()
    """Commands whose words have no place for their id: on topics of its own no answer can name them."""
    handle: Handler = field(init=False)
    """The handler's method, one for all devices: it is called 0.15 us faster than the object."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "handle", self.handler.__call__)


class Outfits:
    """Makes each outfit once; it lives as long as a device has it, and what its handler counted stays counted."""

    def __init__(self, kinds: Mapping[str, Kind], profiles: Mapping[str, Profile]) -> None:
        self.kinds = kinds
        self._profiles = profiles
        self._guards = {name: compile_guards(kind) for name, kind in kinds.items()}
        self._responses = {name: compile_response(kind) for name, kind in kinds.items()}
        self._made = WeakValueDictionary[tuple[object, ...], Outfit]()
        self._counting: dict[int, Handler] = {}
        self._counted: Counter[str] = Counter()

    def count_of(self, name: str) -> int:
        """Return what all handlers together counted as ``name`` since they were compiled; those without it count 0."""
        return self._counted[name] + sum(getattr(handler, name, 0) for handler in [*self._counting.values()])

    def heir(self, profiles: Mapping[str, Profile], changed: Collection[str]) -> Outfits:
        """Return those of other profiles, of which these have ``changed``: devices of those are to be equipped again.

        What handlers count is counted in one place.
        """
        found: Outfits = copy(self)
        found._profiles = profiles
        found._made = WeakValueDictionary({wish: made for wish, made in self._made.items() if wish[0] not in changed})
        return found

    def _count(self, outfit: Outfit) -> None:
        """Let what the handler of an outfit counts be in the count, also when nobody has it any more."""
        self._counting[id(outfit)] = outfit.handler
        finalize(outfit, self._count_for_good, id(outfit)).atexit = False

    def _count_for_good(self, number: int) -> None:
        handler = self._counting.pop(number)
        self._counted.update({name: getattr(handler, name, 0) for name in COUNTS})

    def equip(self, device: Device) -> None:
        """Give ``device`` what it works with. Raises ConfigError, but never for a profile that a directory made."""
        try:
            outfit = self._deaf(device, device.deafness) if device.deafness else self._find(device)
        except ConfigError as error:
            if not device.profile.startswith(VENDOR):
                raise
            why = Deafness("bad_profile", f"{device.profile}: {error.message}")
            device.abroad = Abroad(device.source, device.called, device.profile, why)
            outfit = self._deaf(device, why)
        device.outfit = outfit
        if device.abroad is not None:
            _check_ports(device)
        device.forget_shortcuts()

    def _find(self, device: Device) -> Outfit:
        row = device.row
        wish = (
            device.profile,
            row.kind,
            row.zone,
            exactly(row.params) if row.params else "",
            device.is_double,
        )
        found = self._made.get(wish)
        if found is None:
            found = self._make(device) if device.profile else self._native(row.kind)
            if device.is_double:
                found = replace(found, store=_NOTHING)
            self._made[wish] = found
            self._count(found)
        return found

    def _make(self, device: Device) -> Outfit:
        row, kind, profile = device.row, self.kinds[device.kind], self._profiles.get(device.profile)
        if profile is None:
            code = "unknown_profile"
            message = f"device {device.key} has profile {device.profile!r}, which does not exist"
            raise ConfigError(code, message, hint="`hub profiles list`")
        handler = compile_profile(profile, kind, row.params, row.zone)
        return Outfit(
            handler=handler,
            read=handler.__call__ if isinstance(handler, ProfileHandler) else _without_port(handler),
            respond=self._respond(profile),
            commands=kind.commands,
            downlinks=compile_downlinks(profile, kind, row.params),
            guards=with_confirms(self._guards[device.kind], kind, profile.commands),
            reach=reach_of(profile),
            store=None if profile.store is None else Sparing(profile.store),
            quota=None if profile.quota is None else Quota(profile.quota.per_second, profile.quota.burst),
            late_after_ns=LATE_AFTER_NS if profile.late_after is None else nanoseconds(profile.late_after),
            recall=handler.recall if isinstance(handler, ProfileHandler) else _nothing_known,
            unanswered={name for name, told in profile.commands.items() if not told.native and ID not in holes(told)},
        )

    def _native(self, kind: str) -> Outfit:
        handler = compile_native(self.kinds[kind])
        read = _without_port(handler)
        return Outfit(
            handler=handler, read=read, respond=self._responses[kind], commands=self.kinds[kind].commands, downlinks={},
            guards=self._guards[kind], shape=handler.shape,
        )  # fmt: skip

    def _deaf(self, device: Device, why: Deafness) -> Outfit:
        kind = device.row.kind

        def refuse(_payload: bytes, _port: int | None = None) -> list[Reading]:
            raise PoisonError(why.code, why.reason)

        return Outfit(
            handler=refuse, read=refuse, respond=self._responses[kind], commands=self.kinds[kind].commands,
            downlinks={}, guards=self._guards[kind], store=_NOTHING if device.is_double else None,
        )  # fmt: skip

    def _respond(self, profile: Profile) -> Callable[[bytes], Response]:
        read = compile_reply(profile)
        if read is None:
            return self._responses[profile.kind]

        def respond(payload: bytes) -> Response:
            found = read(payload)
            if found is None:
                raise PoisonError("unmatched", "it is no answer to a command, as the profile knows them")
            return found

        return respond


def _without_port(handler: Handler) -> ReadForeign:
    return lambda payload, _port: handler(payload)


def _check_ports(device: Device) -> None:
    """ConfigError for a command that could never be sent: its network needs a port, its profile names none."""
    source = device.source
    if source is None or source.downlink is None or not source.downlink.needs_port:
        return
    without = sorted(name for name, command in device.outfit.downlinks.items() if command.port is None)
    if without:
        message = f"device {device.key} is in {source.name}, where a command needs a port; {device.profile} names none"
        raise ConfigError("no_port", f"{message} for {', '.join(without)}", hint="commands: {name: {…, port: 85}}")
