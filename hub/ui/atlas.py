"""The atlas: where a device stands, in the words of the registry, and which places it lies in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Self

from hub.errors import HubError
from hub.model.effects import AlarmState, Event
from hub.registry.nouns import Device, Place, Site
from hub.ui.desk.desk import Desk
from hub.ui.desk.whose import no_site
from hub.ui.words import named, title


class Atlas:
    """Names of places as people gave them; without a registry, or for what is not in it, their ids."""

    def __init__(
        self, sites: Sequence[Site] = (), places: Sequence[Place] = (), devices: Sequence[Device] = ()
    ) -> None:
        self._labels = {(site.id, site.id): site.label for site in sites}
        self._labels |= {(place.site, place.id): place.label for place in places}
        self._parents = {(place.site, place.id): place.parent for place in places}
        self._zones = {site.id: site.zone for site in sites}
        self._kinds = {(device.site, device.id): device.kind for device in devices}
        self._stands = {(device.site, device.id): device.place for device in devices}

    @classmethod
    async def open(cls, desk: Desk) -> Self:
        """Read the registry; one that cannot be read costs the names, not the answer."""
        try:
            return await cls.read(desk)
        except HubError:
            return cls()

    @classmethod
    async def read(cls, desk: Desk) -> Self:
        """Read the registry; HubError for one that cannot be read, or is not there."""
        async with desk.registry() as registry:
            return cls(await registry.sites(), await registry.places(), await registry.devices())

    def kind(self, site: str, device: str) -> str | None:
        """Return the kind of a device, None for one that is not registered."""
        return self._kinds.get((site, device))

    def zone(self, site: str) -> str | None:
        """Return the time zone of a site; of what is about none (the hub itself) that of all sites, if it is one."""
        zones = {*self._zones.values()}
        return self._zones.get(site) or (zones.pop() if len(zones) == 1 else None)

    def refuse_unknown(self, sites: Iterable[str]) -> None:
        """ConfigError ``site_unknown``: that nothing is active at a site that is not there is no good news."""
        for site in sites:
            if self._zones and site not in self._zones:
                raise no_site(site)

    def knows_place(self, name: str) -> bool:
        """Tell whether a site or a place is called so; a registry that is not there or empty denies nothing."""
        return not self._zones or any(name == place for _, place in self._labels)

    def knows_device(self, name: str) -> bool:
        """Tell whether ``device``, ``site/device`` or ``site/device#part`` is registered; denied as a place is."""
        whole = name.partition("#")[0]
        return not self._zones or any(whole in {device, f"{site}/{device}"} for site, device in self._kinds)

    def place(self, noun: Event | AlarmState) -> str:
        """Return where it is, from the outside in, each step in Chinese and English."""
        device = named(noun)
        steps = [title(place, self._labels.get((noun.site, place), {})) for place in self.within(noun)]
        return " › ".join(step for step in (*steps, device) if step)

    def within(self, noun: Event | AlarmState) -> list[str]:
        """Return the ids of the places that it lies in, the site first."""
        name = noun.key.partition("/")[2].partition("#")[0]
        stands = name[1:] if name.startswith("@") else self._stands.get((noun.site, noun.device))
        inner = [noun.building] if stands is None else list(self._upwards(noun.site, stands))[::-1]
        return [noun.site, *(place for place in inner if place and place != noun.site)]

    def _upwards(self, site: str, place: str) -> Iterator[str]:
        seen: set[str] = set()
        while place and place != site and place not in seen:
            seen.add(place)
            yield place
            place = self._parents.get((site, place), "")
