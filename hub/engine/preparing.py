"""What a revision comes to for each device and place, found out a little at a time before it is journaled."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from typing import NamedTuple

from hub.engine.change import Touched, parts
from hub.engine.compiled import Compiled
from hub.engine.concern import Concern
from hub.engine.device import Device
from hub.engine.kind_rules import KindRules
from hub.engine.known import DeviceState
from hub.engine.outfits import Outfit
from hub.engine.places import key_of_place
from hub.engine.registered import Registered
from hub.engine.rows import Bodies, DeviceRow, PlaceRow, row_of, site_and_name
from hub.errors import ConfigError
from hub.rules.names import suggestion


class Prepared(NamedTuple):
    """What ``touched`` documents compile to over what was ``former``ly compiled.

    ``rules`` and ``outfits`` are those of devices and places, which live as long as somebody has them. Whoever has
    prepared nothing, or something else, comes to the same, only later: messages wait for it.
    """

    former: Compiled
    found: Compiled
    touched: Touched
    rules: set[KindRules]
    outfits: dict[int, Outfit]

    def for_same(self, former: Compiled, touched: Touched) -> Compiled | None:
        """Return what was found, if it was found for just this."""
        is_same = former is self.former and touched.removed == self.touched.removed and touched.put == self.touched.put
        return self.found if is_same else None


def prepare(
    content: Registered, devices: Mapping[str, Device], former: Compiled, touched: Touched, at: int
) -> Generator[None, None, Prepared]:
    """Find out what ``touched`` documents come to at wall time ``at``; ConfigError when they cannot be put."""
    found = former
    if touched.has_new_rules:
        found = yield from former.over(touched, Bodies(touched.over(content.documents)))
    prepared = Prepared(former, found, touched, set(), {})
    trial = _Trial(content, devices, prepared, at)
    yield from trial.equip()
    yield from trial.bind()
    return prepared


class _Trial:
    """Looks everything up as the revision will, and changes nothing."""

    def __init__(self, content: Registered, devices: Mapping[str, Device], prepared: Prepared, at: int) -> None:
        self._content = content
        self._devices = devices
        self._prepared = prepared
        self._touched = touched = prepared.touched
        self._at = at
        self._holding = content.circumstances
        if touched.holds_otherwise:
            self._holding = content.circumstances.copy()
            self._holding.change(
                {key: each for key, each in touched.put.items() if not key.startswith("device/")}, touched.removed
            )
        self._book = prepared.found.rulebook.under(self._holding)
        self._named = {key.removeprefix("device/") for key in touched.keys("device")}

    # -------------------------------------------------------------------------------------------------------- outfits

    def equip(self) -> Iterator[None]:
        """Equip whoever is put, and whose kind or profile is; pause also where something was compiled for one."""
        known = self._prepared.outfits
        for some in parts(self._to_equip()):
            for row in some:
                outfit = self._equipped(row)
                if outfit is not None and id(outfit) not in known:
                    known[id(outfit)] = outfit
                    yield
            yield

    def _to_equip(self) -> Iterator[DeviceRow]:
        put, names, are_all = self._touched.put, self._touched.names("profile"), self._touched.has_new_kinds
        yield from (row_of(put[key]) for key in self._touched.keys("device") if key in put)
        for device in [*self._devices.values()] if names or are_all else ():
            if (are_all or device.profile in names) and device.key not in self._named:
                yield device.row

    def _equipped(self, row: DeviceRow) -> Outfit | None:
        """Return what a device would work with; None for a double without: it goes."""
        device, found = Device(row, DeviceState()), self._prepared.found
        try:
            equip(device, found)
        except ConfigError:
            if not device.is_double:
                raise
            return None
        return device.outfit

    # ---------------------------------------------------------------------------------------------------------- rules

    def bind(self) -> Iterator[None]:
        """Look up the rules of whoever may have others then; pause also where one was compiled for somebody."""
        known, is_settled = self._prepared.rules, self._holding is self._content.circumstances
        for some in parts(self._to_bind()):
            for row, has in some:
                rules = self._book.of(row, self._at, has if is_settled else None, is_trial=True)
                if rules not in known:
                    known.add(rules)
                    yield
            yield

    def _to_bind(self) -> Iterator[tuple[DeviceRow | PlaceRow, KindRules | None]]:
        put, book, content = self._touched.put, self._book, self._content
        concern, affected = Concern(content, book, self._touched), self._affected()
        kinds = book.concerned if self._touched.has_new_rules else frozenset()
        devices = [device for device in self._devices.values() if device.row.kind in kinds] if kinds else []
        there = (each for site in sorted({site for site, _ in affected}) for each in content.devices_of(site))
        devices += [each for each in there if (each.site, each.row.place) in affected]
        devices += concern.devices(self._devices)
        types = {kind[1:] for kind in kinds if kind.startswith("@")}
        rows = [row for row in self._holding.places.values() if row.type in types] if types else []
        rows += [row for key in affected if (row := self._holding.places.get(key)) and row.type in book.place_types]
        rows += [place.row for place in concern.places()]
        yield from ((row_of(put[key]), None) for key in self._touched.keys("device") if key in put)
        yield from ((device.row, device.rules) for device in devices if device.key not in self._named)
        for row in rows:
            place = content.stands.places.get(key_of_place(row))
            yield row, None if place is None else place.rules

    def _affected(self) -> set[tuple[str, str]]:
        """Return the places that are others then, or are around or below such a one."""
        named = {site_and_name(key) for key in self._touched.keys("place")}
        return self._content.circumstances.in_and_below(named) | self._holding.in_and_below(named)


def equip(device: Device, compiled: Compiled) -> None:
    """Give ``device`` what it works with; ConfigError when there is nothing."""
    if device.row.kind not in compiled.outfits.kinds:
        message = f"device {device.key} is of kind {device.row.kind!r}, which is not in the catalogue"
        raise ConfigError("unknown_kind", message, hint=suggestion(device.row.kind, compiled.outfits.kinds))
    compiled.networks.enlist(device)
    compiled.outfits.equip(device)
