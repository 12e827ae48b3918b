"""`hub dead-letters retry` beside a running hub: a profile is mended, and what it had buried is stored, once."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import orjson
import pytest

from tests.machine import needs_mosquitto
from tests.ui.at import At
from tests.ui.conftest import Cli
from tests.ui.installation import BROKEN, SITE, Installation

PROFILE = """\
profile: acme/box
version: {version}
kind: environment_sensor
label: {{en: A box, zh: 盒子}}
payload: {payload}
time: {{from: none}}
properties:
  temperature: {reads}
examples:
  - {{name: warm, source: invented, payload: {example}, expect: {{temperature: 21.5}}}}
"""
WRONG = PROFILE.format(
    version="1.0.0", payload="{format: bytes, length: 2}", reads="{at: 0, as: u16le, scale: 0.1, unit: Cel}",
    example='{hex: "D700"}',
)  # fmt: skip
MENDED = PROFILE.format(
    version="1.0.1", payload="{format: json}", reads="{path: temp, unit: Cel}", example='{json: {"temp": 21.5}}'
)
SAID = b'{"temp": 21.5, "of": "4711"}'

pytestmark = needs_mosquitto


@pytest.fixture
def at(cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> Iterator[At]:
    directory = tmp_path_factory.mktemp("installation")
    (directory / "profiles" / "acme").mkdir(parents=True)
    (directory / "profiles" / "acme" / "box.yaml").write_text(WRONG, encoding="utf-8")
    with Installation(directory, f'profiles_dir = "{directory / "profiles"}"\n') as it:
        yield At(cli, it)


def test_what_a_network_said_of_a_device_is_found_by_the_name_it_has_since_and_what_was_cut_is_told(at: At) -> None:
    at("sources", "add", "lora", "--network", "chirpstack")
    at("sources", "add", "z2m", "--network", "zigbee2mqtt")
    for eui in ("ab01", "ab02"):  # kept by the broker: the hub may not listen there yet
        said = {"data": base64.b64encode(BROKEN).decode(), "deduplicationId": eui}
        at.installation.publish(f"application/1/device/{eui}/event/up", orjson.dumps(said), retain=True)
    at.installation.publish("zigbee2mqtt/bridge/devices", b"[" * 300_000, retain=True)
    at.until("dead-letters", "list", meets=lambda found: len(found) == 3)
    assert "SITE/ID, or @SOURCE/NAME" in at.refused("dead-letters", "retry", "--device", "smoke-2")
    asked = at("dead-letters", "retry", "--device", "@lora/ab02")
    assert (asked["taken"], asked["why"]) == (0, {"unknown_device": 1})
    assert [each["device"] for each in at("devices", "pending")] == ["@lora/ab02", "@lora/ab01"]
    begun = at.installation.directory / "box.yaml"
    begin = ("profiles", "new", "acme/frame", "--kind", "smoke_sensor", "--from", "pending:@lora/ab02")
    assert at.said(*begin, "--to", str(begun), "--unmask", "--reason", "ticket 9").code == 0
    at("devices", "add", SITE, "smoke-2", "--kind", "smoke_sensor", "--profile", "milesight/gs524n",
       "--source", "lora", "--network-id", "AB01")  # fmt: skip
    mine = ("dead-letters", "retry", "--device", f"{SITE}/smoke-2")
    at.until(*mine, "--dry-run", meets=lambda found: found["why"] == {"bad_checksum": 1})
    assert [at(*mine)["why"] for _ in range(2)] == [{"bad_checksum": 1}] * 2  # the second time it has that name itself
    asked = at("dead-letters", "retry")
    assert (asked["taken"], asked["why"]) == (0, {"payload_cut": 1, "unknown_device": 1, "bad_checksum": 1})
    assert "\n  payload_cut: 1\n" in at.said("dead-letters", "retry", "--dry-run").out


def test_what_a_mended_profile_had_buried_is_stored_once_at_its_own_time_whatever_is_killed(at: At) -> None:
    for name in ("box-1", "box-2"):
        at("devices", "add", SITE, name, "--kind", "environment_sensor", "--profile", "acme/box")
        at.installation.publish(f"hub/{SITE}/{name}/telemetry", SAID)
    letters = at.until("dead-letters", "list", meets=lambda found: len(found) == 2)[::-1]
    # What is refused again stays, with its new reason; a dry run changes nothing. The second box may not be known yet.
    both = {"taken": 0, "refused": 2, "dry_run": True, "why": {"bad_length": 2}}
    at.until("dead-letters", "retry", "--dry-run", meets=lambda found: found == both)
    assert at("dead-letters", "retry") == {"taken": 0, "refused": 2, "dry_run": False, "why": {"bad_length": 2}}
    again = at.until("dead-letters", "list", "--code", "bad_length", meets=lambda found: len(found) == 2)
    assert [each["number"] for each in again[::-1]] == [each["number"] for each in letters]
    profile = at.installation.directory / "profiles" / "acme" / "box.yaml"
    profile.write_text(MENDED, encoding="utf-8")
    at("rules", "apply")
    assert at("dead-letters", "retry", "--dry-run")["taken"] == 2
    assert at("dead-letters", "retry", "--device", f"{SITE}/box-1", "--as", "li")["taken"] == 1
    at.installation.kill()  # before its row is gone from the file
    at.installation.start()
    assert at("dead-letters", "retry", "--code", "bad_length", "--as", "zhao")["taken"] == 1
    assert at("dead-letters", "retry") == {"taken": 0, "refused": 0, "dry_run": False, "why": {}}
    at.until("dead-letters", "list", meets=lambda found: not found)
    for name, letter in zip(("box-1", "box-2"), letters, strict=True):
        (row,) = at.until("telemetry", "query", "environment_sensor", name)
        assert row["fields"] == {"temperature": 21.5}
        assert row["time"] // 10**6 == letter["received_at"] // 10**6
    assert (
        at.said("dead-letters", "retry").out
        == "taken again 0, still dead letters 0 / 已重新处理 0 条，仍无法理解 0 条\n"
    )
    asked = at.until("audit", "--what", "control.retry", meets=lambda found: len(found) >= 5)
    assert {each["actor"] for each in asked} >= {"li", "zhao"}
    shown = at("journal", "show", "--last", "500")
    assert next(each["letters"] for each in shown if each.get("letters")) == [each["number"] for each in letters]
    assert "4711" not in at.said("journal", "show", "--last", "500", "--json").out
    at.installation.kill()
    at.installation.start()
    assert at("dead-letters", "list") == []
    assert len(at("telemetry", "query", "environment_sensor", "box-1")) == 1
