"""Dead letters in their file: the last word on each holds; none is given out again while it is on its way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from hub.journal import letter_rows
from hub.journal.letters import Letters
from hub.journal.state_file import StateFile, read_dead_letters
from hub.model.effects import DeadLetter, Effects, Reply, Settled
from hub.model.records import Control
from tests.journal.papers import letter

JOURNAL = "0a1b"


@pytest.fixture
async def file(tmp_path: Path) -> AsyncIterator[StateFile]:
    async with StateFile(tmp_path / "state.sqlite", JOURNAL) as found:
        yield found


def said(
    position: int, letters: list[DeadLetter] | None = None, settled: tuple[int, ...] = (), answered: str = ""
) -> Effects:
    replies = [Reply(answered, ok=True, code="ok")] if answered else []
    gone = [Settled(position, number) for number in settled]
    return Effects(position, [], [], [], replies, letters or [], [], settled=gone)


def request(identity: str, **args: str | float) -> Control:
    return Control("1-0", identity, "li", "retry", 1, dict(args))


def numbers(control: Control) -> list[int]:
    return [each.number for each in control.letters]


async def test_a_letter_that_is_refused_again_has_its_new_reason_and_a_settled_one_is_gone(file: StateFile) -> None:
    letters = Letters(file)
    letters.add(said(1, [letter(1), letter(2), letter(3)]))
    letters.add(said(2, [replace(letter(2), code="bad_checksum", position=2)], settled=(1,)))
    assert await letters.bury()
    assert [(each.number, each.code) for each in read_dead_letters(file.path, limit=9)] == [
        (3, letter(3).code),
        (2, "bad_checksum"),
    ]
    left = file.dead_letter_bytes
    await file.bury([letter(1), Settled(9, 1), Settled(9, 7)])  # as after a kill, and one that made room
    assert file.dead_letter_bytes == left


async def test_no_letter_is_given_out_twice(file: StateFile) -> None:
    letters = Letters(file)
    letters.add(said(1, [letter(1), letter(2)]))
    assert await letters.bury()
    first = await letters.name(request("a"))
    assert (numbers(first), first.args) == ([1, 2], {"last": 2, "more": False, "cut": 0})
    assert numbers(await letters.name(request("b"))) == []  # while the first is on its way
    letters.add(said(2, settled=(1,), answered="a"))
    assert numbers(await letters.name(request("c"))) == [2]  # the row of 1 is still in the file
    letters.add(said(3, answered="c"))
    assert await letters.bury()
    assert numbers(await letters.name(request("d"))) == [2]


@pytest.mark.parametrize(
    ("args", "found"),
    [
        ({"code": letter(1).code}, [1, 2, 3]),
        ({"code": "other"}, []),
        ({"device": f"{letter(1).site}/{letter(1).device}"}, [1, 2, 3]),
        ({"device": "s1/nobody"}, []),
        (
            {"since": letter(2).received_at},
            [each for each in (1, 2, 3) if letter(each).received_at >= letter(2).received_at],
        ),
        ({"after": 2}, [3]),
    ],
)
async def test_each_word_narrows_them_down(args: dict[str, str | float], found: list[int], file: StateFile) -> None:
    await file.bury([letter(1), letter(2), letter(3)])
    assert numbers(await Letters(file).name(request("a", **args))) == found


@pytest.mark.parametrize(
    ("args", "found"),
    [
        ({"device": "@lora/ab01"}, [1]),
        ({"device": "s1/smoke-1", "called": "@lora/ab01"}, [1, 3]),
        ({"device": "s1/smoke-1"}, [3]),
        ({"device": "@lora/ab02"}, []),
    ],
)
async def test_what_a_network_said_of_a_stranger_is_found_as_that_network_calls_him(
    args: dict[str, str | float], found: list[int], file: StateFile
) -> None:
    stranger = replace(letter(1), site="", device="ab01", code="unknown_device")
    await file.bury(
        [
            replace(stranger, detail="@lora/ab01 is not registered"),
            replace(stranger, number=2, detail="@other/ab01 is not registered"),
            replace(letter(3), device="smoke-1"),
        ]
    )
    assert numbers(await Letters(file).name(request("a", **args))) == found


async def test_what_is_not_written_as_it_should_be_is_said(file: StateFile) -> None:
    wrong: list[dict[str, str | float]] = [{"since": "yesterday"}, {"sins": 1}, {"after": 2**63}, {"code": "\udcbb"}]
    for args in wrong:
        named = await Letters(file).name(request("a", **args))
        assert (named.letters, [*named.args]) == ((), ["refused"])


async def test_some_at_a_time_and_only_those_of_which_every_byte_was_kept(
    file: StateFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = letter(3, b"x" * 400)
    await file.bury([letter(1, b"x" * 400), letter(2, b"x" * 400), replace(part, payload_bytes=900), letter(4, b"y")])
    monkeypatch.setattr(letter_rows, "MOST_BYTES", 500)
    letters, found, cut, after, more = Letters(file), list[list[int]](), 0, 0, True
    while more:
        named = await letters.name(request(f"r{after}", after=after))
        found.append(numbers(named))
        cut += int(named.args["cut"])
        after, more = int(named.args["last"]), bool(named.args["more"])
    assert (found, cut) == ([[1], [2, 4]], 1)
    assert (await letters.name(request("other", code="other"))).args["cut"] == 0


async def test_a_request_that_comes_a_second_time_lets_nobody_have_what_it_was_given_first(file: StateFile) -> None:
    await file.bury([letter(1), letter(2)])
    letters = Letters(file)
    assert numbers(await letters.name(request("a"))) == [1, 2]
    assert numbers(await letters.name(request("a"))) == []  # its sender had no answer yet
    assert numbers(await letters.name(request("b"))) == []
