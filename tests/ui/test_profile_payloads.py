"""``hub profiles decode``, ``guess`` and ``new``: from a captured payload to a profile."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from hub.ui.cli import profiles_payloads
from hub.ui.cli.profiles_payloads import Writing
from tests.ui.conftest import Cli
from tests.ui.profiles import FIRE, GOOD, Profiles


@pytest.fixture
def profiles(cli: Cli, tmp_path: Path) -> Profiles:
    return Profiles(cli, tmp_path)


# ---------------------------------------------------------------------------------------------------------- decode


def test_decode_tells_which_byte_became_which_value(profiles: Profiles) -> None:
    found = profiles("decode", "milesight/gs524n", "22 11 64 32 1F 18", "--json").document()
    marks = {
        mark["name"]: (mark["offset"], mark["raw"], mark["value"], mark["unit"])
        for mark in found["marks"]
        if mark["length"]
    }
    assert marks["battery"] == (2, 100, 100.0, "%")
    assert marks["status"] == (1, 1, "alarm", None)
    assert found["unread"] == [
        {"section": "", "offset": 0, "length": 1, "raw": "22"},
        {"section": "", "offset": 5, "length": 1, "raw": "18"},
    ]


def test_decode_for_people_is_a_dump_with_a_legend(profiles: Profiles) -> None:
    lines = [line.rstrip() for line in profiles("decode", "milesight/gs524n", FIRE).out.splitlines()]
    assert lines[0] == '000000  22 11 64 32 1f 18                                ".d2..'
    assert ["4", "temperature", "31", "31.0", "Cel"] in [line.split() for line in lines]
    assert lines[-1].endswith("[critical]")
    assert not any("\x1b" in line for line in lines)


def test_the_bytes_of_a_value_and_its_legend_have_one_colour(
    profiles: Profiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    out = profiles("decode", "milesight/gs524n", FIRE).out
    colours = re.findall(r"\x1b\[([0-9;]+)m64\x1b", out)
    assert colours
    assert f"\x1b[{colours[0]}mbattery" in out


def test_no_color_is_heeded(profiles: Profiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    assert re.search(r"\x1b\[[0-9;]*3[0-7]m", profiles("decode", "milesight/gs524n", FIRE).out) is None


def test_a_wrong_checksum_is_named_and_the_bytes_are_shown_all_the_same(profiles: Profiles) -> None:
    said = profiles("decode", "milesight/gs524n", "221164321F19")
    assert said.code == 1
    assert "dead letter: [bad_checksum]" in said.out
    assert "if its frame were right: device: status=alarm" in said.out


def test_nobody_says_that_the_checksum_of_a_cut_frame_is_right(profiles: Profiles) -> None:
    for model, payload in (("milesight/gs524n", FIRE[:-2]), ("gbt26875/panel", "404002000100001e090d")):
        said = profiles("decode", model, payload)
        assert (said.code, "[bad_length]" in said.out, "checksum" in said.out) == (1, True, False)


def test_an_error_names_the_path_that_it_is_about(profiles: Profiles) -> None:
    said = profiles("decode", "zigbee2mqtt/smoke", '{"smoke": "yes", "battery": 96}')
    assert said.code == 1
    assert said.out.splitlines()[-1].endswith("-- alarm: smoke")


def test_what_a_device_wrote_never_reaches_the_terminal_as_a_command(profiles: Profiles) -> None:
    said = profiles("decode", "zigbee2mqtt/smoke", json.dumps({"smoke": True, "x\x1b[2J": "\x1b]0;title\x07"}))
    assert not {"\x1b", "\x07"} & set(said.out)


def test_an_answer_to_a_command_is_no_dead_letter(profiles: Profiles) -> None:
    answer = '{"id": "c-1", "answer": {"code": 1106, "success": false}}'
    said = profiles("decode", "tuya/charging_pole", answer)
    assert (said.code, said.out.splitlines()[-1]) == (0, "answer to command c-1: not done, code 1106")
    told = profiles("decode", "tuya/charging_pole", answer, "--json").document()
    assert told["answer"] == {"id": "c-1", "ok": False, "code": "1106", "state": {}, "bad": []}
    said = profiles("decode", "tuya/charging_pole", '{"answer": {}}')
    assert (said.code, "dead letter: [unmatched]" in said.out) == (1, True)


def test_what_measures_is_no_answer_and_what_only_might_be_one_says_what_else_it_is(profiles: Profiles) -> None:
    measured = '{"id":"c-1","result":[{"port":"1","port_switch":1,"charging_time":3}]}'
    said = profiles("decode", "tuya/charging_pole", measured)
    assert (said.code, "time_charged" in said.out, "answer to command" in said.out) == (0, True, False)
    said = profiles("decode", "ebike_board/door_hold", '{"id":"c","type":"other","sender":"board"}')
    assert "as a measurement it would be a dead letter: [unmatched]" in said.out


def test_a_name_with_a_dot_is_one_step_of_the_path_that_new_writes(profiles: Profiles, tmp_path: Path) -> None:
    captured = tmp_path / "air.json"
    captured.write_text('{"data":{"sensor.temperature":21.5}}', encoding="utf-8")
    file = tmp_path / "air.yaml"
    words = ("--kind", "environment_sensor", "--from", str(captured), "--to", str(file))
    assert profiles("new", "acme/air", *words).code == 0
    assert "path: data.sensor..temperature" in file.read_text(encoding="utf-8").replace('"', "")
    assert profiles("test", str(file)).code == 0


def test_a_block_is_shown_with_its_own_offsets(profiles: Profiles) -> None:
    payload = {"TY": "M", "sensorType": "SINGLEBOX", "D": "Tu3WZAEAAAAAAAEBDAAAAAEBAB8ghbo="}
    found = profiles("decode", "elevator_box/d_block", json.dumps(payload), "--json").document()
    floor = next(mark for mark in found["marks"] if mark["name"] == "floor")
    assert (floor["section"], floor["offset"], floor["raw"], floor["value"]) == ("D", 12, 12, 12)


def test_params_and_zone_are_those_of_the_device(profiles: Profiles) -> None:
    words = {"TY": "M", "sensorType": "CarRoof", "time": "2020-07-07 14:37:08", "D": "AAAAAAEAAgHsAQAAf/5gAQAAAPY="}
    said = profiles("decode", "elevator_box/d_block", json.dumps(words), "--zone", "Europe/Berlin", "--json")
    assert said.document()["readings"][0]["measured_at"] == 1_594_125_428 * 10**9
    said = profiles("decode", "milesight/gs524n", FIRE, "--param", "nothing=1")
    assert (said.code, "unknown_param" in said.err) == (2, True)


@pytest.mark.parametrize(
    ("written", "writing"),
    [("221164321F18", Writing.HEX), ("0x22, 0x11, 0x64, 0x32, 0x1F, 0x18", Writing.AUTO), ("IhFkMh8Y", Writing.BASE64)],
)
def test_a_payload_may_be_written_in_several_ways(written: str, writing: Writing) -> None:
    assert profiles_payloads.read_payload(written, writing) == bytes.fromhex(FIRE)


def test_a_payload_may_lie_in_a_file(profiles: Profiles, tmp_path: Path) -> None:
    (tmp_path / "fire.bin").write_bytes(bytes.fromhex(FIRE))
    assert profiles("decode", "milesight/gs524n", f"@{tmp_path / 'fire.bin'}", "--json").code == 0


@pytest.mark.parametrize("words", [("0175640",), ("zz",), ("$$", "--as", "base64"), ("@/nowhere",)])
def test_what_is_no_payload_is_told(profiles: Profiles, words: tuple[str, ...]) -> None:
    said = profiles("decode", "milesight/gs524n", *words)
    assert (said.code, "payload_" in said.err) == (2, True)


# ----------------------------------------------------------------------------------------------------- guess and new


def test_guess_names_the_model_and_what_speaks_for_it(profiles: Profiles) -> None:
    found = profiles("guess", FIRE, "--json").document()
    assert found[0]["profile"] == "milesight/gs524n"
    assert found[0]["why"].startswith("6 of 6 fit, checksum ok")


def test_a_payload_that_no_profile_understands_exits_1_and_says_what_to_do(profiles: Profiles) -> None:
    said = profiles("guess", "nobody speaks like this")
    assert (said.code, "hub profiles new" in said.out) == (1, True)


def test_new_begins_a_profile_whose_doubts_check_lists(profiles: Profiles, tmp_path: Path) -> None:
    captured = tmp_path / "captured.jsonl"
    captured.write_text('{"temp": 21.5, "hum": 44, "x": 1}\n{"temp": 22, "hum": 45, "x": 2}\n', encoding="utf-8")
    assert profiles("new", "acme/th1", "--kind", "environment_sensor", "--from", str(captured)).code == 0
    said = profiles("check", "acme/th1", "--json")
    assert said.code == 0
    undecided = [each["message"] for each in said.document() if each["code"] == "undecided"]
    assert "path x (1, 2): a property, a signal, or nothing?" in undecided
    assert profiles("test", "acme/th1").code == 0


def test_new_never_overwrites(profiles: Profiles, tmp_path: Path) -> None:
    file = profiles.write(GOOD)
    (tmp_path / "captured.hex").write_text(FIRE, encoding="utf-8")
    said = profiles("new", "acme/probe", "--kind", "smoke_sensor", "--from", str(tmp_path / "captured.hex"))
    assert (said.code, "file_exists" in said.err) == (2, True)
    assert file.read_text(encoding="utf-8") == GOOD


@pytest.mark.parametrize("origin", ["dead-letter:1", "pending:garden/x", "/nowhere"])
def test_what_was_never_captured_is_told(profiles: Profiles, origin: str) -> None:
    said = profiles("new", "acme/new", "--kind", "smoke_sensor", "--from", origin)
    assert said.code == 2
    assert not (profiles.own / "acme").exists()
