"""What the city tells of a pair of sightings: an event that names both, in words and by id."""

from __future__ import annotations

import hashlib
from datetime import timedelta

from hub.city.chart import Chart
from hub.city.pairs import Pair
from hub.city.rule import CityRule
from hub.city.sightings import MILLISECOND_NS
from hub.model.effects import Event, Transition
from hub.model.values import Scalar, Severity

SITE = "_city"
"""Before the pseudonym in the key of an event: what it is about lives in no site."""
FAR_METRES = 1_000
_SECOND_NS = 1_000_000_000
_MILLION = 1_000_000
_UNITS = {"en": ("h", "min", "s"), "zh": ("小时", "分钟", "秒")}
_UNKNOWN = {"zh": "未知距离"}
_UNKNOWN_ENGLISH = "unknown distance"


def tell(rule: CityRule, pair: Pair, chart: Chart) -> Event:
    """Return the event; the same pair gives the same one whenever it is judged.

    It stands where the later of the two was seen, and ``time`` is when the hubs knew both.
    """
    here, there, metres = pair
    event_id = event_id_of(rule, pair)
    data: dict[str, Scalar] = {
        "field": rule.for_each.value,
        "token": there.token,
        "from_site": here.site,
        "from_device": here.device,
        "from_part": here.part,
        "to_site": there.site,
        "to_device": there.device,
        "to_part": there.part,
        "seconds": round((there.at - here.at) / _SECOND_NS, 3),
        "from_event": here.id,
        "to_event": there.id,
    }
    if metres is not None:
        data["metres"] = round(metres)
    return Event(
        id=event_id, name=rule.raise_.event, severity=rule.raise_.severity, transition=Transition.OCCURRED,
        time=max(here.time, there.time), number=number_of(event_id), key=f"{SITE}/{there.token}",
        rule=rule.city_rule, rule_version=rule.version, site=there.site, building=there.building,
        device=there.device, part=there.part, late=here.late or there.late,
        label={language: _said(text, language, pair, chart) for language, text in rule.label.items()},
        data={name: value for name, value in data.items() if value != ""},
    )  # fmt: skip


def tell_loss(what: str, number: int, count: int, at: int) -> Event:
    """Return the event that ``count`` entries were gone before the city judged them, at ``at`` ms."""
    event_id = _digest("entries_lost", what, str(number))
    return Event(
        id=event_id, name="device.city_entries_lost", severity=Severity.HIGH, transition=Transition.OCCURRED,
        time=at * MILLISECOND_NS, number=number_of(event_id), key=SITE, rule="", rule_version="", site=SITE,
        label={"en": "The city could not compare events that were trimmed", "zh": "部分事件已被清理，城市规则未能比对"},
        data={"stream": what, "entries": count},
    )  # fmt: skip


def number_of(event_id: str) -> int:
    """Return what tells events of one millisecond apart in the time series."""
    return int(event_id, 16) % _MILLION


def event_id_of(rule: CityRule, pair: Pair) -> str:
    """Return BLAKE2b-128 of the rule and the two events."""
    return _digest(rule.city_rule, pair.earlier.id, pair.later.id)


def _digest(*words: str) -> str:
    return hashlib.blake2b("\0".join(words).encode(), digest_size=16).hexdigest()


def _said(text: str, language: str, pair: Pair, chart: Chart) -> str:
    here, there = pair.earlier, pair.later
    return text.format(
        **{
            "from": chart.words(here.site, here.device, language),
            "to": chart.words(there.site, there.device, language),
            "distance": _distance(pair.metres, language),
            "span": span_words(timedelta(seconds=round((there.at - here.at) / _SECOND_NS)), language),
        }
    )


def span_words(span: timedelta, language: str) -> str:
    """Return a span in its two largest units, as people say it: beside metres, 1m would be a metre."""
    seconds = round(span.total_seconds())
    names = _UNITS.get(language, _UNITS["en"])
    numbers = (seconds // 3600, seconds // 60 % 60, seconds % 60)
    told = [f"{number} {name}" for number, name in zip(numbers, names, strict=True) if number]
    return " ".join(told[:2]) or f"0 {names[-1]}"


def _distance(metres: float | None, language: str) -> str:
    if metres is None:
        return _UNKNOWN.get(language, _UNKNOWN_ENGLISH)
    return f"{metres / FAR_METRES:.1f} km" if metres >= FAR_METRES else f"{metres:.0f} m"
