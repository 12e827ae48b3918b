"""Reading streams in one order: what was removed unread is told, also when Redis goes in the middle of the question."""

from __future__ import annotations

import pytest
from typing_extensions import override

from hub.errors import UnavailableError
from hub.sinks.redis_link import Answer, Argument, Link
from hub.sinks.rounds import Rounds
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
