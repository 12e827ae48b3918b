"""What the tests of the city share: events as hubs write them, entries, a rule, sites on a line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hub.city.judging import City, Terms
from hub.city.rule import CityRule
from hub.city.testing import TERMS, Line
from hub.model.effects import Entry, Event, Transition
from hub.model.values import Scalar, Severity

SECOND_NS = 1_000_000_000
NOON_MS = 1_772_366_400_000
CARD = "0012345678"
SITES = {"garden": 0.0, "harbour": 5_200.0, "court": 200.0}
LINE = Line(sites=SITES)


def rule(name: str = "travel", event: str = "access.impossible_travel", **words: object) -> CityRule:
    """Return a rule for cards; ``words`` replace its own."""
    body: dict[str, object] = {
        "city_rule": name,
        "label": {"en": "{from} -> {to}, {distance}, {span}", "zh": "{from}、{to}，{distance}，{span}"},
        "watch": ["access.passage"],
        "for_each": {"value": "card"},
        "travel": {"beyond_metres": 300, "at_least": "60s", "fastest_kmh": 90},
        "raise": {"event": event, "severity": "high"},
    }
    return CityRule.model_validate({**body, **words})


def city(*rules: CityRule, terms: Terms = TERMS) -> City:
    """Return a city of ``rules`` (one for cards unless said) on the line."""
    return City({each.city_rule: each for each in rules or (rule(),)}, LINE, terms)


def passage(number: int, site: str, at: float, **facts: object) -> Event:
    """Return the event of a swipe ``at`` seconds after noon; ``told`` so many seconds after that, if not at once."""
    told = float(str(facts.pop("told", at)))
    data: Mapping[str, Scalar] = facts.pop("data", {"card": CARD, "direction": "in"})  # type: ignore[assignment]  # a bag on purpose
    words: dict[str, object] = {
        "id": f"{number:032x}",
        "name": "access.passage",
        "severity": Severity.INFO,
        "transition": Transition.OCCURRED,
        "time": (NOON_MS + round(told * 1_000)) * 1_000_000,
        "age": round((told - at) * SECOND_NS),
        "key": f"{site}/gate-1",
        "rule": "access-passage",
        "rule_version": "1",
        "site": site,
        "building": "b1",
        "device": "gate-1",
        "part": "door-1",
        "data": data,
    }
    return Event(**(words | facts))  # type: ignore[arg-type]  # a bag on purpose: tests change any one field


def entry(event: Event, *, delay: float = 0, stream: str = "hub:events:access") -> Entry:
    """Return the entry of ``event``, written ``delay`` seconds after it was told."""
    return Entry(stream, event.time // 1_000_000 + round(delay * 1_000), int(event.id, 16), event)


def judged(of: City, entries: Iterable[Entry], until: float = 100 * 3_600) -> list[Event]:
    """Return what ``entries``, in the order in which they were written, come to ``until`` seconds after noon."""
    for each in sorted(entries, key=lambda one: (one.written_at, one.number)):
        of.take(each)
    return of.judge(NOON_MS + round(until * 1_000))


def told(events: Iterable[Event]) -> list[tuple[Scalar, Scalar]]:
    """Return which two events each event names, as numbers."""
    return [(int(str(each.data["from_event"]), 16), int(str(each.data["to_event"]), 16)) for each in events]
