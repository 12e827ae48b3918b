"""Laws over what goes to the devices of every profile that ships, and what their answers mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

import msgspec
import pytest

from hub.catalogue import CommandKind, Type
from hub.engine.guards import compile_guards, with_confirms
from hub.model.values import Scalar
from hub.normalize.command_examples import CommandExample, check_command
from hub.normalize.compile import compile_downlinks, compile_reply
from hub.normalize.downlinks import CompiledCommand
from hub.normalize.examples import ExamplePayload, ExpectedReply, check_reply
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


SENDS = [(name, example) for name, profile in PROFILES.items() for example in profile.sends]


def differences(name: str, example: CommandExample) -> list[str]:
    profile = PROFILES[name]
    kind = CATALOGUE.kind(profile.kind)
    return check_command(kind.commands, compile_downlinks(profile, kind, example.params), example)


@pytest.mark.parametrize(("name", "example"), SENDS, ids=[f"{name}: {each.name}" for name, each in SENDS])
def test_a_command_is_what_its_device_expects(name: str, example: CommandExample) -> None:
    assert differences(name, example) == []


@pytest.mark.parametrize("name", COMMANDING)
def test_every_command_that_a_profile_can_say_has_an_example_with_all_its_arguments(name: str) -> None:
    profile = PROFILES[name]
    shown = {example.command: set(example.args) for example in profile.sends}
    assert shown == {command: set(CATALOGUE.kind(profile.kind).commands[command].args) for command in profile.commands}
    assert len({example.name for example in profile.sends}) == len(profile.sends)


@pytest.mark.parametrize("name", PROFILES)
def test_each_command_of_a_kind_is_said_or_it_is_said_why_not(name: str) -> None:
    profile = PROFILES[name]
    assert {*profile.commands, *profile.cannot} == set(CATALOGUE.kind(profile.kind).commands)


@pytest.mark.parametrize("name", COMMANDING)
def test_what_shows_a_command_done_is_something_that_the_profile_reports(name: str) -> None:
    profile = PROFILES[name]
    kind = CATALOGUE.kind(profile.kind)
    reported = {prop for shape in profile.shapes for prop in shape.names}
    for command, guard in with_confirms(compile_guards(kind), kind, profile.commands).items():
        if command in profile.commands and guard.confirm is not None:
            assert set(guard.confirm.names) <= reported, command


def test_an_example_of_a_command_that_does_not_hold_is_told_in_sentences() -> None:
    relay = next(example for example in PROFILES["milesight/gs101"].sends if example.command == "switch_relay_on")
    told = [
        differences("milesight/gs101", relay.model_copy(update=words))
        for words in (
            {"payload": ExamplePayload(hex="00")},
            {"command": "self_test"},
            {"args": {"ttl": "soon"}},
            {"args": {"floor": 3}},
        )
    ]
    assert told == [
        ["payload: expected 00, got 07 00 01 ff"],
        [
            (
                "command: the profile does not say how 'self_test' is told; it says: close_valve, switch_relay_on, "
                "switch_relay_off, silence, clear_alarm, query_life"
            )
        ],
        ["args: 'soon' is no duration; write 250ms, 30s, 5m, 1h30m or 2d, 36500d at most"],
        ["args: there is no 'floor'; it takes: ttl"],
    ]


@pytest.mark.parametrize("name", ANSWERING)
def test_an_answer_means_what_its_device_says(name: str) -> None:
    read = compile_reply(PROFILES[name])
    answers = [example for example in PROFILES[name].examples if example.expect_reply is not None]
    assert [check_reply(read, example) for example in answers] == [[]] * max(len(answers), 1)


def test_an_answer_that_does_not_hold_is_told_in_sentences() -> None:
    read = compile_reply(PROFILES["ebike_board/door_hold"])
    example = next(each for each in PROFILES["ebike_board/door_hold"].examples if each.expect_reply is not None)
    wrong = example.model_copy(update={"expect_reply": ExpectedReply(id="c-9", ok=False, code="x")})
    assert check_reply(read, wrong) == [
        "reply id: expected 'c-9', got 'c-1'",
        "reply ok: expected False, got True",
        "reply code: expected 'x', got ''",
    ]
    assert [told.partition(": ")[0] for told in check_reply(None, example)] == ["reply"]
    for payload in ({"sender": "hub", "id": "c-1"}, {"sender": "board"}):
        other = example.model_copy(update={"payload": ExamplePayload.model_validate({"json": payload})})
        assert len(check_reply(read, other)) == 1


def test_no_law_of_commands_was_asked_of_nothing() -> None:
    assert min(len(COMMANDING), len(ANSWERING), len(SENDS)) > 0
    assert any(profile.cannot for profile in PROFILES.values())
