"""The short ways of what nearly every message is: a live reading, of what is known already, that says what is new."""

from __future__ import annotations

from zlib import crc32

import msgspec
from msgspec.structs import asdict

from hub.engine.ages import MILLION, first_time
from hub.engine.device import Device, Part, hold
from hub.engine.known import DeviceState
from hub.engine.lessons import NEVER_AWAKE, is_lesson, teach
from hub.engine.readings import GOOD, Readings
from hub.engine.sparing import Sparing, Stored
from hub.model.heard import Heard, Reading
from hub.model.values import Values
from hub.normalize.handler import KNOWN_BYTES
from hub.normalize.native import SHORT_BYTES


class UsualReadings(Readings):
    """Takes usual readings in one place, and any other in the way of :class:`Readings`."""

    __slots__ = ()

    def _take_shaped(self, device: Device, message: Heard, index: int) -> bool:  # noqa: C901 -- hot path
        """Take a message that says the names of the one before, and nothing odd; False, and nothing done: another.

        What :meth:`_take_usual` does of a reading, without one: 1.5 instead of 2.3 us from payload to line (desk, no
        rules). A test holds all three ways to the same effects and the same state.
        """
        payload, shape = message.payload, device.shape
        if shape is None or len(payload) > SHORT_BYTES or message.retain:
            return False
        try:
            said = shape(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return False
        measured, at, awake = said.t * MILLION, self._first_at + index, self._awake + index
        teaches = not device.least_age <= at - measured <= device.most_age or awake >= device.ages_end
        if teaches and not is_lesson(device, at - measured, awake):
            return False
        part, known, seq = device.whole, device.state, said.seq
        if part is None or part.at >= measured or device.is_silent or device.is_awaited:
            return False
        if seq is not None and (seq - 1 != known.seq or said.boot != known.boot):
            return False
        self._hear_usual(known, seq, awake)
        if teaches:
            teach(device, at - measured)
        values, woken, output = asdict(said.values), part.woken, self._output
        hold(part, said.values)
        part.at, part.awake, part.quality, part.bad = measured, awake, GOOD, ()
        if not part.has_changed:
            self._show(part)
        time = measured + crc32(payload, device.checksum) % MILLION
        output.stored.append(output.write(part.series or self._series(part), time, values, woken.are_floats))
        if woken.rules and not self._is_quiet(part, values, awake):
            self._message, self._index, self._at, self._payload = message, index, at, payload
            self._judge.values(woken, part, False, self._moment_of)  # noqa: FBT003 -- hot path
        return True

    def _take_known(self, device: Device, message: Heard, index: int) -> bool:
        """Take a payload that was read before and tells no time; False, and nothing done: another.

        What :meth:`_take_usual` does of its reading, which is the same object each time: an elevator's word costs 12.7
        instead of 16.8 us with all its rules (two engines in turns, the least of 120 records).
        """
        payload, part = message.payload, device.whole
        reading = device.outfit.recall(payload) if len(payload) <= KNOWN_BYTES else None
        if reading is None or part is None or message.retain or self._awake == NEVER_AWAKE:
            return False
        values, woken = reading.values, part.woken
        if device.is_silent or device.is_awaited or woken.names != (*values,):
            return False
        at, awake, output, store = self._first_at + index, self._awake + index, self._output, device.outfit.store
        self._hear_usual(device.state, None, awake)
        hold(part, values)
        part.at, part.awake, part.quality, part.bad = at - device.state.clock_error, awake, GOOD, reading.bad
        if not part.has_changed:
            self._show(part)
        time = at - at % MILLION + self._readings_taken % MILLION
        if store is None:
            output.stored.append(output.write(part.series or self._series(part), time, values, woken.are_floats))
        else:
            self._store_step(store, part, time, values)
        if woken.rules and not self._is_quiet(part, values, awake):
            self._message, self._index, self._at, self._payload = message, index, at, payload
            self._judge.values(woken, part, False, self._moment_of)  # noqa: FBT003 -- hot path
        return True

    def _store_step(self, store: Sparing, part: Part, time: int, values: Values) -> None:
        """Do as :meth:`_store` with values of a device itself that are the same object each time."""
        known, output = part.device.state.seldom.stored, self._output
        mine = None if known is None else known.get("")
        step = store.step(values, time, mine, output.draw) if type(mine) is Stored else None
        if step is None:
            self._store(part, time, values, is_new=True)
            return
        self._state.ledger.unstored += len(values) - len(step.kept)
        if step.kept:
            output.stored.append(output.end(part.series or self._series(part), time, step.drawn))

    def _take_usual(self, device: Device, reading: Reading) -> bool:  # noqa: C901 -- hot path
        """Take a live reading that says what is new of a part that is known, as nearly every one does; False: another.

        It does in one place and half of the time (1.4 instead of 2.9 us, ``make bench``) what :meth:`_take_readings`
        does for any.
        """
        part = self._usual_part(device, reading)
        if part is None:
            return False
        known, seq, at, awake = device.state, reading.seq, self._at, self._awake + self._index
        self._hear_usual(known, seq, awake)
        measured, identity = reading.measured_at, reading.identity
        if measured is not None and not _is_of_usual_age(device, at - measured, awake):
            teach(device, at - measured)
            # Seldom enough to ask whether a shape fits what stayed the same.
            if reading.values and not device.parts and device.key not in self._together:
                device.shape = device.outfit.shape((*reading.values,))
        if measured is None:
            time = at - at % MILLION + self._readings_taken % MILLION
        elif identity is None:
            time = measured - measured % MILLION + crc32(self._payload, self._checksum) % MILLION
            if device.key in self._together or measured - part.at < MILLION:
                time = self._apart(device, part, 0, measured, time)
        else:
            time = measured - measured % MILLION + self._checksum_of(device, 0, identity) % MILLION
            time, _ = first_time(known, identity, time)
        if reading.values:
            self._take_values(part, reading, time, awake)
        for signal in reading.signals:
            moment = self._given(device, measured, is_late=False)
            self._judge.moments.signal(device, part.name, signal, moment)
        return True

    def _usual_part(self, device: Device, reading: Reading) -> Part | None:
        """Return the part that a usual reading is of; None: it is another, and nothing is done."""
        measured, known, identity, values = reading.measured_at, device.state, reading.identity, reading.values
        message = self._message
        if message is None or message.retain:
            return None
        if measured is None:
            is_odd = identity is not None or self._awake == NEVER_AWAKE
        else:
            difference, awake = self._at - measured, self._awake + self._index
            is_odd = (identity is not None and identity in (known.seldom.identities or ())) or not (
                _is_of_usual_age(device, difference, awake) or is_lesson(device, difference, awake)
            )
        if is_odd or reading.backfill or device.is_silent or device.is_awaited:
            return None
        part, seq = device.parts.get(reading.part) if reading.part else device.whole, reading.seq
        if part is None or (seq is not None and (seq - 1 != known.seq or reading.boot != known.boot)):
            return None
        if values and (part.woken.names != (*values,) or (measured is not None and part.at > measured)):
            return None
        return part if values or reading.signals else None

    def _hear_usual(self, known: DeviceState, seq: int | None, awake: int) -> None:
        """Note that a device lives, and what number its message has."""
        if known.mark != self._state.generation:
            self._state.mark(known)  # first: a checkpoint that runs still needs what it was
        if seq is not None:
            known.seq = seq
        known.heard_awake, known.ahead = awake, self._ahead
        self._readings_taken += 1

    def _take_values(self, part: Part, reading: Reading, time: int, awake: int) -> None:
        """Let the twin of ``part`` have what it says now, and a point at ``time`` and the rules."""
        values, woken, measured = reading.values, part.woken, reading.measured_at
        hold(part, values)
        part.at = self._at - part.device.state.clock_error if measured is None else measured
        part.awake = awake
        part.quality, part.bad = GOOD, reading.bad
        if not part.has_changed:
            self._show(part)
        if part.device.outfit.store is None:
            output = self._output
            output.stored.append(output.write(part.series or self._series(part), time, values, woken.are_floats))
        else:
            self._store(part, time, values, is_new=True)
        if woken.rules and not self._is_quiet(part, values, awake):
            self._judge.values(woken, part, False, self._moment_of)  # noqa: FBT003 -- hot path

    def _is_quiet(self, part: Part, values: Values, awake: int) -> bool:
        """Return whether ``values``, which ``part`` says now, concern no rule of those that they wake."""
        try:
            return part.key not in self._standing and not part.woken.ask(values, part, awake)
        except Exception:  # noqa: BLE001 -- a bug of one rule, or 1 / 0: each is judged alone
            return False


def _is_of_usual_age(device: Device, difference: int, awake: int) -> bool:
    return device.least_age <= difference <= device.most_age and awake < device.ages_end
