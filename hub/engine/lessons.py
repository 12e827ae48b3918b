"""What a message teaches of its device's clock, and how timely that makes it; the first ones only teach."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hub.engine.ages import AHEAD_NS, LESSONS, age_of, by_age, live_ages, rank
from hub.engine.device import Device
from hub.model.values import Timeliness

NEVER_AWAKE = 2**63
"""While blind nothing is usual: it lies behind the end of every device's ages."""

LIVE = Timeliness.LIVE

Judged = Callable[[Device, int, int | None], Timeliness]
"""Judges a reading of a device by received - measured ns, and since when we were blind (engine ns)."""


def timeliness(device: Device, difference: int, blind_since: int | None) -> Timeliness:
    """Judge a message that came ``difference`` ns after it was measured; what is as always teaches nothing."""
    known = device.state
    if device.least_age <= difference <= device.most_age and known.heard_awake < device.ages_end:
        return LIVE
    is_first = not known.taught
    how = age_of(known, difference, device.outfit.late_after_ns, blind_since)
    for held in known.by_part().values() if is_first else ():
        held.shift(-known.clock_error)  # what it said before was of our clock: by its own all that follows may be older
    device.least_age, device.most_age, device.ages_end = live_ages(known, device.outfit.late_after_ns)
    return how


def remembered(device: Device, difference: int, _blind_since: int | None) -> Timeliness:
    """Judge what a broker kept: how long it did teaches nothing of the device's clock."""
    return by_age(difference - device.state.clock_error, device.outfit.late_after_ns)


def judged_together(device: Device, differences: Sequence[int], blind_since: int | None) -> Judged:
    """Take a lesson of the newest reading of a message; return what judges all of them.

    One clock has told all their moments, however wrong it is: the others are older than the newest by what they say,
    and a day's readings in the first message of a device are a day old. In a former version each of them was a lesson.
    """
    least = min(differences)
    newest, late_after_ns = timeliness(device, least, blind_since), device.outfit.late_after_ns

    def judged(_device: Device, difference: int, _blind_since: int | None) -> Timeliness:
        return max(newest, by_age(difference - least, late_after_ns), key=rank)

    return judged


def is_lesson(device: Device, difference: int, awake: int) -> bool:
    """Return whether a message that teaches is live all the same.

    It is one of the first of ``device``, or took no longer than is usual: less than any before, or in a new hour. Of a
    hundred messages that is one in twenty.
    """
    is_live = device.state.taught < LESSONS or difference <= device.most_age
    return is_live and awake < NEVER_AWAKE and difference >= -AHEAD_NS


def teach(device: Device, difference: int) -> None:
    """Take a lesson; one of the first that says nothing new of the clock only counts, which is most of them."""
    known = device.state
    is_last = known.taught + 1 >= LESSONS
    if is_last or difference < device.least_age or known.heard_awake >= device.ages_end:
        timeliness(device, difference, None)
    else:
        known.taught += 1
