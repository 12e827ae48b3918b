"""The settings: read once from hub.toml and HUB_* variables, each value knowing where it came from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError
from typing_extensions import override

from hub.config.addresses import Address
from hub.config.bygone import pass_over
from hub.config.provenance import Provenance, leaves_of, shown
from hub.config.sizes import Bytes
from hub.config.toml_files import read_layers
from hub.config.variables import DELIMITER, PREFIX, variables_of
from hub.durations import Duration
from hub.errors import ConfigError
from hub.model.values import CodeForm, Severity

CONFIG_VARIABLE = "HUB_CONFIG"
DEFAULT_FILE = Path("hub.toml")
SECRETS_FILE = "secrets.toml"
"""Beside the file of settings, with the same sections, for our eyes only: `hub init` writes passwords there."""


def packaged(name: Literal["device_profiles", "rules", "scenes", "city_rules"]) -> Path:
    """Return the folder of the YAML that ships with the hub: inside a wheel, or at the top of a working tree."""
    package = Path(str(files("hub")))
    inside = package / "packaged" / name
    return inside if inside.is_dir() else package.parent / name


Port = Annotated[int, Field(ge=1, le=65535)]
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]


class SessionChoice(StrEnum):
    """Which implementation hears the devices."""

    MQTT5 = "mqtt5"
    AIOMQTT = "aiomqtt"


class TimeseriesStore(StrEnum):
    """Where points go."""

    LOCAL = "local"
    INFLUXDB = "influxdb"


class BrokerKeeper(StrEnum):
    NOBODY = "nobody"
    MOSQUITTO = "mosquitto"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class MqttPasswords(_Section):
    """One user for each connection of the hub: ``{username_prefix}-telemetry`` and so on.

    ``record`` is for `hub record`, ``doctor`` for `hub doctor`, ``drill`` for `hub drill fire`.
    """

    telemetry: SecretStr = SecretStr("")
    events: SecretStr = SecretStr("")
    downlink: SecretStr = SecretStr("")
    record: SecretStr = SecretStr("")
    doctor: SecretStr = SecretStr("")
    drill: SecretStr = SecretStr("")


class MqttSettings(_Section):
    """The broker; TLS is on with ``ca_file``, mutual TLS with certificate and key; neither where we keep the broker."""

    host: Address = "127.0.0.1"
    port: Port = 1883
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    username_prefix: Identifier = "hub"
    passwords: MqttPasswords = MqttPasswords()
    session: SessionChoice = SessionChoice.MQTT5


class BrokerSettings(_Section):
    """Who writes the broker's files, and where it listens beside mqtt.port; devices call this host by ``names``."""

    keeper: BrokerKeeper = BrokerKeeper.NOBODY
    directory: Path | None = None
    listen: str = "0.0.0.0"  # noqa: S104 -- devices are not on this machine; each listener asks for a secret
    tls_port: Port | None = None
    certificate_port: Port | None = None
    names: tuple[str, ...] = ("localhost", "127.0.0.1")
    cert_file: Path | None = None
    key_file: Path | None = None


class RedisSettings(_Section):
    """Redis or Valkey; TLS: `rediss://…?ssl_ca_certs=FILE`. With ``child_dir`` `hub run` keeps a Valkey of its own."""

    url: SecretStr = SecretStr("redis://127.0.0.1:6379/0")
    child_dir: Path | None = None


class TimeseriesSettings(_Section):
    """The time series store; ``local`` needs nothing, ``influxdb`` its address.

    ``local`` lets go of what is older than ``keep``, without it of nothing; InfluxDB of what its bucket says.
    """

    store: TimeseriesStore = TimeseriesStore.LOCAL
    keep: Annotated[Duration, Field(ge=timedelta(days=1))] | None = None
    url: Address = "http://127.0.0.1:8086"
    org: str = ""
    bucket: str = "hub/autogen"
    token: SecretStr = SecretStr("")


class RegistrySettings(_Section):
    """A SQLAlchemy URL with an async driver; empty means registry.sqlite in the data directory."""

    url: SecretStr = SecretStr("")


class HttpSettings(_Section):
    """Where health and metrics are read; of what need not have it, nowhere unless it is said."""

    host: str = "127.0.0.1"
    port: Port = 8080


class RetentionSettings(_Section):
    """How long journal records are kept for trace and replay; so many bytes of sealed dossiers are, 0: none."""

    age: Duration = timedelta(days=7)
    dossiers: Bytes = 2**30
    size: Annotated[Bytes, Field(ge=64 * 2**20)] = 20 * 2**30


class CheckpointSettings(_Section):
    """The engine's state is saved after so many messages, or so much time, whichever is first.

    Where more than an eighth of ``messages`` devices speak in between, it waits for eight messages a device.
    A copy is put aside ``archive_every`` so often for trace and replay, while the journal behind it is kept; all copies
    together are no larger than ``archive_size``.
    """

    messages: Annotated[int, Field(ge=1)] = 200_000
    every: Duration = timedelta(seconds=30)
    archive_every: Annotated[Duration, Field(ge=timedelta(minutes=1))] = timedelta(hours=1)
    archive_size: Bytes = 2 * 2**30


class LimitSettings(_Section):
    """``payload`` is what the broker lets through whose files the hub keeps; the hub takes 256 KiB at most.

    A device may say ``quota_per_second`` readings in the long run (0: as many as it likes, until somebody says
    otherwise) and ``quota_burst`` at once: of what is over, all is judged, and the newest of each second is stored.
    Less than one in 1,000 s counts as that, and what it may say at once as no more than what it may in a year.
    """

    payload: Bytes = 256 * 2**10
    quota_per_second: Annotated[float, Field(ge=0)] = 0
    quota_burst: Annotated[int, Field(ge=1)] = 10_000


class CitySettings(_Section):
    """`hub city run`: city rules of the installation, how long it waits and remembers, and where its health is read.

    ``secret`` makes pseudonyms of cards and plates; empty means a file of its own in the data directory.
    """

    rules_dir: Path | None = None
    settle: Duration = timedelta(seconds=5)
    remember: Duration = timedelta(hours=25)
    secret: SecretStr = SecretStr("")
    http: HttpSettings = HttpSettings(port=8081)


class NotifySettings(_Section):
    """`hub notify run`: where channels, routes and templates lie, and Apprise URLs of channels that name no file."""

    dir: Path | None = None
    urls: dict[Identifier, SecretStr] = {}
    http: HttpSettings | None = None


class ForwardSettings(_Section):
    """`hub events forward NAME`: what its command line may say instead; ``webhook`` may hold a password."""

    webhook: SecretStr = SecretStr("")
    domains: tuple[str, ...] = ()
    min_severity: Severity = Severity.INFO
    secret_file: Path | None = None
    http: HttpSettings | None = None


class CodesSettings(_Section):
    """Kinds of codes beside person, household, plate, device and place (五码): ``codes.kinds.card = "word"``."""

    kinds: dict[Identifier, CodeForm] = {}


class Settings(BaseSettings):
    """Everything that an installation may choose. Variables win over the file, the file over the defaults.

    ``more_partitions`` are those that this machine runs beside ``partition``, in ``workers`` processes.
    ``failpoint`` is for tests: where the hub kills itself (hub/failpoints.py).
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter=DELIMITER, extra="forbid", frozen=True, hide_input_in_errors=True
    )

    partition: Identifier = "main"
    more_partitions: tuple[Identifier, ...] = ()
    workers: Annotated[int, Field(ge=1)] = 1
    data_dir: Path = Path("hub-data")
    failpoint: str = ""
    profiles_dir: Path | None = None
    rules_dir: Path | None = None
    mqtt: MqttSettings = MqttSettings()
    broker: BrokerSettings = BrokerSettings()
    redis: RedisSettings = RedisSettings()
    timeseries: TimeseriesSettings = TimeseriesSettings()
    registry: RegistrySettings = RegistrySettings()
    http: HttpSettings = HttpSettings()
    retention: RetentionSettings = RetentionSettings()
    checkpoint: CheckpointSettings = CheckpointSettings()
    limits: LimitSettings = LimitSettings()
    city: CitySettings = CitySettings()
    codes: CodesSettings = CodesSettings()
    notify: NotifySettings = NotifySettings()
    forward: dict[Identifier, ForwardSettings] = {}

    _origins: dict[str, str] = PrivateAttr(default_factory=dict)
    _files_dir: Path | None = PrivateAttr(default=None)

    @model_validator(mode="before")
    @classmethod
    def _pass_over_what_never_worked(cls, said: dict[str, object]) -> dict[str, object]:
        return pass_over(said)

    @property
    def files_dir(self) -> Path:
        """Where lock, journal and state of the partition lie; ``data_dir`` holds what all partitions share."""
        return self._files_dir or self.data_dir

    @classmethod
    @override
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let variables win over what the file says (the file comes in as arguments)."""
        return env_settings, init_settings

    def registry_url(self) -> str:
        """Return where the registry lives."""
        return self.registry.url.get_secret_value() or f"sqlite+aiosqlite:///{self.data_dir / 'registry.sqlite'}"

    def provenance(self) -> list[Provenance]:
        """Return every setting with its value and where it came from, in the order of the sections."""
        return [Provenance(name=name, value=shown(value), origin=self._origin(name)) for name, value in leaves_of(self)]

    def _origin(self, name: str) -> str:
        whole = self._origins.get(name.rpartition(".")[0], "")  # one variable gives a whole mapping
        return self._origins.get(name) or (whole if whole.startswith(PREFIX) else "default")


def settings_file(file: Path | None = None) -> Path | None:
    """Return ``file``, else the one that HUB_CONFIG names, else hub.toml where there is one."""
    named = os.environ.get(CONFIG_VARIABLE)  # noqa: TID251 -- this is the room that the ban names
    return file or (Path(named) if named else None) or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)


def read_settings(file: Path | None = None) -> Settings:
    """Read :func:`settings_file`, what ``secrets.toml`` beside it says on top, and HUB_* variables.

    ConfigError names the file and line, or the variable, of what is wrong.
    """
    environment = dict(os.environ)  # noqa: TID251 -- this is the room that the ban names
    path = settings_file(file)
    secrets = None if path is None else path.with_name(SECRETS_FILE)
    values, lines = read_layers([each for each in (path, secrets if secrets and secrets.exists() else None) if each])
    origins = lines | variables_of(environment, [name for name, _ in leaves_of(Settings.model_construct())])
    try:
        settings = Settings(**values)
    except ValidationError as error:
        raise _complaint(error, origins) from error
    except SettingsError as error:
        raise ConfigError("setting_invalid", str(error), hint="nested variables are HUB_SECTION__NAME") from error
    settings._origins.update(origins)  # noqa: SLF001 -- set once, by the only maker of Settings
    return settings


def _complaint(error: ValidationError, origins: Mapping[str, str]) -> ConfigError:
    problems = {".".join(str(part) for part in problem["loc"]): problem["msg"] for problem in error.errors()}
    message = "; ".join(f"{name}: {text.removeprefix('Value error, ')}" for name, text in problems.items())
    file, _, line = (origin := origins.get(next(iter(problems)), "")).rpartition(":")
    if file:
        return ConfigError("setting_invalid", message, file=file, line=int(line))
    return ConfigError("setting_invalid", message, hint=f"it came from {origin}" if origin else "")
