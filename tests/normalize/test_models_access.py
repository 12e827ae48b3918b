"""Doors and plates: what examples cannot say of their models: commands, answers, texts that were cut off or packed."""

from __future__ import annotations

import gzip
import zlib

import msgspec
import pytest

from hub.errors import PoisonError
from hub.model.heard import Reading
from hub.normalize.compile import compile_downlinks, compile_profile, compile_reply
from hub.normalize.examples import Example, example_bytes
from hub.normalize.handler import ProfileHandler
from hub.normalize.responses import Response
from tests.normalize.devices import CATALOGUE, PROFILES

# ------------------------------------------------------------------------------------------------------ uhppoted


def answered(**words: object) -> Response | None:
    decode = compile_reply(PROFILES["uhppoted/ut0311-l04"])
    assert decode is not None
    return decode(msgspec.json.encode({"client-id": "hub", "server-id": "uhppoted", **words}))


@pytest.mark.parametrize(("opened", "ok"), [(True, True), (False, False)])
def test_a_board_says_whether_it_opened(opened: bool, ok: bool) -> None:  # noqa: FBT001 -- a table of two columns
    response = {"device-id": 405_419_896, "door": 4, "opened": opened}
    found = answered(**{"method": "open-door", "request-id": "AH1", "response": response})
    assert found == Response("AH1", ok=ok)


def test_a_mode_that_a_board_repeats_is_set() -> None:
    response = {"device-id": 405_419_896, "door": 3, "control": "normally open"}
    found = answered(**{"method": "set-door-control", "request-id": "AH2", "response": response})
    assert found == Response("AH2", ok=True)


def test_a_board_that_refuses_says_why() -> None:
    # uhppoted-mqtt common/error.go inside mqtt/mqtt.go; 401 is a card that may not open.
    refusal = {"error": {"error-code": 401, "message": "Card 1 is not authorized for door 4"}}
    found = answered(**{"method": "open-door", "request-id": "AH3", "error": refusal})
    assert found == Response("AH3", ok=False, code="401")


def test_an_answer_to_a_question_that_the_hub_does_not_ask_is_none_of_its_commands() -> None:
    assert answered(**{"method": "get-time", "request-id": "AH4", "response": {}}) is None


# --------------------------------------------------------------------------------------------------------- Dahua


def dahua() -> ProfileHandler:
    profile = PROFILES["dahua/access"]
    made = compile_profile(profile, CATALOGUE.kind(profile.kind), {}, "Asia/Shanghai")
    assert isinstance(made, ProfileHandler)
    return made


def deflated(data: bytes) -> bytes:
    """Return ``data`` without a header around the compression, as some web servers understand deflate."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize("pack", [bytes, zlib.compress, gzip.compress, deflated])
def test_a_swipe_is_the_same_packed_in_any_way_or_not_at_all(pack: type[bytes]) -> None:
    swipe = example_bytes(PROFILES["dahua/access"].examples[0])
    assert dahua()(pack(swipe)) == dahua()(swipe)


TEXTS = [
    each for each in PROFILES["dahua/access"].examples if each.payload.text is not None and each.expect_error is None
]


@pytest.mark.parametrize("example", TEXTS, ids=[each.name for each in TEXTS])
def test_a_text_that_was_cut_off_says_less_and_nothing_else(example: Example) -> None:
    """It has no end that could be missed; so what is left of it must at least be true."""
    made, whole = dahua(), example_bytes(example)
    (meant,) = made(whole)
    heard = [found for size in range(len(whole)) for found in _heard(made, whole[:size])]
    assert [found for found in heard if not _is_less(found, meant)] == []


def _heard(made: ProfileHandler, data: bytes) -> list[Reading]:
    try:
        return list(made(data))
    except PoisonError:
        return []


def _is_less(found: Reading, meant: Reading) -> bool:
    return (
        found.values.items() <= meant.values.items()
        and {each.name for each in found.signals} <= {each.name for each in meant.signals}
        and found.part in {None, meant.part}
        and found.measured_at in {None, meant.measured_at}
    )


# ----------------------------------------------------------------------------------------------------- Hikvision


def test_a_face_terminal_is_told_in_words_that_terminals_know() -> None:
    # …/RemoteControl/door/capabilities of a DS-K1T; resume is of door stations, which `let_go` is for.
    commands = compile_downlinks(PROFILES["hikvision/face_terminal"], CATALOGUE.kind("face_terminal"), {})
    told = {name: told(id="c", part="", args={}, sent_at=0, expires_at=0).decode() for name, told in commands.items()}
    words = {name: text.removeprefix("<RemoteControlDoor><cmd>").split("<")[0] for name, text in told.items()}
    assert words == {"unlock": "open", "lock": "close", "hold_door": "alwaysOpen", "release_door": "close"}


# ---------------------------------------------------------------------------------------------------------- fire


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_what_opens_a_way_out_can_keep_it_open_in_a_fire(name: str) -> None:
    # What is opened once falls shut on whoever comes after; the vendors have a word for both (sources in `sends`).
    commands = set(PROFILES[name].commands)
    assert "unlock" not in commands or {"hold_door", "release_door"} <= commands
    assert "raise_barrier" not in commands or {"hold_barrier", "release_barrier"} <= commands
