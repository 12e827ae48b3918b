"""Profiles made of bridge/devices: what real models say becomes what our kinds know, and what does not is listed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hub.errors import PoisonError
from hub.model.heard import Reading
from hub.normalize.compile import compile_downlinks, compile_profile
from hub.normalize.networks.exposes import MAX_DIRECTORY_BYTES
from hub.normalize.networks.synthesis import VENDOR, Directory, synthesize
from hub.normalize.profile import Profile
from tests.normalize.networks.bridge import BATTERY, LINK, MODELS, SMOKE, TEMPERATURE, directory, entry, yes_or_no
from tests.shipped import profiles as shipped_profiles

KINDS = shipped_profiles()[0].kinds


def made(*entries: object) -> Directory:
    return synthesize(directory(*entries), KINDS)


def profile(model: str, **more: object) -> Profile:
    (document,) = made(entry("one", model, **more)).profiles.values()
    return Profile.model_validate(document)


def readings(model: str, message: dict[str, object]) -> list[Reading]:
    words = profile(model)
    return list(compile_profile(words, KINDS[words.kind], {}, "Asia/Shanghai")(json.dumps(message).encode()))


def values(model: str, **message: object) -> dict[str, object]:
    (found,) = readings(model, message)
    return dict(found.values)


def sent(model: str, command: str) -> dict[str, object]:
    words = profile(model)
    encode = compile_downlinks(words, KINDS[words.kind], {})[command]
    found: dict[str, object] = json.loads(encode(id="1", part="", args={}, sent_at=0, expires_at=0))
    return found


def reasons(found: Directory) -> set[tuple[str, str]]:
    return {(each.path, each.code) for each in found.unmapped}


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("smoke", "smoke_sensor"),
        ("aqara", "smoke_sensor"),
        ("contact", "door_contact"),
        ("leak", "leak_sensor"),
        ("climate", "environment_sensor"),
        ("gas", "gas_detector"),
        ("sos", "panic_button"),
        ("lock", "access_controller"),
    ],
)
def test_what_a_device_exposes_tells_its_kind(model: str, kind: str) -> None:
    found = made(entry("one", model))
    assert [device.kind for device in found.devices] == [kind]
    assert list(found.profiles) == [found.devices[0].profile]


def test_a_smoke_alarm_says_what_it_exposes() -> None:
    said = values("smoke", smoke=True, tamper=False, test=True, battery=96.5, voltage=2975, linkquality=92)
    assert said == {"alarm": True, "tamper": False, "testing": True, "battery": 96.5, "battery_voltage": 2.975}


def test_fire_is_critical() -> None:
    assert readings("smoke", {"smoke": True})[0].critical
    assert not readings("smoke", {"smoke": False})[0].critical


def test_null_is_a_value_that_was_not_heard_yet() -> None:
    assert values("smoke", smoke=None, battery=80) == {"battery": 80}


def test_a_message_about_the_radio_alone_is_a_sign_of_life() -> None:
    (found,) = readings("smoke", {"linkquality": 92, "update": {"state": "idle"}})
    assert (found.values, list(found.signals)) == ({}, [])


def test_an_open_door_is_a_contact_that_is_false() -> None:
    assert values("contact", contact=False) == {"contact": "open"}
    assert values("contact", contact=True) == {"contact": "closed"}


@pytest.mark.parametrize(
    ("gas", "carbon_monoxide", "alarm"),
    [(True, False, True), (False, True, True), (True, True, True), (False, False, False), (None, False, False)],
)
def test_either_of_two_gases_is_an_alarm(gas: bool | None, carbon_monoxide: bool, alarm: bool) -> None:  # noqa: FBT001 -- a row of the table
    assert values("gas", gas=gas, carbon_monoxide=carbon_monoxide)["alarm"] is alarm


def test_the_one_gas_that_a_message_names_counts() -> None:
    assert values("gas", carbon_monoxide=True) == {"alarm": True}
    assert values("gas", gas=False) == {"alarm": False}


def test_a_call_for_help_is_a_signal_and_critical() -> None:
    (found,) = readings("sos", {"action": "emergency", "battery": 80})
    assert [signal.name for signal in found.signals] == ["sos.pressed"]
    assert found.critical
    assert readings("sos", {"battery": 80})[0].signals == ()


def test_a_lock_is_what_it_is_and_not_what_it_was_told() -> None:
    assert values("lock", state="LOCK", lock_state="unlocked") == {"lock": "unlocked"}
    assert values("lock", state="LOCK", lock_state="not_fully_locked", battery=87) == {"battery": 87}
    assert ("state", "twice") in reasons(made(entry("one", "lock")))


def test_a_measured_density_is_taken_and_a_bare_number_is_not() -> None:
    assert values("aqara", smoke=False, smoke_density=4, smoke_density_dbm=0.095)["smoke_density"] == 0.095
    assert ("smoke_density", "no_unit") in reasons(made(entry("one", "aqara")))


def test_a_value_beyond_what_the_device_can_say_is_bad_and_kept() -> None:
    (found,) = readings("aqara", {"smoke": False, "smoke_density_dbm": 3})
    assert (found.values["smoke_density"], list(found.bad)) == (3, ["smoke_density"])


def test_fahrenheit_becomes_celsius() -> None:
    warm = entry(
        "one", "climate", definition=definition({**TEMPERATURE, "unit": "°F", "value_min": 14, "value_max": 122})
    )
    (document,) = made(warm).profiles.values()
    words = Profile.model_validate(document)
    handler = compile_profile(words, KINDS[words.kind], {}, "UTC")
    assert handler(b'{"temperature": 77}')[0].values["temperature"] == pytest.approx(25)
    assert list(handler(b'{"temperature": 140}')[0].bad) == ["temperature"]


@pytest.mark.parametrize(
    ("model", "command", "payload"),
    [
        ("smoke", "self_test", {"selftest": ""}),
        ("aqara", "silence", {"buzzer": "mute"}),
        ("aqara", "sound", {"buzzer": "alarm"}),
        ("gas", "silence", {"silence": True}),
        ("lock", "unlock", {"state": "UNLOCK"}),
        ("lock", "lock", {"state": "LOCK"}),
    ],
)
def test_what_can_be_set_is_a_command(model: str, command: str, payload: dict[str, object]) -> None:
    assert sent(model, command) == payload


def test_what_is_only_read_is_no_command() -> None:
    assert profile("sos").commands == {}


def definition(*exposes: dict[str, Any], **more: object) -> dict[str, object]:
    return {"vendor": "Acme", "model": "T 1/x", "description": "", "exposes": list(exposes), **more}


def test_what_could_not_be_mapped_is_listed_with_its_reason() -> None:
    found = made(entry("one", "smoke"))
    assert reasons(found) == {
        ("linkquality", "no_property"),
        ("smoke_density", "no_unit"),
        ("sensitivity", "setting"),
    }
    assert {each.device for each in found.unmapped} == {"one"}


@pytest.mark.parametrize("model", ["remote", "motion"])
def test_a_device_that_we_have_no_kind_for_is_listed(model: str) -> None:
    found = made(entry("one", model))
    assert (found.profiles, found.devices) == ({}, [])
    assert [(each.device, each.code) for each in found.unmapped] == [("one", "no_kind")]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ({"definition": None, "supported": False}, "unsupported"),
        ({"definition": None, "interview_completed": False}, "interviewing"),
        ({"disabled": True}, "disabled"),
        ({"friendly_name": "kitchen/smoke"}, "unreachable_name"),
        ({"friendly_name": "smoke\u0000"}, "unreachable_name"),
        ({"friendly_name": 7}, "bad_entry"),
        ({"definition": {"exposes": 3}}, "bad_entry"),
    ],
)
def test_a_device_that_cannot_be_used_costs_only_itself(words: dict[str, object], code: str) -> None:
    found = made(entry("odd", "smoke", **words), entry("good", "leak"))
    assert [device.name for device in found.devices] == ["good"]
    assert code in [each.code for each in found.unmapped]


@pytest.mark.parametrize(
    "odd",
    [
        {"value_max": "255"},
        {"value_max": 10**400},
        {"value_min": True},
        {"unit": 5},
        {"category": 1},
        {"endpoint": 1},
        {"values": "x"},
        {"access": "1"},
        {"access": 1.5},
    ],
)
def test_what_is_odd_of_one_value_does_not_cost_the_smoke_of_its_device(odd: dict[str, object]) -> None:
    found = made(entry("one", "smoke", definition=definition(*SMOKE[:-1], {**LINK, **odd})))
    assert [device.kind for device in found.devices] == ["smoke_sensor"]
    unusable = definition({**yes_or_no("smoke"), "access": "1"}, BATTERY)
    assert made(entry("one", "smoke", definition=unusable)).devices == []


@pytest.mark.parametrize("unknown", ["model", "vendor"])
def test_nor_does_a_model_that_nobody_knows(unknown: str) -> None:
    (found,) = made(entry("one", "smoke", definition={**definition(*SMOKE), unknown: None})).devices
    assert (found.kind, getattr(found, unknown)) == ("smoke_sensor", "")


def test_the_coordinator_is_no_device() -> None:
    assert made() == Directory({}, [], [])


def test_equal_devices_share_a_profile() -> None:
    found = made(entry("one", "smoke"), entry("two", "smoke", ieee_address="0x00158d0001b7d2a4"), entry("leak", "leak"))
    assert len(found.profiles) == 2
    assert found.devices[0].profile == found.devices[1].profile
    assert [device.address[-1] for device in found.devices[:2]] == ["3", "4"]


def test_the_same_directory_gives_the_same_profiles_and_another_definition_another_name() -> None:
    one = made(entry("one", "smoke"))
    assert made(entry("one", "smoke")) == one
    other = made(entry("one", "smoke", definition=definition(yes_or_no("smoke"), BATTERY))).devices[0].profile
    assert other.startswith(f"{VENDOR}/t-1-x-")
    assert other != one.devices[0].profile


def test_one_of_several_endpoints_is_not_taken_for_the_device() -> None:
    warm = {**TEMPERATURE, "property": "temperature_left", "endpoint": "left"}
    found = made(entry("one", "leak", definition=definition(yes_or_no("water_leak"), warm)))
    assert reasons(found) == {("temperature_left", "endpoint")}
    assert [device.kind for device in found.devices] == ["leak_sensor"]


def test_a_detector_of_which_one_end_would_stay_unheard_gets_no_profile() -> None:
    left = {**yes_or_no("water_leak"), "property": "water_leak_left", "endpoint": "left"}
    found = made(entry("one", "leak", definition=definition(yes_or_no("water_leak"), left, BATTERY)))
    assert (found.profiles, found.devices) == ({}, [])
    assert reasons(found) == {("water_leak_left", "endpoint"), ("", "no_profile")}


@pytest.mark.parametrize(
    "odd",
    [
        {**yes_or_no("smoke"), "value_on": None},
        {**yes_or_no("smoke"), "value_on": {"a": 1}},
        {**yes_or_no("smoke"), "value_on": False},
        {**yes_or_no("smoke"), "property": "a.b"},
        {**yes_or_no("smoke"), "access": 0},
    ],
)
def test_a_smoke_alarm_whose_smoke_cannot_be_read_gets_no_profile(odd: dict[str, object]) -> None:
    found = made(entry("one", "smoke", definition=definition(odd, BATTERY)))
    assert (found.profiles, found.devices) == ({}, [])
    assert found.unmapped


def test_a_text_with_a_hole_never_becomes_a_template() -> None:
    tricky = {**yes_or_no("silence", access=3), "value_on": "{id}", "value_off": "no"}
    assert profile("gas", definition=definition(yes_or_no("gas"), tricky)).commands == {}


def test_values_inside_a_composite_are_reached() -> None:
    inner = {"type": "composite", "name": "state", "property": "detector", "features": [yes_or_no("smoke")]}
    words = profile("smoke", definition=definition(inner))
    assert compile_profile(words, KINDS["smoke_sensor"], {}, "UTC")(b'{"detector": {"smoke": true}}')[0].values == {
        "alarm": True
    }


@pytest.mark.parametrize("model", MODELS)
def test_every_profile_reads_back_from_the_journal(model: str) -> None:
    for document in made(entry("one", model)).profiles.values():
        assert Profile.model_validate_json(json.dumps(document), strict=True) == Profile.model_validate(document)


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"{}", "bad_value"),
        (b"[", "bad_json"),
        (b"[" * 100, "too_deep"),
        (b" " * (MAX_DIRECTORY_BYTES + 1), "too_large"),
        (b"[\xff]", "bad_json"),
    ],
)
def test_a_directory_that_is_none_is_poison(payload: bytes, code: str) -> None:
    with pytest.raises(PoisonError) as caught:
        synthesize(payload, KINDS)
    assert caught.value.code == code
