"""A city rule as one sentence, in English and Chinese."""

from __future__ import annotations

from hub.city.rule import CityRule, Inside, Travel
from hub.city.telling import span_words

EN, ZH = "en", "zh"


def sentence(rule: CityRule) -> dict[str, str]:
    """Return what ``rule`` says, by language."""
    return {EN: _english(rule), ZH: _chinese(rule)}


def _english(rule: CityRule) -> str:
    if rule.travel is not None:
        what = _travel_in_english(rule.travel)
    else:
        assert rule.inside is not None  # noqa: S101 -- the rule has exactly one of them
        what = _inside_in_english(rule.inside)
    often = ""
    if rule.count is not None:
        often = f", at least {rule.count.at_least} times within {span_words(rule.count.within, 'en')}"
    watched = " or ".join(rule.watch)
    return f"when one {rule.for_each.value} of {watched} {what}{often}, raise {rule.raise_.event} as {_bad(rule)}"


def _chinese(rule: CityRule) -> str:
    if rule.travel is not None:
        what = _travel_in_chinese(rule.travel)
    else:
        assert rule.inside is not None  # noqa: S101 -- the rule has exactly one of them
        what = f"在一个小区驶入后未见驶出，{span_words(rule.inside.within, 'zh')} 内又驶入另一小区"
    often = ""
    if rule.count is not None:
        often = f"，且 {span_words(rule.count.within, 'zh')} 内至少 {rule.count.at_least} 次"
    watched = "、".join(rule.watch)
    return f"{watched} 中同一 {rule.for_each.value} {what}{often}，则上报 {rule.raise_.event}（{_bad(rule)}）"


def _travel_in_english(travel: Travel) -> str:
    return (
        f"is at two sites more than {travel.beyond_metres:g} m apart in less than"
        f" {span_words(travel.at_least, 'en')}, or faster than {travel.fastest_kmh:g} km/h"
    )


def _inside_in_english(inside: Inside) -> str:
    return f"goes in at one site and within {span_words(inside.within, 'en')} in at another, and out nowhere between"


def _travel_in_chinese(travel: Travel) -> str:
    return (
        f"先后出现在相距超过 {travel.beyond_metres:g} 米的两个小区，间隔不足"
        f" {span_words(travel.at_least, 'zh')}，或所需速度超过 {travel.fastest_kmh:g} 公里/小时"
    )


def _bad(rule: CityRule) -> str:
    return rule.raise_.severity.value
