"""What is known of one device: when it was heard, its clock, its counters, the last values of its parts."""

from __future__ import annotations

from dataclasses import dataclass

from hub.engine import clock_errors
from hub.model import Scalar
from hub.rules.held import NOTHING, Held


def entry_key(device: str) -> str:
    """Return the key of the entry of a device."""
    return f"device/{device}"


class Marked:
    """What the state notes of a device: its key, and the generation in which it changed; neither is encoded.

    The state finds what changed by these alone: two dicts of 100,000 keys were 76 bytes a device. The other slots are
    what each message touches: here they lie side by side, on one line of the processor's cache.
    """

    __slots__ = ("boot", "heard_at", "heard_awake", "key", "mark", "seq")

    key: str
    mark: int

    def unmark(self) -> None:
        """Be new."""
        self.key, self.mark = "", 0

    def call(self, key: str) -> None:
        """Be the entry of the device ``key``."""
        self.key = key


@dataclass(slots=True)
class DeviceState(Marked):
    """What is known of one device: when heard, its clock, its counters, the last values of its parts.

    ``differences``: received - measured in the hours in which it was heard, on the awake clock. ``stored``: of each
    part the (value, time of its point) that was stored last, where its profile does not store everything.
    ``names``: what stood beside its name in the topic of a foreign network. ``whole`` is held of the part "", ``parts``
    of those with a name (a former version wrote it among them): nearly every device has only the one, and a dict for it
    takes 200 bytes. Of a part that only signals have named nothing is held, but that it is known. What most devices
    never have is None until they have it (a former version wrote it empty): an empty dict takes 64 bytes.
    A dataclass, because a msgspec struct costs 40 ns for each attribute that is set.
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

    def __post_init__(self) -> None:
        """Take what a former version wrote for what it is now."""
        self.unmark()
        if self.parts is not None:
            self.whole = self.parts.pop("", self.whole)
            self.parts = self.parts or None

    def held(self, part: str) -> Held:
        """Return what is held of ``part``, which may have said nothing."""
        found = (self.parts.get(part) if self.parts else None) if part else self.whole
        return NOTHING if found is None else found

    def by_part(self) -> dict[str, Held]:
        """Return what is held of each part that has said something, the part "" first."""
        whole = {} if self.whole is None else {"": self.whole}
        if not self.parts:
            return whole
        return whole | {name: held for name, held in self.parts.items() if held.values or held.older}

    def know(self, part: str) -> None:
        """Remember that there is such a part, if only by its name."""
        if part and part not in (self.parts or ()):
            self.keep(part, NOTHING)

    def keep(self, part: str, held: Held) -> None:
        """Hold ``held`` of ``part`` from now on."""
        if not part:
            self.whole = held
        elif self.parts is None:
            self.parts = {part: held}
        else:
            self.parts[part] = held
