"""Settings: where they come from, what is refused, and what is never shown."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from hub.config.provenance import leaves_of
from hub.config.settings import Settings, TimeseriesStore, packaged, read_settings
from hub.engine.meters import Quota, write_quota
from hub.errors import ConfigError
from tests.house.rooms import HOUSE


@pytest.fixture(autouse=True)
def _empty_house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HUB_CONFIG", raising=False)


def written(text: str, name: str = "hub.toml") -> Path:
    path = Path(name)
    path.write_text(text, encoding="utf-8")
    return path


def origin(name: str) -> str:
    return next(row.origin for row in read_settings().provenance() if row.name == name)


def test_without_a_file_everything_is_a_default() -> None:
    settings = read_settings()
    assert settings.partition == "main"
    assert settings.checkpoint.messages == 200_000
    assert settings.retention.size == 21_474_836_480
    assert {row.origin for row in settings.provenance()} == {"default"}


def test_a_variable_wins_over_the_file_and_the_file_over_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    written('partition = "east"\n\n[mqtt]\nhost = "broker"\nport = 8883\n')
    monkeypatch.setenv("HUB_MQTT__PORT", "2883")
    settings = read_settings()
    assert (settings.partition, settings.mqtt.host, settings.mqtt.port) == ("east", "broker", 2883)
    assert settings.mqtt.session == "mqtt5"


def test_each_value_knows_where_it_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    written('partition = "east"\n\n[mqtt]\n# the broker\nhost = "broker"\n')
    monkeypatch.setenv("HUB_MQTT__PORT", "2883")
    assert origin("partition") == "hub.toml:1"
    assert origin("mqtt.host") == "hub.toml:5"
    assert origin("mqtt.port") == "HUB_MQTT__PORT"
    assert origin("redis.url") == "default"


def test_hub_config_names_the_file_and_an_argument_wins_over_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_CONFIG", str(written('partition = "one"\n', "one.toml")))
    assert read_settings().partition == "one"
    assert read_settings(written('partition = "two"\n', "two.toml")).partition == "two"


def test_secrets_are_never_shown() -> None:
    written('[mqtt.passwords]\ntelemetry = "kingfisher"\n[redis]\nurl = "redis://:kingfisher@db"\n')
    settings = read_settings()
    shown = {row.name: row.value for row in settings.provenance()}
    assert shown["mqtt.passwords.telemetry"] == "****"
    assert shown["redis.url"] == "****"
    assert shown["mqtt.passwords.events"] == ""
    assert "kingfisher" not in repr(settings) + str(shown)


@pytest.mark.parametrize(
    "text", ['[timeseries]\nurl = "http://hub:kingfisher@db:8086"\n', '[mqtt]\nhost = "mqtt://hub:kingfisher@db"\n']
)
def test_an_address_that_is_shown_holds_no_password(text: str) -> None:
    written(text)
    with pytest.raises(ConfigError) as refused:
        read_settings()
    assert (refused.value.code, refused.value.line) == ("setting_invalid", 2)
    assert "timeseries.token" in str(refused.value)
    assert "kingfisher" not in str(refused.value)


def test_durations_and_sizes_have_units(monkeypatch: pytest.MonkeyPatch) -> None:
    written('[retention]\nage = "36h"\nsize = "1.5GiB"\n[checkpoint]\nevery = "500ms"\n')
    monkeypatch.setenv("HUB_LIMITS__PAYLOAD", "64KiB")
    settings = read_settings()
    assert settings.retention.age == timedelta(hours=36)
    assert settings.retention.size == 1_610_612_736
    assert settings.checkpoint.every == timedelta(milliseconds=500)
    assert settings.limits.payload == 65_536


def test_a_choice_is_one_of_its_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_TIMESERIES__STORE", "influxdb")
    assert read_settings().timeseries.store is TimeseriesStore.INFLUXDB


@pytest.mark.parametrize(
    ("text", "line", "complaint"),
    [
        ('partition = "east"\n[mqtt]\nport = 99999\n', 3, "mqtt.port"),
        ('partition = "east"\n[mqtt]\nhots = "broker"\n', 3, "mqtt.hots"),
        ('partition = "no spaces"\n', 1, "partition"),
        ('[retention]\nage = "7 parsecs"\n', 2, "'7 parsecs' is no duration"),
        ("[checkpoint]\nevery = 30\n", 2, "30 is no duration; write 250ms, 30s"),
        ('[retention]\nsize = "7 acres"\n', 2, "'7 acres' is no size"),
        ('[timeseries]\nstore = "paper"\n', 2, "'local' or 'influxdb'"),
        ('partition = "east"\n[mqtt\n', 2, ""),
    ],
)
def test_what_is_wrong_in_the_file_is_named_with_its_line(text: str, line: int, complaint: str) -> None:
    written(text)
    with pytest.raises(ConfigError) as refusal:
        read_settings()
    assert (refusal.value.file, refusal.value.line) == ("hub.toml", line)
    assert complaint in str(refusal.value)


def test_what_is_wrong_in_a_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_HTTP__PORT", "many")
    with pytest.raises(ConfigError, match="it came from HUB_HTTP__PORT"):
        read_settings()


def reading(name: str) -> str:
    """Return what code looks like that reads a setting: by the name of its section, or what that is called there."""
    *_, section, last = ("", *name.split("."))
    section = {"": "settings|given|here", "timeseries": "timeseries|series"}.get(section, section)
    return rf"\b({section})\.{last}\b|getattr\(\w+\.({section}),"


def test_every_setting_is_read_by_somebody() -> None:
    """A setting that nobody reads promises what no hub keeps, as three did; the last three here are planted."""
    rooms = "\n".join(path.read_text("utf-8") for path in (HOUSE / "hub").rglob("*.py") if path.parent.name != "config")
    names = [*(name for name, _ in leaves_of(Settings.model_construct())), "limits.size", "limits.rate", "seconds"]
    assert [name for name in names if not re.search(reading(name), rooms)] == names[-3:]


def test_a_device_may_say_what_the_engine_lets_it_say_where_nobody_said_otherwise() -> None:
    limits = Settings().limits
    assert write_quota(Quota(limits.quota_per_second, limits.quota_burst)) == {}


def test_what_an_older_file_names_and_no_hub_ever_kept_is_passed_over_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    written('[limits]\npayload = "1MiB"\ndevice_messages_per_second = 5.0\n[timeseries]\ndatabase = "hub"\n')
    monkeypatch.setenv("HUB_LIMITS__DEVICE_BURST", "9")
    with capture_logs() as told:
        settings = read_settings()
    assert settings.limits.payload == 2**20
    passed_over = ["limits.device_burst", "limits.device_messages_per_second", "timeseries.database"]
    assert sorted(each["setting"] for each in told) == passed_over
    assert not {row.name for row in settings.provenance()} & set(passed_over)


@pytest.mark.parametrize("in_file", [True, False])
def test_a_section_that_is_no_table_is_refused_by_its_name(monkeypatch: pytest.MonkeyPatch, *, in_file: bool) -> None:
    if in_file:
        written("limits = 5\n")
    else:
        monkeypatch.setenv("HUB_LIMITS", "5")
    with pytest.raises(ConfigError) as refused:
        read_settings()
    assert (refused.value.code, "limits" in str(refused.value)) == ("setting_invalid", True)


def test_a_misspelt_variable_is_refused_and_the_right_one_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_PARTITON", "east")
    with pytest.raises(ConfigError, match=r"did you mean HUB_PARTITION\?"):
        read_settings()


def test_what_kubernetes_sets_for_a_service_named_hub_is_let_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_PORT", "tcp://10.0.0.1:8080")
    monkeypatch.setenv("HUB_SERVICE_HOST", "10.0.0.1")
    assert read_settings().http.port == 8080


@pytest.mark.parametrize("service", ["MQTT", "HTTP", "BROKER", "TIMESERIES", "CITY_HTTP", "MQTT_HOST"])
def test_what_kubernetes_sets_for_a_service_that_is_called_like_a_section_is_let_be(
    monkeypatch: pytest.MonkeyPatch, service: str
) -> None:
    """Each start was refused: HUB_MQTT_PORT is nearly HUB_MQTT__PORT."""
    monkeypatch.setenv(f"HUB_{service}_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv(f"HUB_{service}_SERVICE_PORT", "1883")
    for name, said in {"": "tcp://10.0.0.1:1883", "_1883_TCP": "tcp://10.0.0.1:1883", "_1883_TCP_PORT": "1883"}.items():
        monkeypatch.setenv(f"HUB_{service}_PORT{name}", said)
    assert {row.origin for row in read_settings().provenance()} == {"default"}


@pytest.mark.parametrize("said", ["1883", "redis://10.0.0.1:6379/0"])
def test_what_somebody_meant_is_refused_all_the_same(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setenv("HUB_MQTT_PORT", said)
    with pytest.raises(ConfigError, match=r"did you mean HUB_MQTT__PORT\?"):
        read_settings()


def test_a_wrong_secret_is_not_repeated_in_the_complaint() -> None:
    written('[mqtt.passwords]\ntelemetry = ["kingfisher"]\n')
    with pytest.raises(ConfigError) as refusal:
        read_settings()
    assert refusal.value.line == 2
    assert "kingfisher" not in str(refusal.value)


def test_a_named_file_that_is_missing_is_refused() -> None:
    with pytest.raises(ConfigError, match="No such file") as refusal:
        read_settings(Path("absent.toml"))
    assert refusal.value.file == "absent.toml"


def test_the_registry_lives_in_the_data_directory_unless_it_is_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_settings().registry_url() == "sqlite+aiosqlite:///hub-data/registry.sqlite"
    monkeypatch.setenv("HUB_REGISTRY__URL", "postgresql+asyncpg://db/hub")
    assert read_settings().registry_url() == "postgresql+asyncpg://db/hub"


def test_the_yaml_of_a_working_tree_is_found() -> None:
    assert packaged("rules") == Path(__file__).parent.parent.parent / "rules"


def test_secrets_beside_the_file_come_on_top_of_it_and_know_their_own_line() -> None:
    written('[mqtt]\nport = 2883\n\n[mqtt.passwords]\nevents = "old"\n')
    written('[mqtt.passwords]\nevents = "new"\ntelemetry = "t"\n', "secrets.toml")
    settings = read_settings()
    assert (settings.mqtt.port, settings.mqtt.passwords.events.get_secret_value()) == (2883, "new")
    assert origin("mqtt.passwords.events") == "secrets.toml:2"
    assert origin("mqtt.port") == "hub.toml:2"


def test_secrets_without_a_file_of_settings_are_nobodys() -> None:
    written('partition = "east"\n', "secrets.toml")
    assert read_settings().partition == "main"


def test_what_is_wrong_in_the_secrets_names_that_file() -> None:
    written('partition = "east"\n')
    written('\n[redis]\nurll = "redis://x"\n', "secrets.toml")
    with pytest.raises(ConfigError) as refused:
        read_settings()
    assert (refused.value.file, refused.value.line) == ("secrets.toml", 3)
