"""Quotas: a device that says too much loses points of its history and garbage, never a judgement; who does is found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from zlib import crc32

from hub.engine.change import Change
from hub.engine.content import Content
from hub.engine.device import Device, Part
from hub.engine.meters import Meter, Quota
from hub.engine.moment import Moment, Output
from hub.engine.state import State
from hub.model.effects import Event, Transition
from hub.model.heard import Heard
from hub.model.values import Scalar, Severity, Values

EVERY = 64
"""Of so many messages one is looked at, and counts for all: counting each costs 0.1 us, this 0.03."""
Store = Callable[[Part, int, Values], None]


class Quotas:
    """Meters the devices of which one message after the other is looked at. While blind nothing counts.

    Once a quarter of the burst seems to be used up a device is counted reading by reading, from a full bucket on: who
    was looked at by chance loses nothing by it.

    What counts are live readings with values, and dead letters. Which messages are looked at is a matter of their
    numbers alone, and a bucket's of engine time: the same journal comes to the same.
    """

    def __init__(self, state: State, content: Content, output: Output) -> None:
        self._state = state
        self._content = content
        self._output = output
        self.looks_at = 0
        """The number of the message that is looked at next, or one before it."""

    def restored(self) -> None:
        """Count on, when devices and meters of a checkpoint are there."""
        for key, meter in self._meters.items():
            if meter.is_exact:
                self._attach(key, meter)

    def revised(self, change: Change) -> None:
        """Count on whoever comes, or comes back, before its bucket is full; what who goes has kept is no point.

        Nor is what one has kept that is another thing now: a door never had a temperature.
        """
        meters = self._meters
        others = [device for known, device in change.replaced if device.kind != known.kind] if meters else []
        for device in [*change.removed_devices, *others] if meters else ():
            if device.key in meters:
                meters[device.key].kept = {}
        for device in change.touched if meters else ():
            meter = meters.get(device.key)
            if meter is not None and meter.is_exact:
                self._attach(device.key, meter)

    @property
    def _meters(self) -> dict[str, Meter]:
        return self._state.meters.by_device

    # ------------------------------------------------------------------------------------------------- who says much

    def look(self, messages: Sequence[Heard], t: int, speaker: Callable[[str], str]) -> None:
        """Look at those of a batch that are to be looked at; ``speaker`` says which device a topic is of."""
        number = self._state.clock.number
        if number + len(messages) <= self.looks_at or not self._content.has_quotas:
            return
        block = number // EVERY
        while (at := block * EVERY + crc32(block.to_bytes(8)) % EVERY) < number + len(messages):
            if at >= number and self._state.clock.blind_since is None:
                self._charge(speaker(messages[at - number].topic), t + at - number)
            block += 1
        self.looks_at = at

    def _charge(self, key: str, t: int) -> None:
        quota = self._quota_of(key)
        if not key or quota.is_none:
            return
        meter = self._meters.get(key)
        if meter is None:
            meter = self._meters[key] = Meter(t)
        if not meter.is_exact:
            meter.full_t = t + meter.owes(t) + EVERY * quota.step_ns
            if 4 * meter.owes(t) <= quota.most_ns:
                return
            meter.is_exact, meter.full_t = True, t
        self._attach(key, meter)

    def _attach(self, key: str, meter: Meter) -> None:
        """Let a registered device be counted: it takes no short ways any more."""
        device = self._find(key)
        if device is not None and device.state.seldom.meter is not meter:
            device.state.own().meter = meter
            device.forget_shortcuts()

    def _find(self, key: str) -> Device | None:
        site, _, name = key.partition("/")
        return self._content.find(site, name)

    def _quota_of(self, key: str) -> Quota:
        """Return what the profile of a device says, else what any device may."""
        device = self._find(key)
        return self._content.quota if device is None or device.outfit.quota is None else device.outfit.quota

    # --------------------------------------------------------------------------------------------------- what is over

    def thins(self, device: Device, meter: Meter, now: Callable[[], Moment]) -> bool:
        """Return whether a reading of ``device`` is to be no point; asked once for each."""
        if self._has_room(device.key, meter, now):
            return False
        meter.thinned += 1
        self._state.ledger.thinned += 1
        return True

    def refuses(self, key: str, now: Callable[[], Moment]) -> bool:
        """Return whether a message that nobody understands is not worth a dead letter: there are too many of them."""
        meter = self._meters.get(key)
        if meter is None or not meter.is_exact or self._has_room(key, meter, now):
            return False
        meter.refused += 1
        return True

    def _has_room(self, key: str, meter: Meter, now: Callable[[], Moment]) -> bool:
        quota, moment = self._quota_of(key), now()
        if quota.is_none or self._state.clock.blind_since is not None or meter.spend(1, moment.t, quota):
            return True
        if not meter.over_since:
            meter.over_since = moment.at
            label = {
                "en": f"says more than {quota.per_second:g} a second: all is judged, of the rest the newest is stored",
                "zh": f"每秒上报超过 {quota.per_second:g} 条：全部参与判断，超出部分只存最新值",
            }
            words: dict[str, Scalar] = {"per_second": quota.per_second, "burst": quota.burst}
            self._tell("device.over_quota", key, words, label, moment)
        return False

    # ---------------------------------------------------------------------------------------------------------- time

    def tick(self, moment: Moment, store: Store) -> None:
        """Make points of what is the newest; forget the buckets that are full."""
        for key, meter in [*self._meters.items()]:
            if meter.kept:
                self._store_kept(key, meter, store)
            if meter.full_t <= moment.t or self._quota_of(key).is_none:
                self._forget(key, meter, moment)

    def _store_kept(self, key: str, meter: Meter, store: Store) -> None:
        device = self._find(key)
        is_same = device is not None and device.state.seldom.meter is meter  # it is still the one that said so
        for part, time, values in meter.take_kept():
            if device is not None and is_same:
                store(device.part(part), time, values)

    def _forget(self, key: str, meter: Meter, moment: Moment) -> None:
        del self._meters[key]
        device = self._find(key) if meter.is_exact else None
        if device is not None and device.state.seldom.meter is meter:
            device.state.own().meter = None
        if meter.over_since:
            label = {"en": "says no more than it may again", "zh": "上报频率已恢复正常"}
            words: dict[str, Scalar] = {
                "thinned": meter.thinned, "refused": meter.refused,
                "seconds": (moment.at - meter.over_since) // 1_000_000_000,
            }  # fmt: skip
            self._tell("device.within_quota", key, words, label, moment)

    def _tell(self, name: str, key: str, data: dict[str, Scalar], label: dict[str, str], moment: Moment) -> None:
        device = self._find(key)
        site, _, called = key.partition("/")
        severity = Severity.MEDIUM if name == "device.over_quota" else Severity.INFO
        self._output.event(
            Event(
                id=self._output.event_id(name, key, moment.t, 1), name=name, severity=severity,
                transition=Transition.OCCURRED, time=moment.at, key=key, rule="", rule_version="", site=site,
                building="" if device is None else device.building, device=called, label=label, data=data,
                causes=(moment.cause,),
            )
        )  # fmt: skip
