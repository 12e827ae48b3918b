"""``hub profiles``: what people and programs are told, the exit codes, and the worked example of the README."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hub.config import packaged
from hub.ui.cli import profiles_payloads
from hub.ui.cli.profiles_payloads import Writing
from hub.ui.schemas import Noun, schema_of
from hub.yaml_documents import load_documents
from tests.house.rooms import HOUSE
from tests.machine import needs_mosquitto
from tests.ui.conftest import Cli, Said
from tests.ui.installation import SITE, Installation
from tests.waiting import wait_until

WHY = ("--unmask", "--reason", "a new model")

GOOD = """\
profile: acme/probe
version: 1.0.0
kind: environment_sensor
label: {en: Probe, zh: 探头}
payload: {format: bytes, length: 3}
time: {from: none}
properties:
  humidity: {at: 0, unit: "%"}
  temperature: {at: 1, as: i16be, scale: 0.1, unit: Cel}
examples:
  - {name: a day, source: invented, payload: {hex: "2C00D7"}, expect: {humidity: 44, temperature: 21.5}}
  - {name: cut off, source: invented, payload: {hex: "2C"}, expect_error: bad_length}
"""
FIRE = "221164321F18"
SECTION = (HOUSE / "README.md").read_text(encoding="utf-8").partition("### A new model in ten minutes")[2]
WORKED = re.search(r"```yaml\n(.*?)```", SECTION, re.DOTALL)
MOST_LINES = 60


class Profiles:
    """``hub profiles`` of an installation with profiles of its own."""

    def __init__(self, cli: Cli, directory: Path) -> None:
        self.directory = directory
        self.own = directory / "own"
        self.own.mkdir()
        self._cli = cli
        self._config = directory / "hub.toml"
        self._config.write_text(f'profiles_dir = "{self.own}"\ndata_dir = "{directory / "data"}"\n', encoding="utf-8")

    def write(self, text: str, name: str = "acme/probe") -> Path:
        file = self.own / f"{name}.yaml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    def __call__(self, *arguments: str) -> Said:
        return self._cli("--config", str(self._config), "profiles", *arguments)


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
    assert said.out.startswith("acme/probe: a day\n  values: expected {'humidity': 45")


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


def test_an_error_names_the_path_that_it_is_about(profiles: Profiles) -> None:
    said = profiles("decode", "zigbee2mqtt/smoke", '{"smoke": "yes", "battery": 96}')
    assert said.code == 1
    assert said.out.splitlines()[-1].endswith("-- alarm: smoke")


def test_what_a_device_wrote_never_reaches_the_terminal_as_a_command(profiles: Profiles) -> None:
    said = profiles("decode", "zigbee2mqtt/smoke", json.dumps({"smoke": True, "x\x1b[2J": "\x1b]0;title\x07"}))
    assert not {"\x1b", "\x07"} & set(said.out)


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


# ------------------------------------------------------------------------------------------------------ the README


def test_the_worked_example_of_the_readme_checks_and_holds(profiles: Profiles) -> None:
    assert WORKED is not None
    profiles.write(WORKED[1], "acme/wl7")
    assert len(WORKED[1].splitlines()) <= MOST_LINES
    assert profiles("check", "acme/wl7", "--json").document() == []
    (row,) = profiles("test", "acme/wl7", "--json").document()
    assert (row["failed"], row["untouched"]) == ({}, [])


def test_every_command_of_the_worked_example_works(
    profiles: Profiles, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "captured.hex").write_text("07005FD700B50E\n07015FD700B50D\n", encoding="utf-8")
    lines = re.findall(r"^hub profiles (.*?)(?:\s+#.*)?$", SECTION.partition("\n## ")[0], re.MULTILINE)
    codes = []
    for line in lines:
        if line.startswith("check"):
            assert WORKED is not None
            profiles.write(WORKED[1], "acme/wl7")
        codes.append((line.split()[0], profiles(*shlex.split(line)).code))
    assert codes == [("guess", 1), ("new", 0), ("check", 0), ("decode", 0), ("test", 0)]


@pytest.fixture
def unfinished(tmp_path: Path) -> Iterator[Installation]:
    """An installation that runs, with an empty directory for profiles of its own."""
    it = Installation(tmp_path)
    (tmp_path / "own").mkdir()
    with it.config.open("a", encoding="utf-8") as config:
        config.write(f'profiles_dir = "{tmp_path / "own"}"\n')
    with it:
        yield it


@needs_mosquitto
def test_a_device_that_nobody_knew_becomes_one_of_a_new_model_with_what_it_had_said(
    cli: Cli, unfinished: Installation, tmp_path: Path
) -> None:
    def hub(*words: str) -> Said:
        return cli("--config", str(unfinished.config), *words)

    def until(check: Callable[[], Any]) -> Any:  # noqa: ANN401 -- JSON is anything
        return asyncio.run(wait_until(lambda: asyncio.to_thread(check), seconds=20))

    unfinished.publish(f"hub/{SITE}/leak-1/telemetry", bytes.fromhex("07015FD700B50D"))
    begin = ("profiles", "new", "acme/wl7", "--kind", "leak_sensor", "--from", f"pending:{SITE}/leak-1")
    until(lambda: hub("devices", "pending", "--json").document())
    assert "[unmask_needed]" in hub(*begin).err
    assert hub(*begin, *WHY).code == 0
    (look,) = hub("audit", "--what", "pending.", "--json").document()
    assert (look["what"], look["subject"]) == ("pending.unmasked", f"pending/{SITE}/leak-1")
    file = tmp_path / "own" / "acme" / "wl7.yaml"
    assert '{hex: "07015FD700B50D"}' in file.read_text(encoding="utf-8")
    (letter,) = hub("dead-letters", "list", *WHY, "--json").document()
    other = tmp_path / "other.yaml"
    of_letter = ("--from", f"dead-letter:{letter['number']}", "--to", str(other))
    assert "[unmask_needed]" in hub("profiles", "new", "acme/other", "--kind", "leak_sensor", *of_letter).err
    assert hub("profiles", "new", "acme/other", "--kind", "leak_sensor", *of_letter, *WHY).code == 0
    assert f'{{hex: "{letter["payload"].upper()}"}}' in other.read_text(encoding="utf-8")
    assert WORKED is not None
    file.write_text(WORKED[1], encoding="utf-8")
    unfinished.stop()
    unfinished.start()
    assert hub("devices", "add", SITE, "leak-1", "--kind", "leak_sensor", "--profile", "acme/wl7").code == 0

    def told() -> object:
        return hub("telemetry", "query", "leak_sensor", "leak-1", "--json").document()

    assert until(told)[0]["fields"] == {"leak": True, "tamper": False, "battery": 95, "temperature": 21.5, "rssi": -75}


# ----------------------------------------------------------------------------------------------------------- schemas


@pytest.mark.parametrize(
    ("noun", "file"),
    [
        (Noun.PROFILE, "device_profiles"),
        (Noun.KIND, "device_profiles"),
        (Noun.RULE, "rules"),
        (Noun.SCENE, "scenes"),
        (Noun.CITY_RULE, "city_rules"),
    ],
)
def test_the_published_schemas_are_those_of_the_models(profiles: Profiles, noun: Noun, file: str) -> None:
    published = (HOUSE / file / "schema" / f"{noun}.json").read_text(encoding="utf-8")
    assert published == schema_of(noun), f"hub profiles schema {noun} > {file}/schema/{noun}.json"
    assert profiles("schema", noun).out == published


def conforms(value: object, schema: dict[str, Any], whole: dict[str, Any]) -> bool:
    """Return whether a value fits a JSON Schema, of the words that ours use."""
    if "$ref" in schema:
        return conforms(value, whole["$defs"][schema["$ref"].rpartition("/")[2]], whole)
    choices = schema.get("anyOf") or schema.get("oneOf") or []
    return (
        (not choices or any(conforms(value, each, whole) for each in choices))
        and ("const" not in schema or value == schema["const"])
        and ("enum" not in schema or value in schema["enum"])
        and ("type" not in schema or TYPES[schema["type"]](value))
        and (not isinstance(value, str) or re.search(schema.get("pattern", ""), value) is not None)
        and (not isinstance(value, list) or all(conforms(each, schema.get("items", {}), whole) for each in value))
        and (not isinstance(value, dict) or fields_conform(value, schema, whole))
    )


def fields_conform(value: dict[str, object], schema: dict[str, Any], whole: dict[str, Any]) -> bool:
    if not {*schema.get("required", ())} <= value.keys():
        return False
    for key, inner in value.items():
        patterns = schema.get("patternProperties", {})
        words = schema.get("properties", {}).get(key) or next(
            (patterns[pattern] for pattern in patterns if re.search(pattern, key)),
            schema.get("additionalProperties", {}),
        )
        if words is False or (isinstance(words, dict) and not conforms(inner, words, whole)):
            return False
    return True


TYPES: dict[str, Callable[[object], bool]] = {
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}


@pytest.mark.parametrize("noun", list(Noun))
def test_every_shipped_file_conforms_to_the_schema_of_its_noun(noun: Noun) -> None:
    schema = json.loads(schema_of(noun))
    folders = (packaged("device_profiles"), packaged("rules"), packaged("scenes"), packaged("city_rules"))
    paths = [path for folder in folders for path in folder.rglob("*.yaml")]
    documents = [each for path in paths for each in load_documents(path) if each.noun == noun]
    assert documents
    assert [each.name for each in documents if not conforms(each.body, schema, schema)] == []


def test_a_misspelt_word_does_not_conform() -> None:
    schema = json.loads(schema_of(Noun.PROFILE))
    (path,) = packaged("device_profiles").rglob("gs524n.yaml")
    (document,) = load_documents(path)
    assert conforms(document.body, schema, schema)
    assert not conforms({**document.body, "liveliness": {}}, schema, schema)
    assert not conforms({**document.body, "payload": {"format": "bytes", "lenght": 6}}, schema, schema)
