"""Places as rules see them: which devices stand there and below, and what those have ever said."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Container, Iterator, Mapping
from operator import attrgetter

from hub.engine.device import Device
from hub.engine.kind_rules import KindRules
from hub.engine.rows import PlaceRow
from hub.model.effects import Where
from hub.rules.held import OF_WITNESSES
from hub.rules.states import CompiledRule

_key = attrgetter("key")


class Place:
    """A place that rules hold states for. Like a device it has a key, which begins with @, and a building.

    Devices there and below ``enter`` and ``leave``; ``by_kind`` has them in the order of keys. ``resting`` names the
    rules that cannot begin here: those that never can, for no device stands here of any kind that says what they need,
    and those of which it was found that nobody has ever said it, until somebody says something new. ``listening`` names
    the others.
    """

    __slots__ = (
        "_idle", "building", "by_kind", "device", "identity", "key", "listening", "name", "resting", "row", "rules",
        "site",
    )  # fmt: skip

    def __init__(self, row: PlaceRow, rules: KindRules) -> None:
        self.row = row
        self.site, self.name, self.building = row.site, row.place, row.building
        self.device = ""
        self.identity = (row.site, f"@{row.place}")
        self.key = key_of_place(row)
        self.by_kind: dict[str, list[Device]] = {}
        self.bind(rules)

    def bind(self, rules: KindRules) -> None:
        """Have ``rules`` from now on."""
        self.rules = rules
        self._find_idle()

    def enter(self, device: Device) -> None:
        """Let ``device``, which is not here, stand here or below."""
        there = self.by_kind.get(device.kind)
        if there is None:
            self.by_kind[device.kind] = [device]
            self._find_idle()
        elif there[-1].key < device.key:
            there.append(device)  # nearly always: whoever builds anew lets them enter in that order
        else:
            insort(there, device, key=_key)
        self.look_again()

    def leave(self, device: Device) -> None:
        """Let ``device`` stand here no more."""
        there = self.by_kind[device.kind]
        del there[bisect_left(there, device.key, key=_key)]
        if not there:
            del self.by_kind[device.kind]
            self._find_idle()

    def devices(self) -> list[Device]:
        """Return who stands here and below."""
        return [device for there in self.by_kind.values() for device in there]

    def _find_idle(self) -> None:
        """Rest as far as the kinds that stand here make it: nearly all places have rules and kinds of another one."""
        kinds = frozenset(self.by_kind)
        found = self.rules.idle.get(kinds)
        if found is None:
            idle = frozenset(name for name, rule in self.rules.by_name.items() if self._has_nobody_for(rule, kinds))
            found = self.rules.idle[kinds] = idle, frozenset(self.rules.by_name) - idle
        self._idle = found[0]
        self.resting, self.listening = found

    @staticmethod
    def _has_nobody_for(rule: CompiledRule, kinds: frozenset[str]) -> bool:
        """Return whether none of ``kinds`` ever says something that ``rule`` needs."""
        says = (rule.scope.sources.get(name, ()) for name in rule.needs)
        return any(kinds.isdisjoint(kind for kind, _ in pairs) for pairs in says)

    def key_of(self, part: str) -> str:
        """Return the key; a place has no parts."""
        return f"{self.key}#{part}" if part else self.key

    def look_again(self) -> None:
        """Take nobody's silence for granted any more: somebody here says something new."""
        if self.resting is not self._idle:
            self._find_idle()

    def rest(self, rule: CompiledRule) -> None:
        """Do not ask ``rule`` again until somebody here says something new."""
        self.resting, self.listening = self.resting | {rule.name}, self.listening - {rule.name}

    def says(self, kind: str, word: str) -> bool:
        """Return whether a device of ``kind`` here has ever said ``word``."""
        for device in self.by_kind.get(kind, ()):
            for held in device.state.by_part().values():
                if word in held.values or word in held.older:
                    return True
        return False

    def lacks(self, rule: CompiledRule) -> bool:
        """Return whether nobody here has ever said something without which ``rule`` is never true."""
        sources = rule.scope.sources
        for name in rule.needs:
            for kind, word in sources.get(name, ()):
                if self.says(kind, word):
                    break
            else:
                return True
        return False

    def grounds(self, rule: CompiledRule) -> bool:
        """Return whether anybody here has said something that ``rule`` reads; may say it where silence counts too."""
        if rule.when is None or rule.raises_on_missing:
            return not rule.kinds.isdisjoint(self.by_kind)
        return any(
            kind in self.by_kind and (word in OF_WITNESSES or self.says(kind, word)) for kind, word in rule.wakes
        )

    def taking(self, command: str) -> list[Device]:
        """Return the devices here that take ``command``, in the order of keys."""
        found = (device for devices in self.by_kind.values() for device in devices if command in device.commands)
        return sorted(found, key=lambda device: device.key)


def key_of_place(row: PlaceRow) -> str:
    return f"{row.site}/@{row.place}"


def where(subject: Device | Place) -> Where | None:
    """Return the place that is the subject, for readers; None for a device, which the registry places."""
    row = subject.row
    return Where(row.place, row.type, row.label) if isinstance(row, PlaceRow) else None


Subject = Device | Place
"""What a rule holds a state for."""


def is_for(rule: CompiledRule, subject: Subject, part: str, peopled: Container[str]) -> bool:
    """Return whether an alarm of ``rule`` is judged for a part of ``subject``.

    At places that are ``peopled`` by others now, somebody who stands there must have grounds for it, or a person ends
    it.
    """
    if not subject.rules.has(rule.name, part):
        return False
    return not isinstance(subject, Place) or subject.key not in peopled or rule.latched or subject.grounds(rule)


def is_near(one: Subject, other: Subject, within: str) -> bool:
    """Return whether two subjects share a site, a building (not none), or the very place."""
    if one.site != other.site:
        return False
    if within == "building":
        return bool(one.building) and one.building == other.building
    return within == "site" or one.row.place == other.row.place


def is_at(key: str, at: str) -> bool:
    """Return whether ``key`` is of the device or place ``at``, a part of it, or anything in that site ("": any)."""
    return at in {"", key.partition("#")[0], key.partition("/")[0]}


def bodies_of(bodies: Mapping[str, bytes], noun: str) -> Iterator[bytes]:
    """Yield the bodies of the documents of one noun, in the order of keys."""
    mine = f"{noun}/"
    return (bodies[key] for key in sorted(key for key in bodies if key.startswith(mine)))
