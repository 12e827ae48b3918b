"""Examples inside a profile: a payload, where it comes from, exactly what it means, and whether that holds."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Self

import msgspec
from pydantic import Field, model_validator

from hub.catalogue import DottedName, Name, Words
from hub.errors import PoisonError
from hub.model.heard import Handler, Reading
from hub.model.values import Scalar
from hub.normalize.responses import Response

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ExamplePayload(Words):
    """The bytes of an example, in the writing that reads best."""

    hex: Annotated[str, Field(pattern=r"^([0-9a-fA-F]{2})*$")] | None = None
    b64: str | None = None
    text: str | None = None
    json_: Annotated[object, Field(alias="json")] = None

    @model_validator(mode="after")
    def _has_one_writing(self) -> Self:
        if len(self.model_fields_set) != 1:
            message = "write the payload once: hex, b64, text or json"
            raise ValueError(message)
        return self


class ExampleSignal(Words):
    """A signal that an example expects, with exactly this data."""

    name: DottedName
    data: dict[Name, Scalar] = Field(default_factory=dict)


class Expectation(Words):
    """Exactly what one reading is; what is not written is expected to be empty."""

    expect: dict[Name, Scalar] = Field(default_factory=dict)
    expect_signals: tuple[ExampleSignal, ...] = ()
    expect_part: str | None = None
    expect_time: str | None = None
    expect_identity: str | None = None
    expect_backfill: bool = False
    expect_critical: bool = False
    expect_bad: tuple[Name, ...] = ()


class ExpectedReply(Words):
    """Which command an answer is about, whether the device did it, and its code."""

    id: str
    ok: bool
    code: str = ""


class Example(Expectation):
    """A payload, where it comes from, and exactly what it means.

    A payload with several readings lists them in ``readings``. ``params`` are those of the device that sent it,
    ``port`` what its network said beside. ``expect_partial``: a tail or a block could not be read, and was counted.
    ``expect_reply``: it also answers a command (or nothing else: then ``expect_error: unmatched`` goes with it).
    """

    name: Annotated[str, Field(min_length=1)]
    source: Annotated[str, Field(min_length=1)]
    payload: ExamplePayload
    port: int | None = None
    params: dict[Name, Scalar] = Field(default_factory=dict)
    readings: tuple[Expectation, ...] = ()
    expect_partial: bool = False
    expect_error: str | None = None
    expect_reply: ExpectedReply | None = None

    @model_validator(mode="after")
    def _expects_once(self) -> Self:
        alone = self.model_fields_set & set(Expectation.model_fields)
        if self.readings and alone:
            message = "write what is expected in readings, or outside, not both"
            raise ValueError(message)
        return self


def example_bytes(example: Example) -> bytes:
    """Return the payload of an example as a device would send it."""
    return payload_bytes(example.payload)


def payload_bytes(payload: ExamplePayload) -> bytes:
    """Return the bytes that an example writes down."""
    if payload.hex is not None:
        return bytes.fromhex(payload.hex)
    if payload.b64 is not None:
        return base64.b64decode(payload.b64, validate=True)
    return payload.text.encode() if payload.text is not None else msgspec.json.encode(payload.json_)


def check_example(handler: Handler, example: Example) -> list[str]:
    """Return what differs, a sentence each; nothing when the example holds."""
    counted = getattr(handler, "partials", 0)
    try:
        payload = example_bytes(example)
        readings = handler(payload) if example.port is None else handler(payload, example.port)  # type: ignore[call-arg]
    except PoisonError as error:
        return [] if error.code == example.expect_error else [f"error: expected {example.expect_error}, got {error}"]
    if example.expect_error is not None:
        return [f"error: expected {example.expect_error}, got {len(readings)} readings"]
    is_partial = getattr(handler, "partials", 0) > counted
    if is_partial != example.expect_partial:
        return [f"partial: expected {example.expect_partial}, got {is_partial}"]
    wanted = example.readings or (example,)
    if len(readings) != len(wanted):
        return [f"readings: expected {len(wanted)}, got {len(readings)}"]
    return [
        f"{_numbered(what, index, len(wanted))}: expected {_shown(what, expected)}, got {_shown(what, actual)}"
        for index, (each, reading) in enumerate(zip(wanted, readings, strict=True))
        for what, expected, actual in _comparisons(each, reading)
        if expected != actual
    ]


def check_reply(read: Callable[[bytes], Response | None] | None, example: Example) -> list[str]:
    """Return what differs from the answer that the example is said to be; ``read`` is what the profile reads it by."""
    wanted = example.expect_reply
    if wanted is None:
        return []
    if read is None:
        return ["reply: the profile does not say how an answer is recognised"]
    try:
        found = read(example_bytes(example))
    except PoisonError as error:
        return [f"reply: expected {wanted!r}, got {error}"]
    if found is None:
        return [f"reply: expected {wanted!r}, got no answer: its match does not fit"]
    pairs = [("id", wanted.id, found.id), ("ok", wanted.ok, found.ok), ("code", wanted.code, found.code)]
    return [f"reply {what}: expected {one!r}, got {other!r}" for what, one, other in pairs if one != other]


def expectations(example: Example) -> Sequence[Expectation]:
    """Return what each reading of an example is expected to be; none for one that expects an error."""
    return () if example.expect_error is not None else example.readings or (example,)


def unreadable(payload: ExamplePayload, moments: Sequence[str | None]) -> Iterator[str]:
    """Yield what is wrong with how an example is written; the hub itself never reads it, so only people are told."""
    if payload.b64 is not None:
        try:
            payload_bytes(payload)
        except ValueError:
            yield "payload: no base64"
    for moment in moments:
        try:
            _nanoseconds(moment)
        except (TypeError, ValueError):
            yield f"{moment!r} is no moment with its zone, such as 2026-03-01T08:00:00+08:00"


def _numbered(what: str, index: int, count: int) -> str:
    return what if count == 1 else f"reading {index} {what}"


def _shown(what: str, value: Any) -> str:  # noqa: ANN401 -- whatever is compared
    if what == "time" and value is not None:
        return (_EPOCH + timedelta(microseconds=value // 1_000)).isoformat()
    return repr(value)


def _apart(one: dict[str, Scalar], other: dict[str, Scalar]) -> dict[str, Scalar]:
    """Return what ``one`` says and ``other`` does not: of eight values people look for the one that is wrong."""
    return {name: value for name, value in one.items() if name not in other or other[name] != value}


def _comparisons(example: Expectation, reading: Reading) -> Sequence[tuple[str, object, object]]:
    signals = [(signal.name, signal.data) for signal in example.expect_signals]
    return (
        ("values", _apart(example.expect, reading.values), _apart(reading.values, example.expect)),
        ("signals", signals, [(signal.name, signal.data) for signal in reading.signals]),
        ("part", example.expect_part, reading.part),
        ("time", _nanoseconds(example.expect_time), reading.measured_at),
        ("identity", example.expect_identity, reading.identity),
        ("backfill", example.expect_backfill, reading.backfill),
        ("critical", example.expect_critical, reading.critical),
        ("bad", set(example.expect_bad), set(reading.bad)),
    )


def _nanoseconds(text: str | None) -> int | None:
    if text is None:
        return None
    return (datetime.fromisoformat(text) - _EPOCH) // timedelta(microseconds=1) * 1_000
