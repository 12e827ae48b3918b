"""The broker kept in step with the registry: by ``hub run`` as time goes on, by the command line at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import structlog

from hub.cancellation import heed_cancellation
from hub.clock import Clock
from hub.config.settings import BrokerKeeper, Settings, packaged
from hub.errors import ConfigError, HubError
from hub.normalize.networks.load import load_networks
from hub.normalize.networks.network import SourceRow
from hub.normalize.networks.routing import Router, compile_router
from hub.normalize.networks.source import CompiledSource
from hub.partitions import partitions_of, settings_of
from hub.registry import credentials
from hub.registry.brokers.broker import Broker, Drift, Roster
from hub.registry.brokers.grants import CONNECTIONS, DOCTOR, DRILL, EVENTS, RECORD, TELEMETRY, Grant, SourceTopics
from hub.registry.brokers.mosquitto import Mosquitto
from hub.registry.brokers.mosquitto_files import Listeners, TlsListener
from hub.registry.certificates import SERVER_CERTIFICATE, SERVER_KEY, Authority
from hub.registry.changes import concern_logins
from hub.registry.logins import HubLogin
from hub.registry.nouns import Source
from hub.registry.registry import Registry

POLL_SECONDS, DAY_NS = 1.0, 86_400_000_000_000
FOR_PEOPLE = {RECORD, DOCTOR, DRILL}

log = structlog.get_logger(__name__)


class Keeper:
    """Keeps ``broker`` as the registry says; the hub's own users have the passwords of the ``settings``.

    ``failing_since`` (monotonic ns) and ``error`` are why ``run`` cannot, while it cannot.
    """

    def __init__(self, settings: Settings, registry: Registry, broker: Broker) -> None:
        self.settings = settings
        self._registry = registry
        self.broker = broker
        self.error = ""
        self.failing_since: int | None = None

    async def wanted(self) -> Roster:
        """Return who may come in now, and change nothing. ConfigError ``hub_password_missing``."""
        ours = [login for logins in (await self._hub_logins()).values() for login in logins]
        foreign = source_topics(self.settings, await self._registry.sources())
        return await credentials.read_roster(self._registry, foreign, ours)

    async def drift(self) -> Drift:
        """Return how the broker differs."""
        return await self.broker.drift(await self.wanted())

    async def apply(self) -> Drift:
        """Mend what differs; return it.

        Again when the registry has gone on meanwhile: somebody else may have told the broker what is newer, and we,
        who waited for our turn, the older: whoever was revoked would come in again, until another change.
        """
        drift, known = Drift(), -1
        while known != (revision := await self._registry.revision()):
            drift, known = (await self.broker.apply(await self.settled())) or drift, revision
        return drift

    async def settled(self) -> Roster:
        """Return who may come in now; the hub's own users are in the registry then, for the hubs of other machines."""
        for partition, logins in (await self._hub_logins()).items():
            await credentials.keep_hub_logins(self._registry, partition, logins)
        return await self.wanted()

    async def _hub_logins(self) -> dict[str, list[HubLogin]]:
        return {
            partition: await credentials.hub_logins(
                self._registry, partition, _hub_passwords(settings_of(self.settings, partition))
            )
            for partition in partitions_of(self.settings)
        }

    async def revoke(self, owner: str) -> Drift:
        """Cut ``owner`` off, under each of its users, before all else is mended."""
        await self.broker.revoke(credentials.users_of(owner))
        return await self.apply()

    async def run(self, clock: Clock) -> None:
        """Mend at once, after every change that may concern it, when a secret ends, and once a day; until cancelled.

        Also where somebody else has written the broker's files: a fresh set of them knows no device. Once a day, for
        the broker's certificate grows old where nothing changes.
        """
        known, next_end, mark, looked = -1, None, self.broker.mark(), clock.monotonic_ns()
        while True:
            now = clock.monotonic_ns()
            try:
                revision, is_due = await self._registry.revision(), next_end is not None and next_end <= clock.wall_ns()
                is_due = is_due or self.broker.mark() != mark or now - looked > DAY_NS
                if is_due or (revision != known and await concern_logins(self._registry, known, revision)):
                    wanted = await self.settled()
                    await self.broker.apply(wanted)
                    next_end, mark, looked = wanted.next_end, self.broker.mark(), now
                known = revision
            except (HubError, OSError) as error:  # a full disk, or files that are not ours, end no hub
                heed_cancellation()  # it failed while it put back what it had begun
                if str(error) != self.error:  # it is tried again each second, and told once
                    log.error("broker_not_kept", reason=str(error))  # noqa: TRY400 -- its traceback says nothing more
                self.error = str(error)
                if not (isinstance(error, HubError) and error.code == "registry_unavailable"):
                    self.failing_since = self.failing_since or clock.monotonic_ns()
            else:
                self.error, self.failing_since = "", None
            await clock.sleep(POLL_SECONDS)


def keeper_of(settings: Settings, registry: Registry, clock: Clock) -> Keeper | None:
    """Return who keeps the broker of an installation, None where nobody does."""
    match settings.broker.keeper:
        case BrokerKeeper.NOBODY:
            return None
        case BrokerKeeper.MOSQUITTO:
            return Keeper(settings, registry, mosquitto(settings, clock))


class Keeping:
    """Keeps the broker in step, where the settings say so; ``failing_since`` (monotonic ns) and why, while it fails."""

    def __init__(self) -> None:
        self._keeper: Keeper | None = None

    @property
    def error(self) -> str:
        """Why the broker is not kept; empty while it is, or where nobody keeps it."""
        return "" if self._keeper is None else self._keeper.error

    @property
    def failing_since(self) -> int | None:
        """Since when, None while it is kept."""
        return None if self._keeper is None else self._keeper.failing_since

    async def run(self, settings: Settings, registry: Registry, clock: Clock) -> None:
        """Keep it until cancelled."""
        self._keeper = keeper_of(settings, registry, clock)
        if self._keeper is not None:
            await self._keeper.run(clock)


def authority_of(settings: Settings, clock: Clock) -> Authority:
    """Return the installation's certificate authority."""
    return Authority(settings.data_dir / "authority", clock)


def mosquitto(settings: Settings, clock: Clock) -> Mosquitto:
    """Return the mosquitto of these settings."""
    broker, directory = settings.broker, directory_of(settings)
    needs_authority = broker.certificate_port is not None or (broker.tls_port is not None and broker.cert_file is None)
    authority = authority_of(settings, clock) if needs_authority else None
    certificate, key, names = directory / SERVER_CERTIFICATE, directory / SERVER_KEY, broker.names
    if broker.cert_file is not None and broker.key_file is not None:
        certificate, key, names = broker.cert_file, broker.key_file, ()

    def listener(port: int | None) -> TlsListener | None:
        if port is None:
            return None
        return TlsListener(host=broker.listen, port=port, cert_file=certificate.absolute(), key_file=key.absolute())

    listeners = Listeners(
        port=settings.mqtt.port,
        tls=listener(broker.tls_port),
        mutual=listener(broker.certificate_port),
        payload_bytes=settings.limits.payload,
    )
    return Mosquitto(directory.absolute(), listeners, clock, authority=authority, names=names)


def directory_of(settings: Settings) -> Path:
    """Return where the broker's files are."""
    return settings.broker.directory or settings.data_dir / "broker"


def source_topics(settings: Settings, sources: Sequence[Source]) -> dict[str, SourceTopics]:
    """Return the topics of foreign networks, by partition. Raises ConfigError."""
    parts = {source.partition for source in sources}
    routers = {part: router_of(settings, [each for each in sources if each.partition == part]) for part in parts}
    return {
        part: SourceTopics(
            telemetry=router.filters(TELEMETRY),
            events=router.filters(EVENTS),
            downlinks=_downlinks(router),
            networks=tuple((name, _of_network(source)) for name, source in router.sources.items()),
        )
        for part, router in routers.items()
    }


def router_of(settings: Settings, sources: Sequence[Source]) -> Router:
    """Return sources at work, with the networks of the installation. Raises ConfigError."""
    overlay = [] if settings.profiles_dir is None else [settings.profiles_dir]
    networks = load_networks([packaged("device_profiles"), *overlay])
    return compile_router([SourceRow(source.id, source.network, source.params) for source in sources], networks)


def _of_network(source: CompiledSource) -> Grant:
    """Return what a network may do: say what the hub hears, and hear what it is told."""
    return Grant(reads=() if source.downlink is None else source.downlink.filters, writes=source.filters)


def _downlinks(router: Router) -> tuple[str, ...]:
    found = (source.downlink for source in router.sources.values())
    return tuple(topic for downlink in found if downlink is not None for topic in downlink.filters)


def _hub_passwords(settings: Settings) -> Mapping[tuple[str, str], str]:
    """Return the passwords of the hub's own users; those for people may lack theirs."""
    mqtt = settings.mqtt
    found = {
        (f"{mqtt.username_prefix}-{connection}", connection): getattr(mqtt.passwords, connection).get_secret_value()
        for connection in CONNECTIONS
    }
    missing = [
        connection for (_, connection), password in found.items() if not password and connection not in FOR_PEOPLE
    ]
    if missing:
        raise ConfigError("hub_password_missing", f"mqtt.passwords.{missing[0]} is not set: the hub could not come in")
    return {key: password for key, password in found.items() if password}
