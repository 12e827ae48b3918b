"""Laws over what goes to the devices of every profile that ships, and what their answers mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple

import msgspec
import pytest

from hub.catalogue import CommandKind, Type
from hub.model import Scalar
from hub.normalize.compile import compile_downlinks, compile_reply
from hub.normalize.downlinks import CompiledCommand
from hub.normalize.payload import Format
from hub.normalize.responses import Response
from tests.normalize.devices import CATALOGUE, PROFILES, ROOT

SENT_AT = 1_691_807_055_250
COMMANDING = [name for name, profile in PROFILES.items() if profile.commands]
ANSWERING = [name for name, profile in PROFILES.items() if profile.reply is not None]


def downlinks(name: str) -> Mapping[str, CompiledCommand]:
    profile = PROFILES[name]
    return compile_downlinks(profile, CATALOGUE.kind(profile.kind), {})


def arguments(words: CommandKind, seconds: int, text: str) -> Mapping[str, Scalar | timedelta]:
    """Return a value for each argument of a command, another one for other ``seconds`` and ``text``."""
    values: Mapping[Type, Scalar | timedelta] = {
        Type.DURATION: timedelta(seconds=seconds), Type.INT: seconds, Type.FLOAT: float(seconds), Type.STRING: text,
        Type.BOOL: bool(seconds % 2),
    }  # fmt: skip
    return {
        key: typed.values[seconds % len(typed.values)] if typed.type is Type.ENUM else values[typed.type]
        for key, typed in words.args.items()
    }


def sent(encode: CompiledCommand, args: Mapping[str, Scalar | timedelta], part: str = "door-3") -> bytes:
    return encode(id="c-1", part=part, args=args, sent_at=SENT_AT, expires_at=SENT_AT + 10_000)


@pytest.mark.parametrize("name", COMMANDING)
def test_a_command_is_the_same_bytes_each_time_and_nothing_in_it_was_left_to_fill_in(name: str) -> None:
    profile = PROFILES[name]
    kind = CATALOGUE.kind(profile.kind)
    for command, encode in downlinks(name).items():
        args = arguments(kind.commands[command], 5, "fire")
        payload = sent(encode, args)
        assert payload == sent(encode, args)
        assert payload
        words = profile.commands[command]
        if words.hex_ is None:
            assert "{" not in payload.decode().replace('{"', "")
        if words.json_ is not None:
            assert msgspec.json.encode(msgspec.json.decode(payload)) == payload


@pytest.mark.parametrize("name", COMMANDING)
def test_what_a_command_says_arrives_or_is_a_time_after_which_the_hub_itself_undoes_it(name: str) -> None:
    profile = PROFILES[name]
    kind = CATALOGUE.kind(profile.kind)
    for command, encode in downlinks(name).items():
        one, other = (arguments(kind.commands[command], *values) for values in ((5, "fire"), (60, "calm")))
        for key in one:
            is_told = sent(encode, {**one, key: other[key]}) != sent(encode, one)
            is_undone = key == "ttl" and kind.commands[command].release in profile.commands
            assert is_told or is_undone, f"{command}: {key}"


@pytest.mark.parametrize("name", COMMANDING)
def test_no_argument_can_change_the_form_of_a_command_in_json(name: str) -> None:
    profile = PROFILES[name]
    kind = CATALOGUE.kind(profile.kind)
    for command, encode in downlinks(name).items():
        if profile.commands[command].json_ is None:
            continue
        plain, odd = (
            msgspec.json.decode(sent(encode, arguments(kind.commands[command], 5, text)))
            for text in ("fire", '"},{"id":"{id}\n')
        )
        assert form(plain) == form(odd)


def form(node: object) -> object:
    """Return a tree of JSON without what its values are."""
    if isinstance(node, dict):
        return {key: form(below) for key, below in node.items()}
    return [form(below) for below in node] if isinstance(node, list) else type(node)


@pytest.mark.parametrize("name", ANSWERING)
def test_an_answer_with_the_id_that_went_out_ends_its_command(name: str) -> None:
    """Encode, answer in the form that the profile reads, decode: the id is the one of the command.

    It goes out in the payload, or in what the network of the device wraps around it.
    """
    profile = PROFILES[name]
    network = ROOT / "networks" / f"{name.partition('/')[0]}.yaml"
    is_wrapped = network.exists() and "{id}" in network.read_text().partition("downlink:")[2].partition("examples:")[0]
    read, words = compile_reply(profile), profile.reply
    assert read is not None
    assert words is not None
    assert profile.payload.format is Format.JSON
    for command, encode in downlinks(name).items():
        payload = sent(encode, arguments(CATALOGUE.kind(profile.kind).commands[command], 5, "fire"))
        assert is_wrapped or "c-1" in texts(msgspec.json.decode(payload)), f"{command} goes out without its id"
        for ok in (True, False):
            fields = {path: values[0] for path, values in (words.match or {}).items()}
            answered = [*fields.items(), (words.id[0], "c-1"), (words.ok.places()[0], raw_of(words.ok.values, ok=ok))]
            assert read(msgspec.json.encode(tree(answered))) == Response("c-1", ok=ok)


def raw_of(values: Mapping[str, Scalar] | None, *, ok: bool) -> Scalar:
    """Return what a device writes for yes or no."""
    return ok if values is None else next(key for key, value in values.items() if value is ok)


def texts(node: object) -> Sequence[object]:
    """Return the leaves of a tree of JSON."""
    below = node.values() if isinstance(node, dict) else node if isinstance(node, list) else None
    return [node] if below is None else [leaf for each in below for leaf in texts(each)]


def tree(fields: Sequence[tuple[object, Scalar]]) -> Mapping[str, object]:
    """Return the object in which each value stands behind its dotted path."""
    root: dict[str, object] = {}
    for path, value in fields:
        *above, last = str(path).split(".")
        node = root
        for step in above:
            node = node.setdefault(step, {})  # type: ignore[assignment]  # a branch is an object
        node[last] = value
    return root


class Golden(NamedTuple):
    """A command as its device wants it."""

    profile: str
    command: str
    payload: Mapping[str, object]
    args: Mapping[str, Scalar | timedelta] = {}
    part: str = ""
    params: Mapping[str, Scalar] = {}


HUB_TO_BOARD = {"id": "c-1", "sender": "hub", "timestamp": "2023-08-12T02:24:15.250Z", "body": None}
"""The envelope that a public device hub writes to the inbox of its boards, with our own sender, words and zone."""

POLE = {"device_id": "6052502784f3eb57"}
START = {"deviceId": "6052502784f3eb57", "port": "1", "seconds": 1_000, "serialNumber": "c-1"}
STOP = {"deviceId": "6052502784f3eb57", "port": "1"}
"""The examples of the manual (developer.tuya.com, Start Charging and Stop Charging), with our id."""

COMMANDS = [
    Golden(
        "ebike_board/door_hold",
        "hold_door",
        {**HUB_TO_BOARD, "type": "enable_block_door", "description": "hold the door"},
        {"ttl": timedelta(seconds=30)},
    ),
    Golden(
        "ebike_board/door_hold",
        "release_door",
        {**HUB_TO_BOARD, "type": "disable_block_door", "description": "let the door go"},
    ),
    Golden(
        "tuya/charging_pole",
        "start",
        {"id": "c-1", "path": "/v1.0/iot-02/charging-pile/start-charge", "body": START},
        {"ttl": timedelta(seconds=1_000)},
        "port-1",
        POLE,
    ),
    Golden(
        "tuya/charging_pole",
        "stop",
        {"id": "c-1", "path": "/v1.0/iot-02/charging-pile/initiative/end-charge", "body": STOP},
        {},
        "port-1",
        POLE,
    ),
]


@pytest.mark.parametrize("wanted", COMMANDS, ids=[f"{each.profile}: {each.command}" for each in COMMANDS])
def test_a_command_is_what_its_device_expects(wanted: Golden) -> None:
    profile = PROFILES[wanted.profile]
    compiled = compile_downlinks(profile, CATALOGUE.kind(profile.kind), wanted.params)
    assert msgspec.json.decode(sent(compiled[wanted.command], wanted.args, wanted.part)) == wanted.payload


ANSWERS = [
    ("ebike_board/door_hold", {"id": "c-1", "sender": "board", "type": "enable_block_door", "body": {"ok": True}}, ""),
    (
        "ebike_board/door_hold",
        {"id": "c-1", "sender": "board", "type": "enable_block_door", "body": {"ok": False, "code": "relay_fault"}},
        "relay_fault",
    ),
    # The answers of the manual (developer.tuya.com, Start Charging; a refusal as its other pages show one).
    ("tuya/charging_pole", {"id": "c-1", "answer": {"result": True, "t": 1_630_056_214_213, "success": True}}, ""),
    ("tuya/charging_pole", {"id": "c-1", "answer": {"code": 1106, "msg": "permission deny", "success": False}}, "1106"),
    # uhppoted-mqtt documentation/commands/open-door.md, without what its network wraps around it.
    (
        "uhppoted/ut0311-l04",
        {"request-id": "c-1", "method": "open-door", "response": {"device-id": 405419896, "door": 4, "opened": True}},
        "",
    ),
]


@pytest.mark.parametrize(("name", "answer", "code"), ANSWERS)
def test_an_answer_means_what_its_device_says(name: str, answer: Mapping[str, object], code: str) -> None:
    read = compile_reply(PROFILES[name])
    assert read is not None
    assert read(msgspec.json.encode(answer)) == Response("c-1", ok=not code, code=code)


def test_every_profile_that_reads_answers_shows_one() -> None:
    assert {name for name, _, _ in ANSWERS} == set(ANSWERING)


def test_no_law_of_commands_was_asked_of_nothing() -> None:
    assert min(len(COMMANDING), len(ANSWERING)) > 0
