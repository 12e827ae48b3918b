"""What is known of one device: when it was heard, its clock, its counters, the last values of its parts."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from hub.engine import clock_errors
from hub.engine.meters import Meter
from hub.model.values import Scalar
from hub.rules.held import NOTHING, Held


def entry_key(device: str) -> str:
    """Return the key of the entry of a device."""
    return f"device/{device}"


class Written(msgspec.Struct):
    """A device as a checkpoint holds it; see :class:`DeviceState` and :class:`Seldom`.

    A former version wrote the part "" among ``parts``, and something empty for None.
    """

    heard_awake: int = 0
    heard_at: int = 0
    availability: str = "unknown"
    taught: int = 0
    clock_error: int = 0
    differences: clock_errors.Kept = b""
    boot: str | None = None
    seq: int | None = None
    missing: int = 0
    repeated: int = 0
    reordered: int = 0
    identities: dict[str, int] | None = None
    whole: Held | None = None
    parts: dict[str, Held] | None = None
    stored: dict[str, dict[str, tuple[Scalar, int]]] | None = None
    names: dict[str, str] | None = None


@dataclass(slots=True)
class Seldom:
    """What most devices never have: counts of what is wrong in their sequence, identities, parts with a name.

    ``stored``: of each part the (value, time of its point) that was stored last, where the profile does not store
    everything. ``names``: what stood beside the device's name in the topic of a foreign network. ``meter``: while each
    reading of it is counted, kept in an entry of its own. None until there is something: an empty dict takes 64 bytes.
    """

    missing: int = 0
    repeated: int = 0
    reordered: int = 0
    identities: dict[str, int] | None = None
    parts: dict[str, Held] | None = None
    stored: dict[str, dict[str, tuple[Scalar, int]]] | None = None
    names: dict[str, str] | None = None
    meter: Meter | None = None


NEVER = Seldom()
"""Of every device that has nothing of that; nobody changes it."""


class DeviceState:
    """What is known of one device; what each message touches comes first, on one line of the processor's cache.

    ``mark`` is the generation of the state in which it changed last (:meth:`hub.engine.state.State.mark`). It was heard
    ``heard_awake`` on the awake clock, and ``ahead`` of that by the wall's, None when it never was: that number is one
    for all messages of a batch, where the moment itself takes 48 bytes of each device. ``differences``: received -
    measured in the hours in which it was heard, on the awake clock. ``whole`` is held of the part "": nearly every
    device has only the one, and a dict for it takes 200 bytes. With 100,000 devices all this is 600 bytes of each.
    """

    __slots__ = (
        "ahead", "availability", "boot", "clock_error", "differences", "heard_awake", "key", "mark", "seldom", "seq",
        "taught", "whole",
    )  # fmt: skip

    def __init__(self, heard_awake: int = 0) -> None:
        self.key = ""
        self.mark = 0
        self.heard_awake = heard_awake
        self.ahead: int | None = None
        self.availability = "unknown"
        self.taught = 0
        self.clock_error = 0
        self.differences: clock_errors.Kept = b""
        self.boot: str | None = None
        self.seq: int | None = None
        self.whole: Held | None = None
        self.seldom = NEVER

    @property
    def heard_at(self) -> int:
        """When it was heard last, by the wall clock; 0 for never."""
        return 0 if self.ahead is None else self.heard_awake + self.ahead

    def own(self) -> Seldom:
        """Return what it has that most have not, to be changed."""
        if self.seldom is NEVER:
            self.seldom = Seldom()
        return self.seldom

    def held(self, part: str) -> Held:
        """Return what is held of ``part``, which may have said nothing."""
        parts = self.seldom.parts
        found = (parts.get(part) if parts else None) if part else self.whole
        return NOTHING if found is None else found

    def by_part(self) -> dict[str, Held]:
        """Return what is held of each part that has said something, the part "" first."""
        whole, parts = {} if self.whole is None else {"": self.whole}, self.seldom.parts
        if not parts:
            return whole
        return whole | {name: held for name, held in parts.items() if held.values or held.older}

    def know(self, part: str) -> None:
        """Remember that there is such a part, if only by its name: nothing is held of one that only signals name."""
        if part and part not in (self.seldom.parts or ()):
            self.keep(part, NOTHING)

    def keep(self, part: str, held: Held) -> None:
        """Hold ``held`` of ``part`` from now on."""
        if not part:
            self.whole = held
            return
        mine = self.own()
        if mine.parts is None:
            mine.parts = {part: held}
        else:
            mine.parts[part] = held

    def forget(self) -> None:
        """Forget what was said and by which clock: another device has its name now. When it was heard stays."""
        self.taught, self.clock_error, self.differences = 0, 0, b""
        self.boot = self.seq = self.whole = None
        mine = self.seldom
        self.seldom = NEVER if mine.meter is None else Seldom(meter=mine.meter)

    def written(self) -> Written:
        """Return it as a checkpoint holds it."""
        seldom = self.seldom
        return Written(
            self.heard_awake, self.heard_at, self.availability, self.taught, self.clock_error, self.differences,
            self.boot, self.seq, seldom.missing, seldom.repeated, seldom.reordered, seldom.identities, self.whole,
            seldom.parts, seldom.stored, seldom.names,
        )  # fmt: skip


def read(entry: Written) -> DeviceState:
    """Return what a checkpoint holds of a device."""
    known = DeviceState(entry.heard_awake)
    known.ahead = entry.heard_at - entry.heard_awake if entry.heard_at else None
    known.availability, known.taught, known.clock_error = entry.availability, entry.taught, entry.clock_error
    known.differences, known.boot, known.seq, known.whole = entry.differences, entry.boot, entry.seq, entry.whole
    parts = entry.parts or {}
    if "" in parts:
        known.whole = parts.pop("")
    seldom = (
        entry.missing, entry.repeated, entry.reordered, entry.identities or None, parts or None, entry.stored or None,
        entry.names or None,
    )  # fmt: skip
    if any(seldom):
        known.seldom = Seldom(*seldom)
    return known
