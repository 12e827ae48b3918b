"""Whether the hub could work with devices, and with facts of places: that is tried out before they are added."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from hub import __version__
from hub.config.settings import Settings
from hub.errors import ConfigError
from hub.model.values import Scalar, exactly
from hub.registry import many
from hub.registry.documents import documents
from hub.registry.nouns import Device, DeviceState, Site, Source
from hub.registry.registry import Registry
from hub.registry.validity import parted, validity
from hub.revisions.files import read_content
from hub.revisions.revision import revise
from hub.rules.rule import read_rule
from hub.rules.settling import in_force
from hub.ui.cli.sources import compiled


class Fitting:
    """Tries devices with the kinds and profiles of an installation. One that did not fit would hold up every change."""

    def __init__(self, content: Mapping[str, bytes], sites: Sequence[Site], sources: Sequence[Source]) -> None:
        self._content = content
        self._sites = {site.id: site for site in sites}
        self._sources = {source.id: source for source in sources}

    def unfit(self, devices: Sequence[Device]) -> Iterator[tuple[int, str]]:
        """Yield (index, why) of devices that could not work; those of no known site are somebody else's business.

        Alike ones are tried once, and all together first: usually all fit.
        """
        alike: dict[tuple[object, ...], list[int]] = {}
        for index, device in enumerate(devices):
            site = self._sites.get(device.site)
            if site is not None:
                look = device.kind, device.profile, exactly(device.params), site.zone, device.source
                alike.setdefault(look, []).append(index)
        reasons = self._reasons([devices[group[0]] for group in alike.values()])
        for group in alike.values():
            first = devices[group[0]]
            reason = reasons.get((first.site, first.id), "")
            for index in group if reason else ():
                yield index, reason.replace(f"{first.site}/{first.id}", f"{devices[index].site}/{devices[index].id}")

    def _reasons(self, devices: Sequence[Device]) -> dict[tuple[str, str], str]:
        """Return what is wrong, by halving: a trial tells of the first one only."""
        if not devices:
            return {}
        try:
            self.check(devices)
        except ConfigError as error:
            if len(devices) > 1:
                half = len(devices) // 2
                return self._reasons(devices[:half]) | self._reasons(devices[half:])
            hint = f" -- {error.hint}" if error.hint else ""
            return {(devices[0].site, devices[0].id): f"{error.message}{hint}"}
        return {}

    def check(self, devices: Sequence[Device]) -> None:
        """ConfigError for the first that could not work."""
        sites = [self._sites[site] for site in sorted({device.site for device in devices} & self._sites.keys())]
        sources = [self._sources[name] for name in sorted({device.source for device in devices} & self._sources.keys())]
        bare = [replace(device, place="", state=DeviceState.ACTIVE) for device in devices if device.site in self._sites]
        revise({}, {**self._content, **documents(sites, (), bare, sources)}, __version__)


def fact_problems(settings: Settings, facts: Sequence[Mapping[str, Scalar]]) -> Iterator[tuple[int, str]]:
    """Yield (index, why) of facts that rules ask for and that are no answer: one would hold up every change, too."""
    odd = [(index, name, why) for index, each in enumerate(facts) for name, said in each.items() if (why := _odd(said))]
    rules = (read_rule(body) for key, body in read_content(settings).items() if key.startswith("rule/")) if odd else ()
    asking = {fact: rule.rule for rule in rules for fact in rule.facts}
    for index, name, why in odd:
        if name in asking:
            yield index, f"rule {asking[name]} asks whether {name} is so: {why}"


def _odd(said: Scalar) -> str:
    """Return why nobody could tell whether it is so, empty where that can be told."""
    try:
        in_force(said, 0, "UTC")
        if isinstance(said, str):
            validity(*parted(said))
    except ConfigError as error:
        return error.message
    except ValueError as error:
        return str(error)
    return ""


async def add_fitting(settings: Settings, registry: Registry, device: Device) -> Device:
    """Add a device that can work, and return it with the network id as its network spells it. Raises ConfigError."""
    device = await _checked(settings, registry, device)
    await registry.add_devices([device])
    return device


async def change_fitting(settings: Settings, registry: Registry, device: Device) -> Device:
    """Do the same with a device that is registered already."""
    device = await _checked(settings, registry, device)
    await many.put_devices(registry, [device])
    return device


async def _checked(settings: Settings, registry: Registry, device: Device) -> Device:
    sources = await registry.sources()
    for source in sources:
        if source.id == device.source:  # a DevEUI stands in capitals on the label
            device = replace(device, network_id=compiled(settings, source).fold(device.network_id))
    Fitting(read_content(settings), await registry.sites(), sources).check([device])
    return device
