"""Messages of foreign networks: out of their envelopes, and on as if their devices had spoken to us."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace
from typing_extensions import override

from hub.engine.acting import Hands
from hub.engine.ages import age_of_reading
from hub.engine.content import Content
from hub.engine.device import Device
from hub.engine.judging import Judge
from hub.engine.moment import Output
from hub.engine.quotas import Quotas
from hub.engine.readings import LIVE
from hub.engine.state import State
from hub.engine.usual import UsualReadings
from hub.engine.waiting import WaitingRoom, foreign_name
from hub.errors import PoisonError
from hub.model.effects import UNREGISTERED
from hub.model.heard import Reading
from hub.model.records import Letter, Outcome, OutcomeKind
from hub.model.values import Scalar, Severity, Timeliness
from hub.normalize.networks.envelope import Envelope, EnvelopeClass
from hub.normalize.networks.exposes import MAX_DIRECTORY_BYTES, read_directory
from hub.normalize.networks.source import Route

MAX_PAYLOAD_BYTES = 256 * 1024
ONLINE, OFFLINE, UNKNOWN = "online", "offline", "unknown"
OWN_SESSION = "events"
"""Which hears whether our own devices are online."""
WAITS = frozenset({EnvelopeClass.TELEMETRY, EnvelopeClass.SIGNAL})


class ForeignEar(UsualReadings):
    """Takes the messages of sources. ``_named``: the (site, device) that the one in hand names, for its dead letter."""

    __slots__ = ("_content", "_hands", "_named", "waiting")

    def __init__(self, state: State, content: Content, judge: Judge, hands: Hands, output: Output) -> None:
        super().__init__(state, judge, output, Quotas(state, content, output))
        self._content = content
        self._hands = hands
        self._named = "", ""
        self.waiting = WaitingRoom(state)

    @override
    def _hear(self, device: Device) -> None:
        super()._hear(device)
        if device.is_awaited:
            self._hands.spoke(device)

    def _take_foreign(self, device: Device | None, route: Route) -> Timeliness:
        """Take a message of a source; ``device`` None: its payload says which, or it is about none."""
        stream = route.stream
        self._named = (route.site, route.device) if device is None else device.identity
        envelope = stream.read(self._payload)
        if device is None and envelope.device:
            device = self._seek(route, envelope.device)
        match stream.carries:
            case EnvelopeClass.DIRECTORY:
                read_directory(envelope.payload or b"")
                self._output.effects.directories.append((stream.source, envelope.payload or b""))
            case EnvelopeClass.NETWORK:
                self._take_network(stream.source, envelope)
            case EnvelopeClass.RESPONSE:
                self._take_answer(device, envelope)
            case _:
                if device is None:
                    raise PoisonError("no_device", "the envelope names no device")
                return self._take_from(device, route, envelope)
        return LIVE

    def _take_from(self, device: Device, route: Route, envelope: Envelope) -> Timeliness:
        names = route.names if envelope.says is None else {**route.names, **envelope.says}
        if names and not names.items() <= (device.state.seldom.names or {}).items():
            self._mark(device)
            device.state.own().names = {**(device.state.seldom.names or {}), **names}
        match route.stream.carries:
            case EnvelopeClass.AVAILABILITY:
                self._take_availability(device, envelope.state)
            case EnvelopeClass.RECEIPT:
                self._take_receipt(device, envelope)
            case _:
                try:
                    readings = self._open(device, route, envelope)
                except PoisonError:
                    if device.deafness is not None:
                        self._keep(foreign_name(route.stream.source, device.called))
                    raise
                how = self._take_readings(device, readings)
                if how is LIVE and route.stream.carries in WAITS:
                    self._wake(device, envelope)
                return how
        return LIVE

    def _wake(self, device: Device, envelope: Envelope) -> None:
        """Send what waited for ``device`` to speak, unless the broker, or we, kept what it said until now."""
        heard_at, message = envelope.measured_at or self._at, self._message
        is_now = message is not None and not message.retain and self._state.clock.blind_since is None
        age = min(self._at - heard_at, age_of_reading(device.state, self._at, heard_at))  # readings may have a clock
        if is_now and age <= device.outfit.late_after_ns:
            self._hands.heard(device, self._moment(is_late=False))

    def _open(self, device: Device, route: Route, envelope: Envelope) -> Sequence[Reading]:
        """Return what ``device`` says in an envelope: nothing is a sign of life.

        The time at which the network heard it, and its id of the message, are those of a reading that has none itself.
        Of an envelope that is wrong in itself only an alarm is let through.
        """
        payload, heard_at, dedupe = envelope.payload, envelope.measured_at, envelope.dedupe
        readings: Sequence[Reading] = ()
        if payload is not None:
            known = self._content.knowledge(device, route.stream)
            readings = device.outfit.read(payload, envelope.port) if known is None else known(payload)
        if envelope.refused is not None and not any(reading.critical for reading in readings):
            raise PoisonError(*envelope.refused)
        if heard_at is None and dedupe is None:
            return readings
        return [
            replace(
                reading,
                measured_at=heard_at if reading.measured_at is None else reading.measured_at,
                identity=f"{dedupe}#{element}" if reading.identity is None and dedupe else reading.identity,
            )
            for element, reading in enumerate(readings)
        ]

    # -------------------------------------------------------------------------------------------------- whose it is

    def _called(self, route: Route, name: str) -> Device | None:
        """Return the device that a network calls ``name``, if there is one."""
        source = route.stream.source
        if not route.site:
            return self._content.of_network(source, name)
        device = self._content.find(route.site, name)
        return device if device is not None and device.row.source in {"", source} else None

    def _seek(self, route: Route, name: str) -> Device:
        """Return the device that a network calls ``name``; PoisonError ``unknown_device``, and what it says waits."""
        source = route.stream.source
        if route.site:
            waits_as = f"{route.site}/{name}"
            self._content.barred.check(waits_as)
        else:
            waits_as = foreign_name(source, name)
            self._content.barred.check_name(source, name)
        device = self._called(route, name)
        if device is not None:
            self._named = device.identity
            return device
        self._named = route.site, name
        if route.stream.carries in WAITS:
            self._keep(waits_as)
        raise PoisonError("unknown_device", f"{waits_as}{UNREGISTERED}")

    def _keep(self, name: str) -> None:
        message = self._message
        if message is not None:
            number = self._state.clock.number + self._index + 1
            letter = Letter(message.topic, self._payload, number=number, received_at=self._at)
            self.waiting.keep(name, self._t, letter)

    # ------------------------------------------------------------------------------------------ what is about devices

    def _take_availability(self, device: Device, text: str) -> None:
        """Note what a last will, or a network, says; the broker's memory counts only where nothing is known."""
        if text not in {ONLINE, OFFLINE}:
            raise PoisonError("bad_availability", "say online or offline")
        is_memory = self._message is not None and self._message.retain
        if not (is_memory and device.state.availability != UNKNOWN):
            self._set_availability(device, text)
        if text == ONLINE and not is_memory:
            self._hear(device)

    def _set_availability(self, device: Device, text: str) -> None:
        if device.state.availability == text:
            return
        self._mark(device)
        device.state.availability = text
        for name in device.state.by_part():
            part = device.part(name)
            if not part.has_changed:
                self._show(part)

    def forget_availability(self, session: str) -> None:
        """Take what was said on ``session`` for unknown: the broker has forgotten that, and tells anew what it keeps.

        A word that was queued is gone; what it keeps is the newest there is, and may be another than what we knew.
        """
        for device in self._content.devices():
            if session == (OWN_SESSION if device.source is None else device.source.network.session):
                self._set_availability(device, UNKNOWN)

    def _take_network(self, source: str, envelope: Envelope) -> None:
        """Note that a network is gone, and all its devices with it; or back, and each is unknown until it speaks."""
        if envelope.state not in {ONLINE, OFFLINE}:
            raise PoisonError("bad_state", "say online or offline")
        is_back = envelope.state == ONLINE
        devices = [
            device for device in self._content.of_source(source) if not is_back or device.state.availability == OFFLINE
        ]
        for device in devices:
            self._set_availability(device, UNKNOWN if is_back else OFFLINE)
        if devices or not is_back:
            data: dict[str, Scalar] = {"source": source, "devices": len(devices)}
            severity = Severity.INFO if is_back else Severity.HIGH
            self._output.report(f"device.network_{envelope.state}", severity, data, self._moment(is_late=False))

    def _take_receipt(self, device: Device, envelope: Envelope) -> None:
        """Take the network's word on a command: it is on its way, or lost. Of a command that is not ours: nothing."""
        command = self._hands.find(envelope.command)
        if envelope.state and command is not None and (command.site, command.device) == device.identity:
            outcome = Outcome(command.id, OutcomeKind(envelope.state), "the network says so")
            self._hands.outcome(outcome, self._moment(is_late=False))

    def _take_answer(self, device: Device | None, envelope: Envelope) -> None:
        """Take an answer to a command; of one that names no device it is the command's, and no sign of its life."""
        asked = self._hands.find(envelope.command)
        found = device
        if found is None and asked is not None:
            found = self._content.find(asked.site, asked.device)
        if found is None:
            raise PoisonError("unknown_command", f"no command {envelope.command!r} was sent")
        self._named = found.identity
        self._take_response(found, envelope.payload or b"", is_heard=device is not None)

    def _take_response(self, device: Device, payload: bytes, *, is_heard: bool = True) -> None:
        """Take what a device answers to a command, and what it is like since then."""
        response = device.outfit.respond(payload)
        command = self._hands.find(response.id)
        if command is None or (command.site, command.device) != device.identity:
            raise PoisonError("unknown_command", f"no command {response.id!r} was sent to this device")
        self._hands.response(command, ok=response.ok, detail=response.code, moment=self._moment(is_late=False))
        state = [Reading(dict(response.state), part=command.part or None, bad=response.bad)] if response.state else []
        if is_heard:
            self._take_readings(device, state)


def may_be_large(route: Route, payload_bytes: int) -> bool:
    """Return whether a payload above the limit of devices may be as long as this: a directory."""
    return route.stream.carries is EnvelopeClass.DIRECTORY and payload_bytes <= MAX_DIRECTORY_BYTES
