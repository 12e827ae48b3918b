"""Values and the choices that everybody shares: quality, severity, types of places, timeliness."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

Scalar = bool | int | float | str


Values = dict[str, Scalar]


def exactly(values: Mapping[str, Scalar]) -> str:
    """Return what equals that of the same values alone: to Python 1, 1.0 and true are one, to profiles they are not."""
    return repr(sorted(values.items()))


class Quality(StrEnum):
    """Trust in a value."""

    GOOD = "good"
    UNCERTAIN = "uncertain"
    BAD = "bad"


class Severity(StrEnum):
    """How bad an event or alarm is, worst first."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFO = "info"


SEVERITIES_ZH = {
    Severity.CRITICAL: "紧急", Severity.HIGH: "重要", Severity.MEDIUM: "一般", Severity.LOW: "轻微",
    Severity.INFO: "提示",
}  # fmt: skip
"""What each is called wherever people read Chinese: one set, named as the desks of network alarms there name theirs."""

SEVERITY_RANKS = {severity: rank for rank, severity in enumerate(Severity)}
"""The worst is 0."""


class PlaceType(StrEnum):
    """What a place is; the tree goes from a site down. A rule can be for any of them, and sees all devices below it."""

    SITE = "site"
    BUILDING = "building"
    UNIT = "unit"
    FLOOR = "floor"
    DWELLING = "dwelling"
    ELEVATOR = "elevator"
    GATE = "gate"
    LANE = "lane"
    FIRE_ZONE = "fire_zone"


class CodeForm(StrEnum):
    """What stands behind the colon of a code: an opaque reference, a plate, a device or place, or a word of its own."""

    REFERENCE = "reference"
    PLATE = "plate"
    DEVICE = "device"
    PLACE = "place"
    WORD = "word"


class TopicClass(StrEnum):
    """What a topic carries; the last segment of a native topic."""

    TELEMETRY = "telemetry"
    SIGNAL = "signal"
    RESPONSE = "response"
    AVAILABILITY = "availability"
    DRILL = "drill"
    """What a drill lets a detector's double say: never the device itself, and heard only while the drill runs."""


class Timeliness(StrEnum):
    """What a message may do: act, be judged without acting, or only be stored."""

    LIVE = "live"
    LATE = "late"
    BACKFILL = "backfill"
