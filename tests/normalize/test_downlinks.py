"""Commands in the form that a maker chose, and what the device's answers mean."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import timedelta
from xml.etree import ElementTree as ET

import msgspec
import pytest

from hub.errors import ConfigError, PoisonError
from hub.model.values import Scalar
from hub.normalize.compile import compile_downlinks, compile_reply
from hub.normalize.responses import Response
from tests.normalize.devices import CATALOGUE, PROFILES, model

SENT_AT = 1_691_807_055_250


def encoded(
    kind: str,
    command: str,
    words: Mapping[str, object],
    *,
    part: str = "",
    args: Mapping[str, Scalar | timedelta] | None = None,
    **params: Scalar,
) -> bytes:
    """Return the bytes of a command of a profile with nothing but that command."""
    made = model(
        kind,
        payload={"format": "json"},
        properties={"battery": {"path": "b"}},
        commands={command: words},
        params=params,
    )
    encode = compile_downlinks(made, CATALOGUE.kind(kind), {})[command]
    return encode(id="c-1", part=part, args=args or {}, sent_at=SENT_AT, expires_at=SENT_AT + 10_000)


def test_a_request_names_its_id_the_controller_and_the_door() -> None:
    # Documentation of uhppoted-mqtt, commands/open-door.md.
    words = {"json": {"message": {"request": {"request-id": "{id}", "device-id": "{serial}", "door": "{part}"}}}}
    payload = encoded("access_controller", "unlock", words, part="door-4", serial=405_419_896)
    request = {"request-id": "c-1", "device-id": 405_419_896, "door": 4}
    assert msgspec.json.decode(payload) == {"message": {"request": request}}


def test_a_board_is_told_what_when_and_by_whom() -> None:
    words = {
        "json": {
            "id": "{id}",
            "timestamp": "{sent_at.iso}",
            "type": "enable_block_door",
            "body": None,
            "list": [1, "{expires_at}"],
        }
    }
    assert msgspec.json.decode(encoded("elevator", "hold_door", words)) == {
        "id": "c-1",
        "timestamp": "2023-08-12T02:24:15.250Z",
        "type": "enable_block_door",
        "body": None,
        "list": [1, SENT_AT + 10_000],
    }  # fmt: skip


def test_a_number_goes_out_as_a_text_where_the_maker_wants_one() -> None:
    words = {"json": {"port": "{part:text}", "number": "{part}", "seconds": "{ttl.s:text}"}}
    payload = encoded("charging_port", "start", words, part="port-10", args={"ttl": timedelta(minutes=5)})
    assert msgspec.json.decode(payload) == {"port": "10", "number": 10, "seconds": "300"}


@pytest.mark.parametrize(
    ("seconds", "expected"), [(5, "ff1305002a"), (70_000, "ff13ffff2a"), (0.2, "ff1301002a"), (0, "ff1300002a")]
)
def test_a_duration_in_hex_has_a_unit_and_a_layout(seconds: float, expected: str) -> None:
    words = {"hex": "FF13 {ttl.s:u16le} 2A"}
    payload = encoded("access_controller", "unlock", words, args={"ttl": timedelta(seconds=seconds)})
    assert payload.hex() == expected


def test_what_is_true_is_told_as_json_tells_it_in_a_text_too() -> None:
    for words, told in (({"text": "confirm={called}"}, b"confirm=true"), ({"json": ["{called:text}"]}, b'["true"]')):
        assert encoded("access_controller", "lock", words, called=True) == told


def test_a_text_is_filled_once_so_that_an_argument_cannot_be_a_hole() -> None:
    payload = encoded("elevator", "play_voice", {"text": "say={prompt};id={id}"}, args={"prompt": "{id}"})
    assert payload == b"say={id};id=c-1"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("fly", {"text": "x"}),
        ("unlock", {"text": "{nothing}"}),
        ("unlock", {"text": "{ttl}"}),
        ("unlock", {"text": "{id.s}"}),
        ("unlock", {"hex": "zz"}),
        ("unlock", {"hex": "{ttl.s}"}),
        ("unlock", {"hex": "{ttl.s:text}"}),
        ("unlock", {"hex": "{expires_at.h:u32be}"}),
        ("unlock", {"hex": "11 {ttl.s from 2}"}),
    ],
)
def test_a_command_that_cannot_be_filled_is_a_mistake_in_the_profile(command: str, words: Mapping[str, object]) -> None:
    with pytest.raises(ConfigError) as caught:
        encoded("access_controller", command, words, called="north")
    assert caught.value.fields["path"] == ("commands", command)


@pytest.mark.parametrize("hole", ["{id:u16le}", "{expires_at:u32be}", "{called:u8}"])
def test_what_an_installation_says_stops_no_hub_but_the_command_that_it_does_not_fit(hole: str) -> None:
    with pytest.raises(PoisonError, match="bad_args"):
        encoded("access_controller", "unlock", {"hex": hole}, called="north")


def test_what_nobody_said_is_not_filled_in_and_so_the_command_does_not_leave() -> None:
    for words in ({"hex": "11 {floor:u8}"}, {"text": "to {floor}"}, {"json": {"to": "{floor}"}}):
        with pytest.raises(PoisonError, match=r"bad_args.*floor"):
            encoded("elevator", "call_car", words)
    with pytest.raises(PoisonError, match=r"bad_args.*ttl"):
        encoded("access_controller", "unlock", {"hex": "{ttl.s:u8}"})


def test_an_argument_that_nobody_said_is_the_parameter_of_its_name() -> None:
    words = {"hex": "11 {floor:i8}"}
    assert encoded("elevator", "recall", words, floor=-1) == bytes.fromhex("11FF")
    assert encoded("elevator", "recall", words, args={"floor": 2}, floor=-1) == bytes.fromhex("1102")


def test_a_span_that_nobody_said_is_the_parameter_of_its_name_too() -> None:
    for words, expected in (({"hex": "{ttl.s:u8}"}, b"\x05"), ({"json": {"s": "{ttl.s}"}}, b'{"s":5}')):
        assert encoded("access_controller", "unlock", words, ttl="5s") == expected
        assert encoded("access_controller", "unlock", words, ttl="9s", args={"ttl": timedelta(seconds=5)}) == expected
        with pytest.raises(PoisonError, match=r"bad_args.*ttl"):
            encoded("access_controller", "unlock", words, ttl="soon")


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan, 1.5])
def test_what_is_no_whole_number_fails_as_a_message_does(number: float) -> None:
    with pytest.raises(PoisonError, match="bad_args"):
        encoded("access_controller", "unlock", {"hex": "{called:u8}"}, called=number)


def test_a_checksum_from_a_byte_on_is_a_word_of_frames_alone() -> None:
    assert encoded("access_controller", "unlock", {"text": "hello {abc from 3}"}) == b"hello {abc from 3}"


@pytest.mark.parametrize(("layout", "floor"), [("u8", -1), ("u16be", -1), ("u8", 256), ("i8", 128), ("i16le", -32_769)])
def test_a_number_that_does_not_fit_is_no_other_number(layout: str, floor: int) -> None:
    with pytest.raises(PoisonError, match=rf"bad_args.*{floor}"):
        encoded("elevator", "call_car", {"hex": f"{{floor:{layout}}}"}, args={"floor": floor})


def test_a_number_below_zero_goes_out_as_one() -> None:
    words = {"hex": "{floor:i8} {floor:i16be} {floor:i16le}"}
    assert encoded("elevator", "call_car", words, args={"floor": -2}) == bytes.fromhex("FE FFFE FEFF")


def test_a_part_whose_name_has_no_number_is_not_door_0() -> None:
    with pytest.raises(PoisonError, match=r"bad_args.*lobby"):
        encoded("access_controller", "lock", {"json": {"door": "{part}"}}, part="lobby")
    assert encoded("access_controller", "lock", {"json": {"door": "{part}"}}) == b'{"door":0}'


def test_a_moment_in_bytes_is_counted_in_seconds() -> None:
    assert encoded("access_controller", "lock", {"hex": "{expires_at.s:u32be}"}) == (1_691_807_065).to_bytes(4)


@pytest.mark.parametrize(
    ("cannot", "why"),
    [
        ({"unlock": {"en": "no lock", "zh": "无门锁"}}, "can be told, or it cannot"),
        ({"lock": {"en": "no lock"}}, "in en and zh"),
        ({"lock": {"zh": "无门锁"}}, "in en and zh"),
    ],
)
def test_why_a_model_cannot_be_told_something_is_said_in_both_languages_and_of_nothing_that_it_can(
    cannot: Mapping[str, object], why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        model("access_controller", **SHORT, commands={"unlock": {"text": "open"}}, cannot=cannot)


def test_what_a_model_cannot_be_told_is_a_command_of_its_kind() -> None:
    made = model("access_controller", **SHORT, cannot={"fly": {"en": "no wings", "zh": "没有翅膀"}})
    with pytest.raises(ConfigError, match="has no command 'fly'") as caught:
        compile_downlinks(made, CATALOGUE.kind("access_controller"), {})
    assert caught.value.fields["path"] == ("cannot", "fly")


SHORT = {"payload": {"format": "json"}, "properties": {"battery": {"path": "b"}}}
REPLY = {
    "payload": {"format": "json"},
    "properties": {"battery": {"path": "b"}},
    "reply": {
        "match": {"message.reply.method": "open-door"},
        "id": "message.reply.request-id",
        "ok": {"path": "message.reply.response.opened"},
        "code": {"path": "message.reply.error", "as": "string"},
    },
}


def answer(**words: object) -> bytes:
    return msgspec.json.encode({"message": {"reply": {"request-id": "AH1", "method": "open-door", **words}}})


def test_an_answer_says_whether_the_door_was_opened() -> None:
    decode = compile_reply(model("access_controller", **REPLY))
    assert decode is not None
    assert decode(answer(response={"opened": True})) == Response("AH1", ok=True)
    assert decode(answer(response={"opened": False}, error="no door")) == Response("AH1", ok=False, code="no door")
    assert decode(answer()) == Response("AH1", ok=False)
    assert decode(b'{"event":{"event-id":69}}') is None
    with pytest.raises(PoisonError, match="unmatched"):
        decode(b'{"message":{"reply":{"method":"open-door"}}}')
    with pytest.raises(PoisonError, match="bad_value"):
        decode(answer(response={"opened": "perhaps"}))


def test_a_profile_without_replies_reads_none() -> None:
    assert compile_reply(PROFILES["milesight/gs524n"]) is None


def test_what_somebody_says_in_xml_is_no_markup() -> None:
    words = {"text": '<Voice id="{prompt}"><text>{prompt}</text></Voice>'}
    told = encoded("elevator", "play_voice", words, args={"prompt": '</text></Voice><Door cmd="open"/>'})
    voice = ET.fromstring(told)  # noqa: S314 -- our own
    assert [(one.tag, one.text) for one in voice] == [("text", '</text></Voice><Door cmd="open"/>')]
    assert voice.attrib == {"id": '</text></Voice><Door cmd="open"/>'}


@pytest.mark.parametrize("end", ["\n", "\r", "\x00", "\t", "\u2028"])
def test_what_somebody_says_ends_no_line_of_a_command(end: str) -> None:
    with pytest.raises(PoisonError, match="bad_args"):
        encoded("elevator", "play_voice", {"text": "SAY {prompt}"}, args={"prompt": f"hello{end}OPEN 1"})


def test_a_text_that_is_all_of_a_command_has_as_many_lines_as_it_has() -> None:
    told = encoded("elevator", "play_voice", {"text": "{prompt}"}, args={"prompt": "请勿\n靠近"})
    assert told.decode() == "请勿\n靠近"


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        # Modbus RTU, write 3 to register 1 of unit 17; the CRC computed bit by bit, apart from our table.
        ("11 06 00 01 {floor:u16be} {crc16_modbus}", "110600010003 9A9B"),
        ("7E {floor:u8} {xor8} 7E", "7E03 7D 7E"),
        ("A5 {floor:u32be} {sum8}", "A500000003 A8"),
        ("A5 {floor:u8} {sum8_zero}", "A503 58"),
        # GB/T 26875.3 counts neither its marks nor the sum itself.
        ("4040 01 {floor:u8} {sum8 from 2} 2323", "40400103 04 2323"),
        (
            "31 32 33 34 35 36 37 38 39 {crc16_ccitt}",
            "313233343536373839 29B1",
        ),  # the check value of CRC-16/CCITT-FALSE
    ],
)
def test_a_frame_ends_in_the_checksum_of_what_stands_before_it(template: str, expected: str) -> None:
    assert encoded("elevator", "call_car", {"hex": template}, args={"floor": 3}) == bytes.fromhex(expected)


def test_a_checksum_is_one_of_bytes_and_has_no_layout() -> None:
    with pytest.raises(ConfigError, match="bad_template"):
        encoded("elevator", "call_car", {"hex": "11 {crc16_modbus:u16be}"}, args={"floor": 3})
