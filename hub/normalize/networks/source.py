"""A source at work: topics to routes, payloads to envelopes, commands to topics and payloads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from hub.errors import ConfigError, PoisonError
from hub.model.values import Scalar
from hub.normalize.fields import both_forms
from hub.normalize.networks.downlink import CompiledDownlink
from hub.normalize.networks.envelope import MAX_NAME, Envelope, EnvelopeClass, Paths, Row, Slot, named
from hub.normalize.networks.filters import ANY, HOLE, TopicFilter
from hub.normalize.networks.network import DEVICE, SITE, Content, Network, SourceRow, State, Stream
from hub.normalize.times import compile_time

Read = Callable[[bytes], Envelope]
"""A payload to its Envelope; raises PoisonError with a stable code, and nothing else."""

_Text = str | int
_MAY_ALARM = {EnvelopeClass.TELEMETRY, EnvelopeClass.SIGNAL}
_WITH_PAYLOAD = {EnvelopeClass.TELEMETRY, EnvelopeClass.SIGNAL, EnvelopeClass.RESPONSE, EnvelopeClass.DIRECTORY}
_KINDS: Mapping[str, Any] = {"base64": bytes, "hex": str, "json": msgspec.Raw, "text": str}


class CompiledStream(NamedTuple):
    """One stream of a source; ``number`` is its place in the network's words."""

    source: str
    number: int
    filter: TopicFilter
    carries: EnvelopeClass
    read: Read


class Route(NamedTuple):
    """Where a topic leads. ``device`` is empty where the payload names it; with a ``site`` it is a name of our own.

    ``names`` are what stood in the other holes: a command to the device may need them.
    """

    stream: CompiledStream
    site: str
    device: str
    names: Mapping[str, str]


class CompiledSource:
    """What a source document means with the words of its network."""

    def __init__(self, row: SourceRow, network: Network, params: Mapping[str, Scalar]) -> None:
        self.name = row.source
        self.network = network
        self.params = params
        self._lower = network.ids == "lower"
        self.streams = tuple(
            CompiledStream(row.source, number, _filter(words, params, number), words.class_, self._read(words, number))
            for number, words in enumerate(network.streams)
        )
        self.downlink = None if network.downlink is None else CompiledDownlink(network.downlink, params)
        self.sleeps = None if network.downlink is None else network.downlink.sleeps

    def _read(self, words: Stream, number: int) -> Read:
        try:
            return _Reading(words, self.fold).read
        except ConfigError as error:
            error.fields.setdefault("path", ("streams", number))
            raise

    @property
    def filters(self) -> tuple[str, ...]:
        """What a session subscribes to, in the order of the streams."""
        return tuple(stream.filter.text for stream in self.streams)

    def fold(self, device: str) -> str:
        """Return a network's name of a device as the network compares it."""
        return device.lower() if self._lower else device

    def route(self, topic: str) -> Route | None:
        """Return where ``topic`` leads, the first stream that means it; PoisonError ``bad_name``."""
        for stream in self.streams:
            found = stream.filter.read(topic)
            if found is not None:
                names = {name: value for name, value in found.items() if name != DEVICE}
                device = found.get(DEVICE, "")
                return Route(stream, found.get(SITE, ""), self.fold(named(device)) if device else "", names)
        return None


def compile_source(row: SourceRow, network: Network) -> CompiledSource:
    """Return the source at work. Raises ConfigError ``unknown_param``, ``bad_param``, ``bad_filter``, ``bad_place``."""
    unknown = sorted(row.params.keys() - network.params.keys())
    if unknown:
        known = ", ".join(network.params) or "none"
        raise ConfigError("unknown_param", f"{network.network} has no parameter {unknown[0]!r}", hint=f"known: {known}")
    params = {**network.params, **row.params}
    for name in _in_topics(network):
        value = params.get(name, ANY)
        if value != ANY and not _is_topic(value):
            raise ConfigError("bad_param", f"{name}: {value!r} cannot stand in a topic", hint="levels without + # { }")
    return CompiledSource(row, network, params)


def _filter(words: Stream, params: Mapping[str, Scalar], number: int) -> TopicFilter:
    try:
        return TopicFilter(words.filter, params)
    except ConfigError as error:
        error.fields.setdefault("path", ("streams", number, "filter"))
        raise


def _in_topics(network: Network) -> Iterable[str]:
    texts = [stream.filter for stream in network.streams]
    texts += [] if network.downlink is None else [network.downlink.topic]
    return dict.fromkeys(name for text in texts for name in HOLE.findall(text) if name in network.params)


def _is_topic(value: Scalar) -> bool:
    text = str(value)
    is_level = isinstance(value, str | int) and not isinstance(value, bool)
    return is_level and text.isprintable() and all(text.split("/")) and not set(text) & set("+#{}$")


class _Reading:
    """Reads the envelopes of one stream."""

    def __init__(self, words: Stream, fold: Callable[[str], str]) -> None:
        self._fold = fold
        paths = Paths()
        content = None if words.payload == "whole" else words.payload
        kind = None if content is None else _KINDS[content.as_]
        wanted = {
            "content": _slots(paths, None if content is None else content.path, kind),
            "device": _slots(paths, words.device, _Text),
            "port": _slots(paths, None if words.port is None else (words.port,), int),
            "dedupe": _slots(paths, words.dedupe, _Text),
            "command": _slots(paths, words.command, _Text),
            "state": _slots(paths, None if words.state is None else words.state.path, bool | int | str),
        }
        said = {name: paths.slot(path, Any) for name, path in words.says.items()}
        clocks = [(paths.slot(path, Any), compile_time(time, "UTC")) for time in words.time for path in time.path]
        self._is_plain = not (clocks or said or any(wanted.values()))
        self._decode, place = paths.compile()
        self._loosely = paths.compile_loosely([*wanted["content"], *wanted["device"], *wanted["port"]])
        self._may_alarm = words.class_ in _MAY_ALARM
        at = {name: tuple(map(place, slots)) for name, slots in wanted.items()}
        self._content, self._device_at, self._state_at = at["content"], at["device"], at["state"]
        self._dedupe, self._command_at = at["dedupe"], at["command"]
        self._port = at["port"][0] if at["port"] else None
        self._clocks = [(place(slot), read) for slot, read in clocks]
        self._said = [(name, place(slot)) for name, slot in said.items()]
        self._unpack = None if content is None else _unpacking(content)
        self._state = None if words.state is None else _State(words.state)
        self._has_payload = words.class_ in _WITH_PAYLOAD
        self._is_named = words.device is not None

    @property
    def read(self) -> Read:
        """The reading, as short as the stream allows."""
        if self._state is not None:
            return self._read_state
        return Envelope if self._is_plain and self._has_payload else self._read

    def _read_state(self, data: bytes) -> Envelope:
        state = self._state
        if state is None:
            raise AssertionError
        if not (self._command_at or data.lstrip().startswith(b"{")):
            return Envelope(None, state=state.of_text(data))
        row = self._decode(data)
        return self._envelope(row, None, state.of(_first(row, self._state_at)))

    def _read(self, data: bytes) -> Envelope:
        refused = None
        try:
            row = self._decode(data)
        except PoisonError as refusal:
            if not self._may_alarm:
                raise
            row, refused = self._loosely(data, refusal), (refusal.code, refusal.message)
        payload = data if self._unpack is None else self._inside(row, self._unpack)
        return self._envelope(row, payload if self._has_payload else None, "", refused)

    def _inside(self, row: Row, unpack: Callable[[Any], bytes]) -> bytes | None:
        """Return the device's own payload; None when there is none, or an empty one."""
        for slot in self._content:
            if row[slot] is not None:
                payload = unpack(row[slot])
                if payload:
                    return payload
        return None

    def _envelope(
        self, row: Row, payload: bytes | None, state: str, refused: tuple[str, str] | None = None
    ) -> Envelope:
        device = self._device(row) if self._is_named else ""
        command = _name(row, self._command_at) if self._command_at else ""
        if self._is_named and not (device or command):
            raise PoisonError("no_device", "the envelope names no device")
        return Envelope(
            payload,
            None if self._port is None else row[self._port],
            _joined(row, self._dedupe) if self._dedupe else None,
            self._time(row) if self._clocks else None,
            device,
            command,
            state,
            {name: row[at] for name, at in self._said if _is_word(row[at])} if self._said else None,
            refused,
        )

    def _device(self, row: Row) -> str:
        return self._fold(_name(row, self._device_at))

    def _time(self, row: Row) -> int | None:
        for slot, read in self._clocks:
            raw = row[slot]
            if raw is not None:
                try:
                    moment = read(raw)
                except PoisonError:  # the network's clock is a help, no condition: an alarm must not die of it
                    continue
                if moment is not None:
                    return moment
        return None


class _State:
    """What a raw value means."""

    def __init__(self, words: State) -> None:
        self._table = {form: said for key, said in words.values.items() for form in both_forms((key,))}
        self._otherwise = words.otherwise or ""

    def of(self, raw: object) -> str:
        """Return what it says; empty when that is nothing to us."""
        return self._table.get(raw, self._otherwise) if isinstance(raw, bool | int | str) else self._otherwise

    def of_text(self, data: bytes) -> str:
        """Return what a payload that is no JSON object says; PoisonError ``bad_state``."""
        text = data.decode("utf-8", "replace").strip().strip('"')
        said = self.of(text)
        if not said:
            raise PoisonError("bad_state", f"say one of: {', '.join(map(str, self._table))}")
        return said


def _slots(paths: Paths, words: Iterable[str] | None, kind: Any) -> tuple[Slot, ...]:  # noqa: ANN401 -- a type
    return tuple(paths.slot(path, kind) for path in words or ())


def _first(row: Row, slots: Iterable[int]) -> Any:  # noqa: ANN401 -- what the struct made of it
    for slot in slots:
        if row[slot] is not None:
            return row[slot]
    return None


def _name(row: Row, slots: Iterable[int]) -> str:
    found = _first(row, slots)
    return "" if found is None or found == "" else named(found)


def _is_word(raw: object) -> bool:
    """Return whether the network's word on a device is one that can be kept; no message dies of it."""
    return isinstance(raw, str) and 0 < len(raw) <= MAX_NAME and raw.isprintable()


def _joined(row: Row, slots: Sequence[int]) -> str | None:
    """Return the id of a message; None when a part of it is missing or nobody could keep it."""
    text = row[slots[0]]
    if len(slots) > 1 or text.__class__ is not str:
        parts = [row[slot] for slot in slots]
        if None in parts:
            return None
        text = "/".join(map(str, parts))
    return text if 0 < len(text) <= MAX_NAME and text.isprintable() else None


def _unpacking(content: Content) -> Callable[[Any], bytes]:
    match content.as_:
        case "base64":  # the decoder did it
            return lambda raw: raw
        case "json":
            return _json
        case "text":
            return str.encode
        case "hex":
            return _hex


def _json(raw: msgspec.Raw) -> bytes:
    found = bytes(raw)
    return b"" if found == b"null" else found


def _hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise PoisonError("bad_value", "the payload inside is not hexadecimal") from None
