"""What stands in the envelopes of a foreign network: paths become one typed decoding, and that an Envelope."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from enum import StrEnum
from operator import attrgetter
from typing import Any

import msgspec

from hub.errors import ConfigError, PoisonError
from hub.normalize.limits import MANY_KEYS, MAX_DEPTH, check_json, json_error, loosely
from hub.normalize.places import are_names, path_steps

MAX_NAME = 128
"""Characters of a network's name for a device, a message or a command."""
_SURELY_SHALLOW = 16 * MAX_DEPTH
_SURELY_FEW_KEYS = 5 * MANY_KEYS


class EnvelopeClass(StrEnum):
    """What a stream carries.

    A receipt is the network's word on a command; a directory the list of its devices; ``network`` whether the network
    itself is there.
    """

    TELEMETRY = "telemetry"
    SIGNAL = "signal"
    RESPONSE = "response"
    AVAILABILITY = "availability"
    HEARTBEAT = "heartbeat"
    RECEIPT = "receipt"
    DIRECTORY = "directory"
    NETWORK = "network"


class Envelope(msgspec.Struct, frozen=True, gc=False):
    """One message without its envelope.

    ``payload`` is what the device said; None = it was heard, and said nothing. ``device`` is the network's name of it
    where the payload says it (elsewhere the topic does), ``dedupe`` the network's id of the message, ``measured_at``
    when the network heard it, ``command`` the network's id of the command it is about, ``state`` what an availability,
    a network or a receipt says, ``says`` other words of the network on the device. ``refused`` is the (code, message)
    of what is wrong with one that was read loosely: nothing but an alarm is let through of it.
    """

    payload: bytes | None
    port: int | None = None
    dedupe: str | None = None
    measured_at: int | None = None
    device: str = ""
    command: str = ""
    state: str = ""
    says: Mapping[str, str] | None = None
    refused: tuple[str, str] | None = None


Row = Sequence[Any]
Path = tuple[str, ...]
Slot = tuple[int, int]


class Paths:
    """The paths that one stream asks for; each is a slot of a row, None (a Raw: empty) where the message has nothing.

    Two that lie in each other (``a`` as it is and ``a.b``) cannot be fields of one struct: then there are two.
    """

    def __init__(self) -> None:
        self._slots: dict[tuple[Path, Any], Slot] = {}
        self._groups: list[dict[Path, Any]] = []

    def slot(self, words: str, kind: Any) -> Slot:  # noqa: ANN401 -- a type, a union of them included
        """Return (group, index) of the value of type ``kind`` behind a dotted path; ConfigError ``bad_place``."""
        path = path_steps(words)
        if not are_names(path):
            raise ConfigError("bad_place", f"{words!r} is no path", hint="write path: outer.inner")
        known = self._slots.get((path, kind))
        if known is not None:
            return known
        fitting = (index for index, group in enumerate(self._groups) if not any(_clash(path, other) for other in group))
        index = next(fitting, len(self._groups))
        if index == len(self._groups):
            self._groups.append({})
        self._groups[index][path] = kind
        return self._slots.setdefault((path, kind), (index, len(self._groups[index]) - 1))

    def compile(self) -> tuple[Callable[[bytes], Row], Callable[[Slot], int]]:
        """Return the decoding, and where in its row a slot stands.

        PoisonErrors are ``bad_json``, ``bad_value``, ``too_deep`` and ``too_many_keys``. 1.1 us for an uplink of
        ChirpStack with two gateways (1.3 kB), base64 included.
        """
        starts = [sum(len(group) + 1 for group in self._groups[:index]) for index in range(len(self._groups))]
        readers = [_reader(group) for group in self._groups]

        def decode(data: bytes) -> Row:
            _check(data)
            try:
                if len(readers) == 1:
                    return readers[0](data)
                return [value for read in readers for value in read(data)]
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise json_error(error) from None

        return decode, lambda slot: starts[slot[0]] + slot[1]

    def compile_loosely(self, needed: Collection[Slot]) -> Callable[[bytes, PoisonError], Row]:
        """Return the decoding of what the other one refuses, with which it raises that refusal after all.

        Nothing is in a slot whose value is not of its type; it raises where that is one of those ``needed``.
        """
        wanted = [
            (path, kind, (number, index) in needed)
            for number, group in enumerate(self._groups)
            for index, (path, kind) in enumerate([*group.items(), *[*group.items()][:1]])
        ]

        def decode(data: bytes, refusal: PoisonError) -> Row:
            document = loosely(data, refusal) if refusal.code in _FORMS else None
            if not isinstance(document, dict):
                raise refusal
            return [_typed(_found(document, path), kind, refusal if must else None) for path, kind, must in wanted]

        return decode


_FORMS = {"bad_json", "bad_value"}
"""Refusals of how something is written; too much of it stays too much."""


def _found(document: object, path: Path) -> object:
    for step in path:
        document = document.get(step) if isinstance(document, dict) else None
    return document


def _typed(value: object, kind: Any, refusal: PoisonError | None) -> Any:  # noqa: ANN401 -- a type, and one of it
    if value is None:
        return msgspec.Raw() if kind is msgspec.Raw else None
    written = json.dumps(value).encode()
    if kind is msgspec.Raw:
        return msgspec.Raw(written)
    try:
        return msgspec.json.decode(written, type=kind)
    except (msgspec.DecodeError, UnicodeError):
        if refusal is not None:
            raise refusal from None
        return None


def _check(data: bytes) -> None:
    """Bound depth and number of keys.

    An uplink that twenty gateways heard has more brackets and keys than a device may send; all but a few are skipped,
    so that only what could exhaust the decoder's stack is counted exactly.
    """
    size = len(data)
    if size > _SURELY_SHALLOW and (data.count(b"{") + data.count(b"[") > _SURELY_SHALLOW or size > _SURELY_FEW_KEYS):
        check_json(data, MANY_KEYS)


def _clash(one: Path, other: Path) -> bool:
    short = min(len(one), len(other))
    return one[:short] == other[:short]


def _reader(group: dict[Path, Any]) -> Callable[[bytes], Row]:
    getters: dict[Path, str] = {}
    model = _struct(group, (), getters)
    read_json = msgspec.json.Decoder(model).decode
    names = [getters[path] for path in group]
    names.append(names[0])  # of a single name attrgetter would not return a tuple
    get = attrgetter(*names)

    def read(data: bytes) -> Row:
        document = read_json(data)
        try:
            return get(document)
        except AttributeError:  # an object on the way is null or not there
            return tuple(_reach(document, name) for name in names)

    return read


def _struct(group: dict[Path, Any], at: Path, getters: dict[Path, str]) -> type[msgspec.Struct]:
    depth = len(at)
    steps = dict.fromkeys(path[depth] for path in group if path[:depth] == at)
    fields: list[tuple[str, Any, Any]] = []
    for index, step in enumerate(steps):
        path = (*at, step)
        prefix = getters.get(at, "")
        getters[path] = f"{prefix}.f{index}" if prefix else f"f{index}"
        kind = group[path] if path in group else _struct(group, path, getters)
        fields.append((f"f{index}", kind, msgspec.Raw()) if kind is msgspec.Raw else (f"f{index}", kind | None, None))
    names = {f"f{index}": step for index, step in enumerate(steps)}
    return msgspec.defstruct("Wanted", fields, rename=names, gc=False)


def _reach(document: object, getter: str) -> object:
    for name in getter.split("."):
        document = getattr(document, name, None)
    return document


def named(value: str | int) -> str:
    """Return a network's name for something as text; PoisonError ``bad_name`` for one that nobody could write down."""
    text = value if isinstance(value, str) else str(value)
    if not text or len(text) > MAX_NAME or not text.isprintable():
        raise PoisonError("bad_name", f"a name has 1 to {MAX_NAME} printable characters")
    return text
