"""Devices by their sites and by their names in foreign networks, kept so while they come and go."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import attrgetter

from hub.engine.device import Device

MANY = 200
"""Devices that come or go at once: to look for the place of each costs more than to go through a site (10 ms)."""
_key = attrgetter("key")


class Whereabouts:
    """Finds them among ``devices`` by key, which somebody else changes and says so.

    Both indexes are made when somebody first asks for one. Of many that come the places in their site are found when
    somebody asks for it: 100,000 that come 250 at a time had it sorted 400 times, for a second of CPU.
    """

    def __init__(self, devices: Mapping[str, Device]) -> None:
        self._devices = devices
        self._by_site: dict[str, list[Device]] | None = None
        self._unplaced: dict[str, dict[str, Device]] = {}
        self._by_network: dict[tuple[str, str], Device | tuple[Device, ...]] | None = None

    def of_site(self, site: str) -> list[Device]:
        """Return the devices of a site in the order of keys."""
        if self._by_site is None:
            self._by_site = {}
            for key in sorted(self._devices):
                device = self._devices[key]
                self._by_site.setdefault(device.site, []).append(device)
        there = self._by_site.get(site, [])
        if site in self._unplaced:
            there += self._unplaced.pop(site).values()
            there.sort(key=_key)
        return there

    def of_network(self, source: str, name: str) -> Device | None:
        """Return the device that a foreign network calls ``name``: what it is registered as, or by its address.

        Who is registered under it goes before who is only called so, then the last one by key.
        """
        if self._by_network is None:
            self._by_network = {}
            _call(self._by_network, self._devices.values())
        found = _all(self._by_network.get((source, name)))
        return max(found, key=lambda device: (_own_name(device) == name, device.key), default=None)

    def come(self, devices: Sequence[Device]) -> None:
        """Say that ``devices`` are there now."""
        if self._by_site is not None:
            for device in devices:
                there = self._by_site.setdefault(device.site, [])
                if device.site in self._unplaced:
                    self._unplaced[device.site][device.key] = device
                elif not there or there[-1].key < device.key:
                    there.append(device)
                elif len(devices) > MANY:
                    self._unplaced[device.site] = {device.key: device}
                else:
                    insort(there, device, key=_key)
        if self._by_network is not None:
            _call(self._by_network, devices)

    def exchange(self, pairs: Sequence[tuple[Device, Device]]) -> None:
        """Say that of each two with the same key the latter is there instead."""
        if self._by_site is not None:
            for _, device in pairs:
                new, there = self._unplaced.get(device.site, {}), self._by_site[device.site]
                if device.key in new:
                    new[device.key] = device
                else:
                    there[bisect_left(there, device.key, key=_key)] = device
        if self._by_network is not None:
            _call_off(self._by_network, [former for former, _ in pairs])
            _call(self._by_network, [device for _, device in pairs])

    def go(self, devices: Sequence[Device]) -> None:
        """Say that ``devices`` are no longer there."""
        if self._by_site is not None and len(devices) > MANY:
            gone = {id(device) for device in devices}
            for site in {device.site for device in devices}:
                self._by_site[site] = [device for device in self.of_site(site) if id(device) not in gone]
        elif self._by_site is not None:
            for device in devices:
                there = self.of_site(device.site)
                del there[bisect_left(there, device.key, key=_key)]
        if self._by_network is not None:
            _call_off(self._by_network, devices)

    def call_anew(self) -> None:
        """Say that devices may be called something else."""
        self._by_network = None


def _call(known: dict[tuple[str, str], Device | tuple[Device, ...]], devices: Iterable[Device]) -> None:
    for name, device in _called(devices):
        beside = _all(known.get(name))
        known[name] = (*beside, device) if beside else device


def _call_off(known: dict[tuple[str, str], Device | tuple[Device, ...]], devices: Iterable[Device]) -> None:
    for name, device in _called(devices):
        left = tuple(other for other in _all(known.pop(name, None)) if other is not device)
        if left:
            known[name] = left


def _all(found: Device | tuple[Device, ...] | None) -> tuple[Device, ...]:
    """Return those of one name: nearly always one, without a tuple of its own."""
    if found is None:
        return ()
    return found if isinstance(found, tuple) else (found,)


def _called(devices: Iterable[Device]) -> Iterator[tuple[tuple[str, str], Device]]:
    """Yield what networks may call ``devices``, those of our own left out: (source, name), and who that is."""
    for device in devices:
        if device.source is not None:
            for name in dict.fromkeys((device.called, _own_name(device))):
                yield (device.row.source, name), device


def names_of(devices: Sequence[Device]) -> Iterator[tuple[str, str]]:
    """Yield what topics of foreign networks may call ``devices``: (source, name), or (site, name) as some say."""
    for device in devices:
        yield device.identity
    for name, _ in _called(devices):
        yield name


def _own_name(device: Device) -> str:
    return device.row.network_id if device.source is None else device.source.fold(device.row.network_id)
