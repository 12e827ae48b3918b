"""The watch: who does not answer is down, unless it had no processor to answer with."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import cast

import pytest
from typing_extensions import override

from tests.chaos.faults.fault import DOWN
from tests.chaos.town import Town
from tests.chaos.watch import STARVED_NS, Watch
from tests.waiting import wait_until


class Behind:
    """A hub that says that its store has not answered for five seconds, or says nothing at all."""

    pid = 0

    def __init__(self, *, is_mute: bool) -> None:
        self.asked = 0
        self._is_mute = is_mute

    async def readiness(self) -> tuple[int, set[str]]:
        self.asked += 1
        if self._is_mute:
            raise TimeoutError
        return 503, {"timeseries_behind", "session_blind"}


class Waited(Watch):
    """Its hub has waited for ``each_ns`` more at every look."""

    each_ns = waited_ns = 0

    @override
    def waits(self) -> Mapping[int, int]:
        self.waited_ns += self.each_ns
        return {0: self.waited_ns, 1: 10**15}  # whoever waited long ago


async def watched(hub: Behind, each_ns: int) -> Watch:
    watch = Waited(cast("Town", SimpleNamespace(hub=hub)))
    watch.each_ns = each_ns
    async with watch.watching():
        await wait_until(lambda: hub.asked > 1)
    return watch


@pytest.mark.parametrize(("each_ns", "said"), [(0, {DOWN}), (STARVED_NS, set())], ids=["idle", "starved"])
async def test_a_hub_that_does_not_answer_is_down_unless_it_was_starved(each_ns: int, said: set[str]) -> None:
    assert (await watched(Behind(is_mute=True), each_ns)).said == said


@pytest.mark.parametrize(
    ("each_ns", "unsure"), [(0, set()), (5 * STARVED_NS, {"timeseries_behind"})], ids=["idle", "starved"]
)
async def test_what_speaks_of_five_seconds_is_unsure_where_they_were_a_wait(each_ns: int, unsure: set[str]) -> None:
    watch = await watched(Behind(is_mute=False), each_ns)
    assert watch.said == {"timeseries_behind", "session_blind"}
    assert watch.unsure == unsure
