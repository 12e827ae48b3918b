"""The watch: who does not answer is down, unless it had no processor to answer with."""

from __future__ import annotations

from collections import defaultdict
from types import SimpleNamespace
from typing import cast

import pytest
from typing_extensions import override

from tests.chaos import watch
from tests.chaos.faults.fault import DOWN
from tests.chaos.influx_town import InfluxTown
from tests.chaos.watch import FEW_REFUSALS, STARVED_NS, Waits, Watch
from tests.waiting import wait_until


class Behind:
    """A hub that says that its store has not answered for five seconds, or says nothing at all."""

    pid = 0

    def __init__(self, *, is_mute: bool) -> None:
        self.asked = self.asked_for_figures = 0
        self.codes = {"timeseries_behind", "session_blind"}
        self.has_figures = False
        self._is_mute = is_mute

    async def readiness(self) -> tuple[int, set[str]]:
        self.asked += 1
        if self._is_mute:
            raise TimeoutError
        return 503, self.codes

    async def metrics(self) -> dict[str, float]:
        self.asked_for_figures += 1
        if not self.has_figures:
            raise ConnectionError
        return defaultdict(float)


class Waited(Watch):
    """``who`` has waited for ``each_ns`` more at every look."""

    each_ns = waited_ns = calls = 0
    who = "hub"

    @override
    def waits(self) -> Waits:
        self.calls += 1
        self.waited_ns += self.each_ns
        long_ago = dict.fromkeys(("hub", "us", "valkey", "influxdb"), (1, 10**15))
        return long_ago | {self.who: (1, self.waited_ns)}


async def watched(hub: Behind, each_ns: int, who: str = "hub", looks: int = 1) -> Watch:
    watching = Waited(cast("InfluxTown", SimpleNamespace(hub=hub)))
    watching.each_ns, watching.who = each_ns, who
    async with watching.remembering(), watching.watching():
        await wait_until(lambda: hub.asked > looks)
    return watching


async def test_a_hub_that_has_only_begun_and_has_no_figures_yet_ends_no_campaign(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watch, "METRICS_EVERY", 1)
    hub = Behind(is_mute=False)
    hub.codes = {"starting_journal"}
    watching = await watched(hub, 0, looks=FEW_REFUSALS + 1)
    assert hub.asked_for_figures > FEW_REFUSALS
    hub.has_figures = True
    assert (await watching.vital()).outbox_bytes == 0


async def test_a_hub_at_work_that_never_shows_its_figures_is_not_one_that_owed_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watch, "METRICS_EVERY", 1)
    hub = Behind(is_mute=False)
    watching = await watched(hub, 0, looks=FEW_REFUSALS + 1)
    hub.has_figures = True
    with pytest.raises(AssertionError, match="/metrics"):
        await watching.vital()


@pytest.mark.parametrize(("each_ns", "said"), [(0, {DOWN}), (STARVED_NS, set())], ids=["idle", "starved"])
async def test_a_hub_that_does_not_answer_is_down_unless_it_was_starved(each_ns: int, said: set[str]) -> None:
    assert (await watched(Behind(is_mute=True), each_ns)).said == said


@pytest.mark.parametrize(
    ("who", "each_ns", "unsure"),
    [
        ("hub", 0, set()),
        ("hub", 5 * STARVED_NS, {"timeseries_behind"}),
        ("influxdb", 5 * STARVED_NS, {"timeseries_behind"}),
        ("valkey", 5 * STARVED_NS, set()),
        ("us", 5 * STARVED_NS, set()),
    ],
)
async def test_what_speaks_of_five_seconds_is_unsure_where_they_were_a_wait_of_those_it_speaks_of(
    who: str, each_ns: int, unsure: set[str]
) -> None:
    found = await watched(Behind(is_mute=False), each_ns, who)
    assert found.said == {"timeseries_behind", "session_blind"}
    assert found.unsure == unsure


async def test_what_was_a_wait_before_the_fault_began_speaks_of_no_fault() -> None:
    hub = Behind(is_mute=False)
    watching = Waited(cast("InfluxTown", SimpleNamespace(hub=hub)))
    async with watching.remembering():
        await wait_until(lambda: watching.calls)
        watching.waited_ns = 5 * STARVED_NS
        async with watching.watching():
            await wait_until(lambda: hub.asked > 1)
    assert watching.unsure == {"timeseries_behind"}
