"""The words of a city rule: what is compared between sites, what cannot be, and which event that is."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from hub.durations import Duration
from hub.model.values import Scalar
from hub.rules.clauses import Count, Span
from hub.rules.rule import DOMAINS, Raise

_NAME = rf"^({'|'.join(DOMAINS)})(\.[a-z][a-z0-9_]*)+$"
_LINE = re.compile(r"(\S+) ([a-z0-9_.]+) (\S+) -> (\S+)( late)?")
PLACEHOLDERS = ("from", "to", "distance", "span")
"""What a label may say in braces: the two places, how far apart they are, and the time between."""

EventName = Annotated[str, Field(pattern=_NAME)]


class _Words(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Value(_Words):
    """The field of the events' data that tells one card or plate from another; shorter ones are not judged.

    Short card numbers are not unique in a city: a Wiegand 26 card has 16 bits beside the site's own.
    """

    value: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    length: Annotated[int, Field(ge=1)] = 1


class Travel(_Words):
    """Sites farther apart than ``beyond_metres`` take ``at_least`` so long, and ``fastest_kmh`` is the fastest way."""

    beyond_metres: Annotated[float, Field(ge=0)]
    at_least: Span
    fastest_kmh: Annotated[float, Field(gt=0)]


class Inside(_Words):
    """What went in at one site goes in at another ``within`` so long, and nobody saw it go out (``direction``)."""

    within: Span


class Seen(_Words):
    """One event of a test: ``at`` is when it happened, ``told`` when the city heard of it (at once unless said)."""

    at: Duration
    told: Duration | None = None
    site: str
    late: bool = False
    data: dict[str, Scalar] = {}


def _is_expectation(line: str) -> str:
    if _LINE.fullmatch(line) is None:
        message = f"{line!r} is not: MOMENT EVENT SITE -> SITE [late]"
        raise ValueError(message)
    return line


class CityTest(_Words):
    """A case. ``sites`` stand on a line, at so many metres; a site that is not there has no known location.

    ``expect``: ``48s access.impossible_travel garden -> harbour``, by the moment of the later of the two, in order.
    """

    name: Annotated[str, Field(min_length=1)]
    sites: dict[str, float]
    given: Annotated[list[Seen], Field(min_length=1)]
    expect: list[Annotated[str, AfterValidator(_is_expectation)]]


class CityRule(_Words):
    """One rule of the city: exactly one of ``travel`` and ``inside`` says what cannot be of one card or plate.

    ``only`` and ``trust`` choose among the ``watch`` events by their data: a field that is there must be one of the
    words, or at least the number. ``count``: so many impossible pairs it takes. ``quiet``: within so long of a pair
    that was enough, nothing is told again. ``clock_error``: by so much two devices' clocks may differ.
    """

    city_rule: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{1,63}$")]
    version: str = "1"
    label: dict[str, str] = {}
    watch: Annotated[list[EventName], Field(min_length=1)]
    for_each: Value
    only: dict[str, list[str]] = {}
    trust: dict[str, float] = {}
    travel: Travel | None = None
    inside: Inside | None = None
    count: Count | None = None
    quiet: Duration = timedelta(minutes=10)
    clock_error: Duration = timedelta(seconds=5)
    raise_: Annotated[Raise, Field(alias="raise")]
    tests: list[CityTest] = []

    @model_validator(mode="after")
    def _one_thing_cannot_be(self) -> Self:
        if (self.travel is None) is (self.inside is None):
            message = "exactly one of travel and inside is needed"
            raise ValueError(message)
        if self.raise_.event in self.watch:
            message = f"{self.raise_.event} is what it raises: it cannot watch that too"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _labels_say_what_is_known(self) -> Self:
        for text in self.label.values():
            unknown = set(re.findall(r"{(.*?)}", text)) - set(PLACEHOLDERS)
            if unknown or text.count("{") != text.count("}"):
                message = f"a label may say {', '.join(f'{{{name}}}' for name in PLACEHOLDERS)}: {text!r}"
                raise ValueError(message)
        return self

    @property
    def reach(self) -> timedelta:
        """Return how far back an event may lie that matters: what was enough within ``quiet``, and before that."""
        spans = [timedelta(0) if each is None else each.within for each in (self.count, self.inside)]
        return self.quiet + max(spans)
