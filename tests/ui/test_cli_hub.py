"""The hub beside its command line: what it says when something is missing, what it counts, how it ends."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from hub.services.child import free_port
from tests.machine import needs_mosquitto
from tests.ui.burning import TELEMETRY, Burning, in_thread
from tests.ui.conftest import Cli
from tests.ui.installation import NORMAL, SENSOR, SITE, Installation, environment, hub_command

pytestmark = needs_mosquitto


def unready(installation: Installation) -> set[str]:
    """Return the codes of why it is not ready."""
    status, answer = installation.readiness()
    assert status in {200, 503}
    return {reason["code"] for reason in answer["reasons"]}


@pytest.fixture
def at(cli: Cli, installation: Installation) -> Burning:
    return Burning(cli, installation)


def test_a_hub_that_has_caught_up_says_that_it_is_ready(installation: Installation) -> None:
    assert installation.readiness() == (200, {"ready": True, "reasons": []})


def test_what_was_registered_is_listed(at: Burning) -> None:
    assert [(site["id"], site["label"]) for site in at("sites", "list")] == [(SITE, {"zh": "柳园"})]
    assert [device["id"] for device in at("devices", "list", "--kind", "smoke_sensor")] == [SENSOR]


def test_settings_are_shown_with_their_origin_and_without_secrets(at: Burning) -> None:
    settings = {setting["name"]: setting for setting in at("config", "show")}
    assert settings["redis.url"]["value"] == "****"
    assert settings["mqtt.port"]["origin"] == f"{at.installation.config}:3"
    assert settings["mqtt.host"]["origin"] == "default"


def test_metrics_agree_with_the_ledger(at: Burning) -> None:
    at.installation.publish(TELEMETRY, NORMAL)
    at.installation.publish("hub/too/short", b"")

    def settled() -> dict[str, float] | None:
        status, body = at.installation.page("/metrics")
        assert status == 200
        totals: dict[str, float] = {}
        for family in text_string_to_metric_families(body.decode()):
            for sample in family.samples:
                totals[sample.name] = totals.get(sample.name, 0) + sample.value
        ended = sum(totals.get(f"hub_messages_{end}_total", 0) for end in ends)
        is_over = totals.get("hub_messages_heard_total") == ended > 0 and not totals["hub_points_waiting"]
        return totals if is_over else None

    ends = ("applied", "deduplicated", "dead_lettered", "refused")
    totals = in_thread(settled)
    assert isinstance(totals, dict)
    assert totals["hub_points_derived_total"] == totals["hub_points_written_total"]
    assert totals["hub_sessions_blind"] == 0


def test_a_second_hub_in_the_same_directory_is_told_so(at: Burning) -> None:
    command = hub_command("--config", str(at.installation.config), "run")
    second = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    assert second.returncode == 2
    assert "already_running" in second.stderr


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--kind", "teapot"), "unknown_kind"),
        (("--kind", "smoke_sensor", "--profile", "acme/teapot"), "unknown_profile"),
        (("--kind", "smoke_sensor", "--place", "nowhere"), "device_invalid"),
    ],
)
def test_a_device_that_the_hub_could_not_work_with_is_not_added(at: Burning, words: tuple[str, ...], code: str) -> None:
    said = at.said("devices", "add", SITE, "new-1", *words)
    assert said.code == 2
    assert code in said.err
    assert "new-1" not in [device["id"] for device in at("devices", "list")]


def test_a_device_that_is_added_is_heard_without_a_restart(at: Burning) -> None:
    added = at("devices", "add", SITE, "air-1", "--kind", "environment_sensor")
    assert (added["id"], added["profile"]) == ("air-1", "")
    topic = f"hub/{SITE}/air-1/telemetry"
    at.installation.publish(topic, b'{"values": {"temperature": 21.5}}')
    # A message that came before the hub looked into the registry waits, and is replayed.
    rows = at.until("telemetry", "query", "environment_sensor", "air-1")
    assert rows[0]["fields"] == {"temperature": 21.5}


def test_without_redis_the_hub_is_not_ready_until_it_is_back(at: Burning) -> None:
    at.installation.redis.kill()
    try:
        assert in_thread(lambda: "redis_unreachable" in unready(at.installation))
    finally:
        at.installation.redis.start()
    assert in_thread(lambda: at.installation.readiness()[0] == 200)


def test_without_its_broker_the_hub_is_blind_until_it_is_back(at: Burning) -> None:
    at.installation.broker.stop()
    try:
        assert in_thread(lambda: unready(at.installation) == {"session_blind"})
    finally:
        at.installation.broker.start()
    assert in_thread(lambda: at.installation.readiness()[0] == 200)


def test_the_hub_ends_when_asked_and_goes_on_where_it_was(at: Burning) -> None:
    alarm = at.burn()
    assert at.installation.stop() == 0
    assert at.installation.page("/healthz")[0] == 0
    at.installation.start()
    assert at("alarms", "list")[0]["id"] == alarm["id"]


def test_a_file_that_is_not_there_is_a_mistake_in_the_settings(cli: Cli, tmp_path: Path) -> None:
    said = cli("--config", str(tmp_path / "none.toml"), "config", "show")
    assert (said.code, said.out) == (2, "")
    assert "none.toml" in said.err


def test_a_redis_that_is_not_there_is_told_with_what_to_do(cli: Cli, tmp_path: Path) -> None:
    config = tmp_path / "hub.toml"
    config.write_text(f'redis.url = "redis://127.0.0.1:{free_port()}/0"\n', encoding="utf-8")
    said = cli("--config", str(config), "alarms", "list")
    assert said.code == 1
    assert "redis_unreachable" in said.err
    assert "is Redis (or Valkey) running" in said.err
