"""A profile that is begun from captured payloads: what is proposed, and that every doubt is marked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hub.authoring.skeleton import TODO, Captured, skeleton
from hub.normalize.examples import check_example, example_bytes
from hub.normalize.profile import Profile
from hub.yaml_documents import Document, load_documents, validate
from tests.normalize.devices import CATALOGUE, handler


def begun(tmp_path: Path, kind: str, *payloads: bytes) -> tuple[Document, str]:
    captured = [Captured(payload=payload, source="captured, dead letter 1 on a/b") for payload in payloads]
    text = skeleton("acme/new", CATALOGUE.kind(kind), captured)
    file = tmp_path / "new.yaml"
    file.write_text(text, encoding="utf-8")
    (document,) = load_documents(file)
    return document, text


def test_names_that_are_alike_become_properties_in_the_unit_of_the_kind(tmp_path: Path) -> None:
    payload = b'{"data": {"Temp": 21.5, "humidity": 44, "batt": 97, "id": "a"}}'
    document, _ = begun(tmp_path, "environment_sensor", payload)
    assert document.body["properties"] == {
        "temperature": {"path": "data.Temp", "unit": "Cel"},
        "humidity": {"path": "data.humidity", "unit": "%"},
        "battery": {"path": "data.batt", "unit": "%"},
    }


def test_a_value_of_another_type_is_not_taken_for_a_property(tmp_path: Path) -> None:
    document, text = begun(tmp_path, "environment_sensor", b'{"temperature": "warm", "humidity": 44}')
    assert document.body["properties"] == {"humidity": {"path": "humidity", "unit": "%"}}
    assert f'# {TODO}: path temperature ("warm")' in text


@pytest.mark.parametrize(
    "payload",
    [
        b'{"temp": 21.5, "hum": 44, "note": "a: b # c, \\"d\\""}',
        "<r><temperature>21.5</temperature><humidity>44</humidity><note>湿 &lt;</note></r>".encode(),
        b"temperature=21.5;humidity=44;note=x",
    ],
)
def test_what_is_begun_from_a_document_can_work_and_its_examples_hold(tmp_path: Path, payload: bytes) -> None:
    document, _ = begun(tmp_path, "environment_sensor", payload)
    profile = validate(document, Profile)
    words = profile.model_dump(by_alias=True, exclude_unset=True, exclude={"kind", "examples"})
    made = handler(profile.kind, **words)
    assert [check_example(made, example) for example in profile.examples] == [[]]
    assert profile.examples[0].expect == {"temperature": 21.5, "humidity": 44}


def test_bytes_propose_their_length_and_a_checksum_that_holds_for_all(tmp_path: Path) -> None:
    frames = [bytes.fromhex("221164321F18"), bytes.fromhex("2217641E1A2B")]
    document, text = begun(tmp_path, "smoke_sensor", *frames)
    assert document.body["payload"] == {"format": "bytes", "length": 6, "check": "sum8_zero"}
    assert "byte 1 (17, 23)" in text
    assert "byte 2 (always 100)" in text


def test_a_checksum_is_not_believed_of_a_single_payload(tmp_path: Path) -> None:
    document, _ = begun(tmp_path, "smoke_sensor", bytes.fromhex("221164321F18"))
    assert document.body["payload"] == {"format": "bytes", "length": 6}


def test_a_crc_is_found(tmp_path: Path) -> None:
    # Modbus RTU: read holding registers, and its reply; frames of the Modbus specification's examples of function 3.
    frames = [bytes.fromhex("010300000001840A"), bytes.fromhex("010300000002C40B")]
    document, text = begun(tmp_path, "smoke_sensor", *frames)
    assert ("byte 5 (" in text, "byte 6 (" in text, "byte 7 (" in text) == (True, False, False)
    assert document.body["payload"] == {
        "format": "bytes", "length": 8, "check": {"as": "crc16_modbus", "to": -2, "at": -2},
    }  # fmt: skip


def test_every_line_that_somebody_must_decide_is_marked(tmp_path: Path) -> None:
    _, text = begun(tmp_path, "environment_sensor", b'{"temp": 21.5, "x": 1}')
    decided = [line.strip() for line in text.splitlines() if TODO not in line]
    assert decided == [
        "profile: acme/new",
        "version: 0.1.0",
        "kind: environment_sensor",
        "properties:",
        "# kind environment_sensor also has: humidity, co2, battery",
        "examples:",
        "- name: captured 1",
        'source: "captured, dead letter 1 on a/b"',
        "payload: {json: {temp: 21.5, x: 1}}",
    ]


def test_bytes_that_are_no_text_are_an_example_in_hexadecimal(tmp_path: Path) -> None:
    _, text = begun(tmp_path, "smoke_sensor", b"\x00\xff\x10")
    assert 'payload: {hex: "00FF10"}' in text


METER = (
    '{"表号": "850012345678", "内容": {"起始时间": "2026-11-28 00:00:00", "数据": "JBhE1hIAAABE1hIAAwA="},'
    ' "信号": 65535, "at": 1764327600, "raw": "01A4FF00", "备注": "正常"}'
)


def test_what_looks_like_a_moment_like_packed_bytes_or_like_unknown_is_proposed_as_that(tmp_path: Path) -> None:
    text = begun(tmp_path, "water_meter", METER.encode())[1]
    assert 'time: {from: [{path: 内容.起始时间, format: "%Y-%m-%d %H:%M:%S"}]}' in text
    assert "inside: {D: {path: 内容.数据, as: base64}}}, 14 bytes" in text
    assert "inside: {D: {path: raw, as: hex}}}, 4 bytes" in text
    assert "{path: at, format: unix}" in text
    assert "Does 65535 mean unknown?" in text
    assert all(
        f'path {name} ("{said}"): a property' in text for name, said in (("表号", "850012345678"), ("备注", "正常"))
    )


@pytest.mark.parametrize(
    "payload",
    [
        '{"battery": 97, "note": "a\x7fb\x85c\u2028d\ufffee\U000e0020f"}',
        '{"battery": 97, "no\\nte\x85": 1}',
        '{"battery": 97, "no\\"te": 1, "a\\\\b": 2}',
        '{"battery": 97, "id": 37028100001190000001}',
    ],
)
def test_whatever_a_device_writes_what_is_begun_is_read_again_and_holds_its_bytes(tmp_path: Path, payload: str) -> None:
    document, _ = begun(tmp_path, "environment_sensor", payload.encode())
    (example,) = validate(document, Profile).examples
    assert json.loads(example_bytes(example)) == json.loads(payload)
