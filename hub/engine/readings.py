"""What the readings of a message do: its device lives, its values go to twin, rules and points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from zlib import crc32

from hub.engine.ages import (
    AHEAD_NS,
    LESSONS,
    MILLION,
    age_of_reading,
    count_sequence,
    first_time,
    rank,
    time_apart,
)
from hub.engine.device import Device, Part
from hub.engine.judging import Judge
from hub.engine.lessons import Judged, judged_together, remembered, timeliness
from hub.engine.moment import Moment, Output
from hub.engine.quotas import Quotas
from hub.engine.sparing import Stored
from hub.engine.state import State
from hub.engine.woken import NO_VOTE, NOBODY, About
from hub.errors import PoisonError
from hub.model.effects import Series
from hub.model.heard import Heard, Reading
from hub.model.values import Quality, Scalar, Timeliness, Values

MOST_PARTS = 4_096
"""Of one device; a fire panel has one for each detector. One that names its parts by the clock would fill memory, twins
and the series of the store."""

# An attribute of an enum class costs 40 ns each time.
LIVE, LATE, BACKFILL = Timeliness.LIVE, Timeliness.LATE, Timeliness.BACKFILL
GOOD, UNCERTAIN = Quality.GOOD, Quality.UNCERTAIN


class Readings:
    """Takes the readings of the message in hand, held in slots: passing it along would cost 0.4 us a message."""

    __slots__ = (
        "_ahead", "_at", "_awake", "_changed", "_checksum", "_first_at", "_first_t", "_index", "_is_asked", "_judge",
        "_message", "_moment_of", "_output", "_payload", "_position", "_readings_taken", "_standing", "_state",
        "_together", "_waited", "quotas",
    )  # fmt: skip

    def __init__(self, state: State, judge: Judge, output: Output, quotas: Quotas) -> None:
        self._state = state
        self.quotas = quotas
        self._judge = judge
        self._output = output
        self._standing = judge.standing
        self._moment_of = self._moment
        self._changed: list[Part] = []
        self._together: dict[str, dict[int, int]] = {}
        self._message: Heard | None = None
        self._payload = b""
        self._at = self._position = self._index = self._checksum = self._readings_taken = 0
        self._first_t = self._first_at = self._awake = self._ahead = 0
        self._waited = 0
        """How long ago (ns) the message in hand came, of one that is taken again; 0 of what comes now."""
        self._is_asked = False
        """Whether a person asks for the message in hand again."""

    @property
    def _t(self) -> int:
        """The engine time of the message in hand."""
        return self._first_t + self._index

    def take_changed(self, most: int) -> list[Part]:
        """Return ``most`` of the parts whose twins have changed and nobody has taken, those first that did so first."""
        taken = self._changed[:most]
        del self._changed[:most]
        for part in taken:
            part.has_changed = False
        return taken

    def _moment(self, *, is_late: bool, about: About = NO_VOTE) -> Moment:
        return Moment(self._t, self._at + self._waited, is_late, (self._position, self._index), about=about)

    def _given(self, device: Device, measured: int | None, *, is_late: bool) -> Moment:
        """Return the moment of a signal, or of a value that is one."""
        age = age_of_reading(device.state, self._at, measured) + self._waited
        return Moment(self._t, self._at + self._waited, is_late, (self._position, self._index), age, measured or 0)

    def _now(self) -> Moment:
        return self._moment(is_late=False)

    def _mark(self, device: Device) -> None:
        if device.state.mark != self._state.generation:
            self._state.mark(device.state)

    def _hear(self, device: Device) -> None:
        """Note that ``device`` lives."""
        self._mark(device)
        clock, known = self._state.clock, device.state
        blind_since = clock.blind_since
        known.heard_awake = (self._t if blind_since is None else blind_since) - clock.blind_total
        known.ahead = self._at - known.heard_awake
        if device.is_silent:
            self._judge.heard(device, self._moment(is_late=False))

    def _take_readings(self, device: Device, readings: Sequence[Reading]) -> Timeliness:
        """Take the readings of one message; return the best timeliness among them. A heartbeat is live.

        PoisonError ``too_many_parts``, before anything is taken of it: parts are remembered for ever.
        """
        if 1 + len(device.state.seldom.parts or ()) + len(readings) > MOST_PARTS:
            known = {*(device.state.seldom.parts or ()), *([] if device.state.whole is None else [""])}
            new = {reading.part or "" for reading in readings} - known
            if new and len(known) + len(new) > MOST_PARTS:
                raise PoisonError("too_many_parts", f"{len(known)} parts of it are known, and no more are taken")
        is_kept = self._message is not None and self._message.retain
        is_past = is_kept or self._is_asked
        if is_past:  # what a broker or a person remembers is no sign of life, and teaches nothing of a clock
            self._mark(device)
        else:
            self._hear(device)
        if len(readings) == 1:
            return self._reading(device, 0, readings[0], remembered if is_past else timeliness)
        best = LIVE if not readings else BACKFILL
        judged = remembered if is_past else self._judged(device, readings)
        for element, reading in enumerate(readings):
            how = self._reading(device, element, reading, judged)
            if rank(how) < rank(best):
                best = how
        return best

    def _judged(self, device: Device, readings: Sequence[Reading]) -> Judged:
        """Return what judges several readings of one message; among the first ones its newest has taught then."""
        if device.state.taught >= LESSONS:
            return timeliness
        latest = self._at + AHEAD_NS
        moments = (reading.measured_at for reading in readings)
        differences = [self._at - moment for moment in moments if moment is not None and moment <= latest]
        return judged_together(device, differences, self._state.clock.blind_since) if differences else timeliness

    def _reading(  # noqa: C901 -- one screen
        self, device: Device, element: int, reading: Reading, judged: Judged
    ) -> Timeliness:
        at, known = self._at, device.state
        self._readings_taken += 1
        if reading.seq is not None:
            count_sequence(known, reading.seq, reading.boot, self._state.ledger)
        blind_since = self._state.clock.blind_since
        measured = reading.measured_at
        if measured is None or measured - at > AHEAD_NS:
            measured = None
            time = at - at % MILLION + self._readings_taken % MILLION
            how = LIVE if blind_since is None else LATE
        else:
            time = measured - measured % MILLION + self._checksum_of(device, element, reading.identity) % MILLION
            how = judged(device, at - measured, blind_since)
        time, is_new = self._own_time(device, element, reading, measured, time)
        is_kept = self._message is not None and self._message.retain
        is_memory = is_kept and measured is None
        if how is not LIVE or reading.backfill or is_memory or self._message is None:
            how = self._settle(how, reading, is_memory=is_memory)
        is_judged, is_late = is_new and how is not BACKFILL, how is LATE
        is_told = is_judged and not (is_kept and self._was_told(device, element, measured))
        if reading.values:
            part = device.part(reading.part or "")
            past = self._waited
            if how is BACKFILL and measured is not None:
                past += age_of_reading(known, at, measured)
            says_something = self._hold(part, reading, measured, past, is_memory=is_memory)
            meter = known.seldom.meter
            if meter is not None and how is LIVE and self.quotas.thins(device, meter, self._now):
                meter.keep(part.name, time, reading.values)
            elif not is_memory:
                self._store(part, time, reading.values, is_new=is_new)
            woken = device.rules.reading(part.name, reading.values)
            if is_judged and says_something and woken.rules:
                self._judge.values(woken, part, is_late, self._moment_of)
            if is_told and woken.told:
                moment = self._given(device, measured, is_late=is_late)
                self._judge.moments.told(woken.told, part, reading.values, moment)
        if is_told and reading.signals:
            known.know(reading.part or "")
            moment = self._given(device, measured, is_late=is_late)
            for signal in reading.signals:
                self._judge.moments.signal(device, reading.part or "", signal, moment)
        return how

    def _store(self, part: Part, time: int, values: Values, *, is_new: bool) -> None:
        """Make a point of what the device's profile wants stored; the rest is counted."""
        store = part.device.outfit.store
        if store is not None and is_new:
            known = part.device.state.seldom.stored
            mine = None if known is None else known.get(part.name)
            kept = store.spare(values, time, mine if type(mine) is Stored else self._begin_stored(part, mine))
            self._state.ledger.unstored += len(values) - len(kept)
            values = kept
        if values:
            series = part.series or self._series(part)
            self._output.stored.append(self._output.write(series, time, values, False))  # noqa: FBT003 -- hot path

    @staticmethod
    def _begin_stored(part: Part, known: Mapping[str, tuple[Scalar, int]] | None) -> Stored:
        """Return what was stored last of ``part``: of a checkpoint it is a plain dict."""
        mine = part.device.state.own()
        if mine.stored is None:
            mine.stored = {}
        found = mine.stored[part.name] = Stored(known)
        return found

    def _series(self, part: Part) -> Series | bytes:
        part.series = self._output.begin_series(part.tags())
        return part.series

    def _checksum_of(self, device: Device, element: int, identity: str | None) -> int:
        """Return what ends in the ns below the millisecond that keep a re-write the same point, and two swipes two.

        CRC-32 of topic, payload and element (or of the identity), of which a millionth is used: 0.2 us, where BLAKE2b
        costs 0.6 and no more of it would be used.
        """
        if identity is not None:
            return crc32(f"{device.key}\0{identity}".encode())
        found = crc32(self._payload, self._checksum)
        return crc32(element.to_bytes(2, "big"), found) if element else found

    def _own_time(  # noqa: PLR0913, PLR0917, RUF100 -- hot path
        self, device: Device, element: int, reading: Reading, measured: int | None, time: int
    ) -> tuple[int, bool]:
        """Return the time of its point, and whether it is new: what has an identity and was said before is not."""
        if reading.identity is not None:
            time, is_new = first_time(device.state, reading.identity, time)
            self._state.ledger.repeated += not is_new
            return time, is_new
        if measured is not None and reading.values:
            part = device.part(reading.part or "")
            if device.key in self._together or measured - part.at < MILLION:
                time = self._apart(device, part, element, measured, time)
        return time, True

    def _apart(self, device: Device, part: Part, element: int, measured: int, time: int) -> int:  # noqa: PLR0913, PLR0917, RUF100 -- hot path
        """Return ``time``, or the next at which nothing else was said in its millisecond."""
        if measured // MILLION == part.at // MILLION:
            device.shape = None  # that way remembers nothing
        return time_apart(self._together, device.key, self._checksum_of(device, element, None), time)

    def _was_told(self, device: Device, element: int, measured: int | None) -> bool:
        """Return whether a moment that a broker kept was heard in its time, by who has heard the device since, or told.

        Each new subscription brings it again: of a device that was never heard otherwise only that tells it from a new
        one.
        """
        known = device.state
        if measured is None or measured + known.clock_error <= known.heard_at:
            return True
        identity = f"kept {measured} {self._checksum_of(device, element, None)}"
        return not first_time(known, identity, measured)[1]

    def _settle(self, how: Timeliness, reading: Reading, *, is_memory: bool) -> Timeliness:
        """Return the timeliness after what the vendor, the device and the broker say of the message."""
        if reading.backfill or is_memory:
            return BACKFILL
        if self._message is None and how is LIVE:
            return LATE
        if reading.critical and how is BACKFILL:
            return LATE
        return how

    def _hold(self, part: Part, reading: Reading, measured: int | None, past: int, *, is_memory: bool) -> bool:
        """Put the values into the twin where they are not older than what it holds; False when all of them are.

        A memory fills only gaps. Of a device without a clock they are what it says now, even if ours has stepped back;
        and where it has one, but does not say so here, by that: else all it measures after an answer would be older.
        """
        device, says_something = part.device, True
        time = self._at - device.state.clock_error if measured is None else measured
        quality = UNCERTAIN if measured is None and (is_memory or reading.measured_at is not None) else GOOD
        awake = device.state.heard_awake if not past else self._state.clock.awake(self._t) - past
        stamp = (time, awake, quality, reading.bad)
        if is_memory:
            part.fill_gaps(reading.values, *stamp)
        elif measured is None and self._message is not None:
            part.follow(reading.values, *stamp)
        else:
            says_something = part.take(reading.values, *stamp)
        if part.values is reading.values:
            woken = device.rules.reading(part.name, reading.values)
            is_as_before = part.woken is woken or part.woken is NOBODY
            is_odd = woken.told or device.state.seldom.meter is not None
            part.woken = NOBODY if is_odd else woken  # what is told each time is not usual, nor what is counted
            is_shaped = is_as_before and not is_odd and measured is not None and not device.parts
            is_shaped = is_shaped and device.key not in self._together
            device.shape = device.outfit.shape(tuple(reading.values)) if is_shaped else None
        if not part.has_changed:
            self._show(part)
        return says_something

    def _show(self, part: Part) -> None:
        """Note that the twin of ``part`` has changed."""
        part.has_changed = True
        self._changed.append(part)
