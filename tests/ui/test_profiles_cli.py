"""``hub profiles``: what people and programs are told of profiles, their mistakes and examples, and the exit codes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ui.conftest import Cli
from tests.ui.profiles import GOOD, Profiles

LAST_OF_NONE = """\
profile: acme/probe
version: 1.0.0
kind: environment_sensor
label: {en: Probe, zh: 探头}
payload: {format: json}
time: {from: none}
properties:
  humidity: {path: h, unit: "%", only: {"#last": true}}
  temperature: {path: t, unit: Cel}
examples:
  - {name: a day, source: invented, payload: {json: {t: 21.5}}, expect: {temperature: 21.5}}
  - {name: no probe, source: invented, payload: {json: {x: 1}}, expect_error: unmatched}
"""


@pytest.fixture
def profiles(cli: Cli, tmp_path: Path) -> Profiles:
    return Profiles(cli, tmp_path)


def test_the_list_has_the_shipped_ones_and_those_of_the_installation(profiles: Profiles) -> None:
    profiles.write(GOOD)
    rows = {row["profile"]: row for row in profiles("list", "--json").document()}
    assert rows["acme/probe"] == {
        "profile": "acme/probe",
        "kind": "environment_sensor",
        "version": "1.0.0",
        "format": "bytes",
        "label": {"en": "Probe", "zh": "探头"},
        "examples": 2,
    }
    assert "milesight/gs524n" in rows


def test_show_tells_where_each_property_lies(profiles: Profiles) -> None:
    profiles.write(GOOD)
    said = profiles("show", "acme/probe")
    (row,) = [line for line in said.out.splitlines() if line.startswith("temperature")]
    assert row.split()[:7] == ["temperature", "Cel", "-40", "…", "85", "1:i16be", "温度"]
    assert "探头 / Probe" in said.out


def test_an_unknown_model_is_told_with_the_one_that_was_meant(profiles: Profiles) -> None:
    said = profiles("show", "milesight/gs524")
    assert (said.code, "did you mean milesight/gs524n?" in said.err) == (2, True)


def test_sound_profiles_check(profiles: Profiles) -> None:
    profiles.write(GOOD)
    said = profiles("check", "acme/probe")
    assert (said.code, said.out.splitlines()[-1].endswith(" profiles, 0 findings")) == (0, True)


def test_every_mistake_of_every_file_is_told_with_its_line(profiles: Profiles) -> None:
    wrong = GOOD.replace("version: 1.0.0", "version: one").replace("length: 3", "lenght: 3")
    profiles.write(wrong)
    profiles.write(GOOD.replace("acme/probe", "acme/other").replace("humidity: {at", "humidty: {at"), "acme/other")
    profiles.write("profile: [", "acme/broken")
    said = profiles("check", "--json")
    found = {(Path(each["file"]).stem, each["line"], each["code"]) for each in said.document()}
    assert found >= {
        ("probe", 2, "bad_document"),
        ("probe", 5, "unknown_key"),
        ("other", 8, "unknown_property"),
        ("broken", 1, "bad_yaml"),
    }
    assert said.code == 2


def test_a_condition_on_the_last_of_no_records_is_told(profiles: Profiles) -> None:
    file = profiles.write(LAST_OF_NONE)
    found = profiles("check", str(file), "--json").document()
    assert [(each["line"], each["weight"]) for each in found if each["code"] == "never"] == [(8, "warning")]


def test_a_doubt_does_not_fail_the_check(profiles: Profiles) -> None:
    file = profiles.write(GOOD.replace(', unit: "%"', "").replace(", zh: 探头", "") + "# TODO: ask for the manual\n")
    said = profiles("check", str(file))
    assert said.code == 0
    assert [line.rpartition("  ")[2] for line in said.out.splitlines()[:-1]] == [
        "[no_label]",
        "[no_unit]",
        "[undecided]",
    ]
    assert f"{file}:13: warning: acme/probe: ask for the manual" in said.out


def test_a_file_can_be_checked_before_it_is_installed(profiles: Profiles, tmp_path: Path) -> None:
    file = tmp_path / "elsewhere.yaml"
    file.write_text(GOOD.replace("environment_sensor", "enviroment_sensor"), encoding="utf-8")
    said = profiles("check", str(file))
    assert said.code == 2
    assert f"{file}:3: error: acme/probe" in said.out
    assert "did you mean 'environment_sensor'?" in said.out


def test_examples_that_hold_are_counted_and_gaps_named(profiles: Profiles) -> None:
    profiles.write(GOOD.replace("time:", "params: {}\ntime:"))
    (row,) = profiles("test", "acme/probe", "--json").document()
    assert row == {"profile": "acme/probe", "examples": 2, "failed": {}, "untouched": []}
    (row,) = profiles("test", "milesight/gs524n", "--json").document()
    assert "status: no example has 5, 11 of 9 values" in row["untouched"]


def test_an_example_that_does_not_hold_exits_1_and_says_what_differs(profiles: Profiles) -> None:
    profiles.write(GOOD.replace("humidity: 44", "humidity: 45"))
    said = profiles("test", "acme/probe")
    assert said.code == 1
    assert said.out.startswith("acme/probe: a day\n  values: expected {'humidity': 45}, got {'humidity': 44.0}\n")


LOCK = (
    GOOD.replace("environment_sensor", "smoke_sensor")
    .replace("humidity: {at: 0", "battery: {at: 0")
    .replace("humidity: 44", "battery: 44")
    + """\
commands:
  silence: {text: quiet, confirm: temperature > 20}
  sound: {text: "sound {ttl.s}"}
cannot: {self_test: {en: it has a button for that, zh: 请按设备上的按钮}}
sends:
  - {name: be quiet, source: invented, command: silence, payload: {text: quiet}}
"""
)


def test_what_a_model_is_told_and_what_it_cannot_be_told_are_shown_with_the_bytes(profiles: Profiles) -> None:
    profiles.write(LOCK)
    lines = profiles("show", "acme/probe").out.splitlines()
    (told,) = [line for line in lines if line.startswith("silence  ") and "temperature > 20" in line]
    assert "text: quiet" in told
    assert any(line.startswith("self_test") and "请按设备上的按钮 / it has a button for that" in line for line in lines)
    assert any(line.split() == ["silence", "quiet", "invented"] for line in lines)


def test_bytes_that_a_command_sends_are_shown_as_bytes_however_they_are_written(profiles: Profiles) -> None:
    for written in ("{b64: /2IA}", "{hex: FF6200}"):
        profiles.write(LOCK.replace("payload: {text: quiet}", f"payload: {written}"))
        lines = profiles("show", "acme/probe").out.splitlines()
        assert any(line.split() == ["silence", "ff", "62", "00", "invented"] for line in lines)


def test_examples_of_commands_are_run_like_those_of_messages(profiles: Profiles) -> None:
    profiles.write(LOCK)
    (row,) = profiles("test", "acme/probe", "--json").document()
    assert (row["examples"], row["failed"]) == (3, {})
    assert row["untouched"] == ["sound is sent in no example"]
    profiles.write(LOCK.replace("payload: {text: quiet}", "payload: {text: hush}"))
    said = profiles("test", "acme/probe")
    assert (said.code, said.out.splitlines()[1]) == (1, "  payload: expected b'hush', got b'quiet'")


def test_a_command_of_which_nothing_is_said_and_a_mistake_in_what_shows_it_done_are_found(profiles: Profiles) -> None:
    file = profiles.write(LOCK.replace("cannot:", "# cannot:"))
    said = profiles("check", "acme/probe")
    assert said.code == 0
    assert "it does not say how it is told to self_test" in said.out
    assert "sound is sent in no example" in said.out
    file = profiles.write(LOCK.replace("temperature > 20", "temprature > 20"))
    said = profiles("check", "acme/probe")
    assert said.code == 2
    assert f"{file}:14: error: acme/probe" in said.out


@pytest.mark.parametrize("hole", ["{id:u16le}", "{sent_at:u32be}", "{called:u8}"])
def test_a_command_that_can_never_leave_is_told_before_somebody_needs_it(profiles: Profiles, hole: str) -> None:
    file = profiles.write(
        LOCK.replace("{text: quiet, confirm", f'{{hex: "01 {hole}", confirm') + "params: {called: a}\n"
    )
    found = profiles("check", str(file), "--json").document()
    assert [(each["line"], each["weight"]) for each in found if each["code"] == "never_fits"] == [(14, "warning")]


def test_a_command_that_is_done_when_something_shows_it_that_nobody_reads_is_told(profiles: Profiles) -> None:
    file = profiles.write(LOCK.replace("temperature > 20", "status == 'silenced'"))
    found = profiles("check", str(file), "--json").document()
    told = [(each["line"], each["weight"], each["hint"]) for each in found if each["code"] == "never_seen"]
    assert told == [(14, "warning", "read status; confirm: what it does say, or false")]


LIFT = """\
profile: acme/lift
version: 1.0.0
kind: elevator
label: {en: Lift, zh: 电梯}
payload: {format: json}
time: {from: none}
properties: {floor: {path: f}}
commands:
  recall: {json: {id: "{id}", to: [{floor: "{floor}"}]}}
"""


def test_a_recall_for_which_a_rule_that_ships_says_too_little_is_told_before_there_is_a_fire(
    profiles: Profiles, cli: Cli, tmp_path: Path
) -> None:
    file = profiles.write(LIFT, "acme/lift")
    said = profiles("check", str(file))
    (told,) = [line for line in said.out.splitlines() if "[unsaid_argument]" in line]
    assert told.startswith(f"{file}:9: warning: acme/lift: commands.recall: recall does not leave without floor")
    checked = cli("--config", str(tmp_path / "hub.toml"), "rules", "check", "fire-confirmed")
    assert "acme/lift cannot recall without floor" in checked.out
    profiles.write(LIFT + "params: {floor: 1}\n", "acme/lift")
    assert "unsaid_argument" not in profiles("check", str(file)).out


def test_a_file_that_no_parser_reads_is_told_under_the_name_of_its_model(profiles: Profiles) -> None:
    file = profiles.write(GOOD.replace("  temperature:", "\ttemperature:"))
    for arguments in (("check",), ("test",), ("show",), ("decode", "2C00D7")):
        said = profiles(arguments[0], "acme/probe", *arguments[1:])
        assert (said.code, f"{file}:9: " in said.out + said.err) == (2, True)
        assert "bad_yaml" in said.out + said.err


def test_a_network_that_no_parser_reads_is_told_under_its_name(profiles: Profiles) -> None:
    file = profiles.write("network: acme\n\tstreams: []\n", "networks/acme")
    for command in ("check", "test"):
        said = profiles(command, "acme")
        assert (said.code, f"{file}:2: " in said.out + said.err) == (2, True)


def test_the_examples_of_a_file_that_no_parser_reads_do_not_hold_for_want_of_any(profiles: Profiles) -> None:
    file = profiles.write("profile: [", "acme/one")
    for chosen in ((str(file),), (str(file.parent),), ()):
        said = profiles("test", *chosen)
        assert (said.code, f"{file}:1: error: acme/one" in said.err) == (2, True)


@pytest.mark.parametrize(
    ("right", "wrong", "line"),
    [
        ('{hex: "2C00D7"}', '{b64: "LA DX"}', 11),
        ("temperature: 21.5}", "temperature: 21.5}, expect_time: yesterday", 11),
        ("temperature: 21.5}", 'temperature: 21.5}, expect_time: "2026-03-01T08:00:00"', 11),
    ],
)
def test_an_example_that_nobody_could_judge_is_told_with_its_line(
    profiles: Profiles, right: str, wrong: str, line: int
) -> None:
    file = profiles.write(GOOD.replace(right, wrong))
    for verb in ("check", "test"):
        said = profiles(verb, "acme/probe")
        assert (said.code, f"{file}:{line}: " in said.out + said.err, "bad_example" in said.out + said.err) == (
            2,
            True,
            True,
        )


def test_the_zone_of_a_clock_that_has_none_is_told(profiles: Profiles) -> None:
    clock = "time: {from: [{at: 0, as: u8, format: unix, zone: Asia/Shanghai}]}"
    file = profiles.write(GOOD.replace("time: {from: none}", clock))
    said = profiles("check", str(file))
    assert (said.code, "warning: acme/probe: time.from.0.zone: it counts from 1970 in UTC" in said.out) == (0, True)


def test_the_time_of_each_message_is_enough(profiles: Profiles) -> None:
    shapes = GOOD.replace("time: {from: none}\nproperties:", "messages:\n- time: {from: none}\n  properties:")
    file = profiles.write(shapes.replace("  humidity", "    humidity").replace("  temperature", "    temperature"))
    assert profiles("check", str(file)).out.endswith(" profiles, 0 findings\n")
    file.write_text(file.read_text(encoding="utf-8").replace("- time: {from: none}\n ", "-"), encoding="utf-8")
    assert "say at the top where the time comes from" in profiles("check", str(file)).out


def test_a_profile_that_was_just_begun_says_nothing_yet(profiles: Profiles) -> None:
    file = profiles.write(GOOD[: GOOD.index("properties:")] + "properties: {}\n")
    assert "it says nothing yet: write properties" in profiles("check", str(file)).out


NETWORK = """\
network: acme
version: 1.0.0
label: {en: Acme, zh: 虚构}
streams:
  - {filter: "acme/{device}/up", class: telemetry}
examples:
  - name: one
    source: invented
    topic: acme/a/up
    payload: {text: x}
    class: telemetry
    expect: {device: a, payload: {text: x}}
"""


def test_the_examples_of_a_network_are_run_like_those_of_profiles(profiles: Profiles) -> None:
    file = profiles.write(NETWORK, "networks/acme")
    for chosen in ("acme", str(file)):
        (row,) = profiles("test", chosen, "--json").document()
        assert row == {"profile": "acme", "examples": 1, "failed": {}, "untouched": []}
        assert profiles("check", chosen).code == 0
    profiles.write(NETWORK.replace("device: a,", "device: b,"), "networks/acme")
    said = profiles("test", "acme")
    assert (said.code, said.out.splitlines()[:2]) == (1, ["acme: one", "  device: expected 'b', got 'a'"])
    profiles.write(NETWORK.replace("    expect:", "    expect_error: x\n    expect:"), "networks/acme")
    assert (profiles("test", "acme").code, "[bad_document]" in profiles("test", "acme").err) == (2, True)
    profiles.write(NETWORK.replace("acme/{device}/up", "acme/{device}/#/up"), "networks/acme")
    assert f"{file}:5: error: acme: streams.0.filter: " in profiles("check", "acme").out


def test_networks_are_shown_in_the_order_of_their_files(profiles: Profiles) -> None:
    names = [f"net{number}" for number in range(8)]
    for name in names:
        profiles.write(NETWORK.replace("network: acme", f"network: {name}"), f"networks/{name}")
    assert [row["profile"] for row in profiles("test", str(profiles.own), "--json").document()] == names
