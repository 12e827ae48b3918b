"""The tests inside a city rule's file: sites on a line, events as given, and what must come of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from hub.city.judging import City, Terms
from hub.city.rule import CityRule, CityTest
from hub.city.sightings import MILLISECOND_NS
from hub.durations import nanoseconds, write_duration
from hub.model.effects import Entry, Event, Transition
from hub.model.values import Severity

START_MS = 1_772_352_000_000
TERMS = Terms(key=b"only for tests", settle_ns=5_000_000_000, remember_ns=86_400_000_000_000)
FOREVER_MS = 10_000_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Sites on a straight line, at so many metres from its beginning."""

    sites: Mapping[str, float]

    def metres(self, one: str, other: str) -> float | None:
        """Return how far apart they are; None when one is not on the line."""
        here, there = self.sites.get(one), self.sites.get(other)
        return None if here is None or there is None else abs(here - there)

    def knows(self, site: str) -> bool:
        """Return whether ``site`` is on the line."""
        return site in self.sites

    def words(self, site: str, device: str, language: str) -> str:  # noqa: ARG002 -- the same in every language
        """Return the ids."""
        return f"{site} {device}"


def run_case(rule: CityRule, case: CityTest) -> list[str]:
    """Return what is missing and what came unexpectedly; nothing when the case holds."""
    remember_ns = max(TERMS.remember_ns, nanoseconds(rule.reach))
    city = City({rule.city_rule: rule}, Line(sites=case.sites), TERMS._replace(remember_ns=remember_ns))
    entries = [_entry(rule, case, index) for index in range(len(case.given))]
    for entry in sorted(entries, key=lambda each: each[1:3]):
        city.take(entry)
    happened = {entry.event.id: case.given[index].at for index, entry in enumerate(entries)}
    came = [_said(event, happened) for event in city.judge(FOREVER_MS)]
    missing, surplus = Counter(case.expect) - Counter(came), Counter(came) - Counter(case.expect)
    return [f"missing: {each}" for each in missing.elements()] + [f"unexpected: {each}" for each in surplus.elements()]


def _entry(rule: CityRule, case: CityTest, index: int) -> Entry:
    seen = case.given[index]
    told = seen.at if seen.told is None else seen.told
    written_at = START_MS + told // timedelta(milliseconds=1)
    event = Event(
        id=f"{index:032x}", name=rule.watch[0], severity=Severity.INFO, transition=Transition.OCCURRED,
        time=written_at * MILLISECOND_NS, age=nanoseconds(told - seen.at), key=f"{seen.site}/gate", rule="given",
        rule_version="1", site=seen.site, device="gate", late=seen.late, data=seen.data,
    )  # fmt: skip
    return Entry("given", written_at, index, event)


def _said(event: Event, happened: Mapping[str, timedelta]) -> str:
    moment = write_duration(happened[str(event.data["to_event"])])
    late = " late" if event.late else ""
    return f"{moment} {event.name} {event.data['from_site']} -> {event.data['to_site']}{late}"
