"""Devices by their sites and by their names in foreign networks, looked for again only where one has come or gone."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from hub.engine.device import Device

FEW = 8
"""Sites: to look through all devices for each of them costs less than to sort all again (10 and 130 ms of 100,000)."""


class Whereabouts:
    """Finds them among ``devices`` by key, which somebody else changes and says so."""

    def __init__(self, devices: Mapping[str, Device]) -> None:
        self._devices = devices
        self._by_site: dict[str, list[Device]] = {}
        self._stale: set[str] = set()
        self._by_network: dict[tuple[str, str], Device] | None = None

    def of_site(self, site: str) -> list[Device]:
        """Return the devices of a site in the order of keys."""
        if not self._by_site:
            for device in self._sorted(""):
                self._by_site.setdefault(device.site, []).append(device)
            self._stale.clear()
        elif site in self._stale:
            self._stale.discard(site)
            self._by_site[site] = self._sorted(f"{site}/")
        return self._by_site.get(site, [])

    def of_sites(self, sites: Iterable[str]) -> list[Device]:
        """Return the devices of several sites in the order of keys."""
        return sorted((device for site in sites for device in self.of_site(site)), key=lambda device: device.key)

    def of_network(self, source: str, name: str) -> Device | None:
        """Return the device that a foreign network calls ``name``: what it is registered as, or by its address."""
        if self._by_network is None:
            mine = [device for device in self._sorted("") if device.source is not None]
            found = {(device.row.source, device.called): device for device in mine}
            self._by_network = found | {(device.row.source, _own_name(device)): device for device in mine}
        return self._by_network.get((source, name))

    def look_again(self, sites: Collection[str]) -> None:
        """Say that the devices of ``sites`` are others now, or are called something else."""
        self._by_network = None
        self._stale.update(sites)
        if len(self._stale) > FEW:
            self._by_site = {}

    def _sorted(self, start: str) -> list[Device]:
        return [self._devices[key] for key in sorted(key for key in self._devices if key.startswith(start))]


def _own_name(device: Device) -> str:
    return device.row.network_id if device.source is None else device.source.fold(device.row.network_id)
