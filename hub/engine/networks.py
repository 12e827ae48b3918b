"""The foreign networks of the partition: whose a topic is, what their directories say, which profile that makes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from hub.catalogue import Kind
from hub.engine.device import Abroad, Deafness, Device
from hub.engine.rows import DeviceRow
from hub.model.heard import Handler
from hub.normalize.networks.directory import DirectoryDocument
from hub.normalize.networks.envelope import EnvelopeClass
from hub.normalize.networks.knowledge import compile_knowledge
from hub.normalize.networks.network import Network, SourceRow
from hub.normalize.networks.routing import Router, compile_router
from hub.normalize.networks.source import CompiledSource, CompiledStream
from hub.normalize.networks.synthesis import KnownDevice


class Networks:
    """The sources of the last revision at work. Raises ConfigError for documents that could not work."""

    def __init__(
        self, networks: Iterable[bytes] = (), sources: Iterable[bytes] = (), directories: Iterable[bytes] = ()
    ) -> None:
        words = [Network.model_validate_json(body) for body in networks]
        rows = [msgspec.json.decode(body, type=SourceRow) for body in sources]
        self.router: Router = compile_router(rows, {network.network: network for network in words})
        self._listed: dict[tuple[str, str], KnownDevice] = {}
        self._knowledge: dict[tuple[str, int, str], Handler | None] = {}
        for body in directories:
            directory = msgspec.json.decode(body, type=DirectoryDocument)
            self._listed |= {(directory.source, known.address): known for known in directory.devices if known.address}
            self._listed |= {(directory.source, known.name): known for known in directory.devices}

    @property
    def sources(self) -> Mapping[str, CompiledSource]:
        """Every source by name."""
        return self.router.sources

    @property
    def directories(self) -> frozenset[str]:
        """The topics on which the sources keep what they say of their devices."""
        streams = (stream for source in self.sources.values() for stream in source.streams)
        return frozenset(stream.filter.text for stream in streams if stream.carries is EnvelopeClass.DIRECTORY)

    def enlist(self, device: Device) -> None:
        """Tell ``device`` its source, what that calls it, and the profile that its directory says it has."""
        source = self.sources.get(device.row.source)
        device.abroad = None if source is None else self._abroad(source, device.row)

    def _abroad(self, source: CompiledSource, row: DeviceRow) -> Abroad:
        known = self._listed.get((row.source, row.network_id))
        called = source.fold(row.network_id if known is None else known.name)
        profile, why = row.profile, None
        if row.profile or not any(stream.carries is EnvelopeClass.DIRECTORY for stream in source.streams):
            pass
        elif known is None:
            why = Deafness("not_in_directory", f"{row.source} does not say what {row.network_id!r} is")
        elif known.kind != row.kind:
            why = Deafness("wrong_kind", f"{row.source} says it is a {known.kind}, not a {row.kind}")
        else:
            profile = known.profile
        return Abroad(source, called, profile, why)

    def knowledge(self, stream: CompiledStream, kind: Kind) -> Handler | None:
        """Return the handler of what the network itself knows of devices of ``kind``; None: the profile reads it."""
        network = self.sources[stream.source].network
        wish = (network.network, stream.number, kind.kind)
        if wish not in self._knowledge:
            self._knowledge[wish] = compile_knowledge(network, stream.number, kind)
        return self._knowledge[wish]
