"""The watch: who does not answer is down, unless it had no processor to answer with."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest
from typing_extensions import override

from tests.chaos.faults.fault import DOWN
from tests.chaos.town import Town
from tests.chaos.watch import STARVED_NS, Watch
from tests.waiting import wait_until


class Mute:
    """A hub that does not answer."""

    pid = 0

    def __init__(self) -> None:
        self.asked = 0

    async def readiness(self) -> tuple[int, set[str]]:
        self.asked += 1
        raise TimeoutError


class Waited(Watch):
    """Its processes have waited for ``each_ns`` more at every look."""

    each_ns = waited_ns = 0

    @override
    def starved_ns(self) -> int:
        self.waited_ns += self.each_ns
        return self.waited_ns


@pytest.mark.parametrize(("each_ns", "said"), [(0, {DOWN}), (STARVED_NS, set())], ids=["idle", "starved"])
async def test_a_hub_that_does_not_answer_is_down_unless_it_was_starved(each_ns: int, said: set[str]) -> None:
    hub = Mute()
    watch = Waited(cast("Town", SimpleNamespace(hub=hub)))
    watch.each_ns = each_ns
    async with watch.watching():
        await wait_until(lambda: hub.asked > 1)
    assert watch.said == said
