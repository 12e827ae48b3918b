"""Reading streams in one order: what was removed unread is told, also when Redis goes in the middle of the question."""

from __future__ import annotations

import pytest
from typing_extensions import override

from hub.errors import UnavailableError
from hub.sinks.redis_link import Answer, Argument, Link
from hub.sinks.rounds import Position, Rounds
from tests.servers.valkey import ValkeyServer

STREAMS = ("hub:events:care", "hub:events:fire")


class BreakingLink(Link):
    """A link that breaks at the question after so many about streams."""

    questions_left = 1_000

    @override
    async def ask(self, *arguments: Argument, patience: float = 0) -> Answer:
        if arguments[0] == "XINFO":
            self.questions_left -= 1
            if self.questions_left < 0:
                raise UnavailableError("redis_unreachable", "for this test")
        return await super().ask(*arguments, patience=patience)


async def test_a_loss_is_told_once_also_when_the_next_question_fails(valkey: ValkeyServer) -> None:
    async with BreakingLink(valkey.address) as link:
        rounds = Rounds(link, STREAMS)
        await rounds.begin({})
        for stream in STREAMS:
            await link.ask("XADD", stream, "*", "a", "1")
            await link.ask("XTRIM", stream, "MAXLEN", "=", 0)
        link.questions_left = 1
        with pytest.raises(UnavailableError):
            await rounds.lost()
        link.questions_left = 1_000
        assert await rounds.lost() == dict.fromkeys(STREAMS, 1)
        assert await rounds.lost() == {}


async def test_a_stream_that_is_away_for_a_look_is_read_again_from_its_last_hour_when_it_is_back(
    valkey: ValkeyServer,
) -> None:
    care, fire = STREAMS
    hour = 3_600_000
    async with valkey.link() as link, valkey.link() as own:
        for number in range(1, 31):
            await link.ask("XADD", fire, f"{number * hour}-0", "a", "1")
        rounds = Rounds(own, STREAMS)
        await rounds.begin({})
        end = rounds.positions[fire]
        await link.ask("RENAME", fire, "aside")
        assert await rounds.go_back() == await rounds.go_back() == []
        assert rounds.positions[fire] == end
        await link.ask("RENAME", "aside", fire)
        await link.ask("XADD", care, "*", "a", "1")  # which never was there before
        assert await rounds.go_back() == [fire]
        assert await link.ask("XRANGE", fire, f"({rounds.positions[fire].text}", "+", "COUNT", 1) == [
            [f"{29 * hour}-0".encode(), [b"a", b"1"]]
        ]
        assert await rounds.go_back() == []


async def test_a_stream_that_is_written_anew_after_it_was_away_is_read_from_its_beginning(valkey: ValkeyServer) -> None:
    fire = STREAMS[1]
    async with valkey.link() as link, valkey.link() as own:
        await link.ask("XADD", fire, "2000-5", "a", "1")
        rounds = Rounds(own, [fire])
        await rounds.begin({})
        await link.ask("DEL", fire)
        assert await rounds.go_back() == []
        for entry in ("1999-0", "2001-0"):
            await link.ask("XADD", fire, entry, "a", "1")
        assert await rounds.go_back() == [fire]
        assert rounds.positions[fire] == Position()


async def test_entries_that_no_hub_wrote_are_counted_and_passed_over(valkey: ValkeyServer) -> None:
    care, fire = STREAMS
    deep = b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    async with valkey.link() as link, valkey.link() as own:
        rounds = Rounds(own, STREAMS)
        await rounds.begin({})
        await link.ask("XADD", care, "*", "source", "园区".encode("gbk"), "type", "care.fall")
        await link.ask("XADD", fire, "*", "type", "fire.confirmed", "data", deep)
        found = await rounds.read()
    assert (found.entries, found.unreadable) == ([], 2)


async def test_a_key_of_somebody_else_hides_no_entry_of_other_streams(valkey: ValkeyServer) -> None:
    care, fire = STREAMS
    async with valkey.link() as link, valkey.link() as own:
        await link.ask("SET", care, "a note")
        rounds = Rounds(own, STREAMS)
        await rounds.begin({})
        for _ in range(2):
            await link.ask("XADD", fire, "*", "a", "1")
        assert (await rounds.read()).unreadable == 2
        assert [unreadable async for _, unreadable in rounds.again(0)] == [2]
        assert (await rounds.kept_since(0), await rounds.lost(), await rounds.go_back()) == ([], {}, [])
        await link.ask("DEL", care)
        await link.ask("XADD", care, "*", "a", "1")
        await rounds.lost()
        assert (await rounds.read()).unreadable == 1
