"""Examples inside a profile: a payload, where it comes from, exactly what it means, and whether that holds."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Self

import msgspec
from pydantic import Field, model_validator

from hub.catalogue import DottedName, Name, Words
from hub.errors import PoisonError
from hub.model import Handler, Reading, Scalar


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


class Example(Words):
    """A payload, where it comes from, and exactly what it means; what is not written is expected to be empty."""

    name: Annotated[str, Field(min_length=1)]
    source: Annotated[str, Field(min_length=1)]
    payload: ExamplePayload
    expect: dict[Name, Scalar] = Field(default_factory=dict)
    expect_signals: tuple[ExampleSignal, ...] = ()
    expect_part: str | None = None
    expect_time: str | None = None
    expect_identity: str | None = None
    expect_backfill: bool = False
    expect_critical: bool = False
    expect_bad: tuple[Name, ...] = ()
    expect_error: str | None = None


def example_bytes(example: Example) -> bytes:
    """Return the payload of an example as a device would send it."""
    payload = example.payload
    if payload.hex is not None:
        return bytes.fromhex(payload.hex)
    if payload.b64 is not None:
        return base64.b64decode(payload.b64, validate=True)
    return payload.text.encode() if payload.text is not None else msgspec.json.encode(payload.json_)


def check_example(handler: Handler, example: Example) -> list[str]:
    """Return what differs, a sentence each; nothing when the example holds."""
    try:
        readings = handler(example_bytes(example))
    except PoisonError as error:
        return [] if error.code == example.expect_error else [f"error: expected {example.expect_error}, got {error}"]
    if example.expect_error is not None:
        return [f"error: expected {example.expect_error}, got {len(readings)} readings"]
    if len(readings) != 1:
        return [f"readings: expected 1, got {len(readings)}"]
    return [
        f"{what}: expected {expected!r}, got {actual!r}"
        for what, expected, actual in _comparisons(example, readings[0])
        if expected != actual
    ]


def _comparisons(example: Example, reading: Reading) -> Sequence[tuple[str, object, object]]:
    signals = [(signal.name, signal.data) for signal in example.expect_signals]
    return (
        ("values", example.expect, reading.values),
        ("signals", signals, [(signal.name, signal.data) for signal in reading.signals]),
        ("part", example.expect_part, reading.part),
        ("time", _nanoseconds(example.expect_time), reading.measured_at),
        ("identity", example.expect_identity, reading.identity),
        ("backfill", example.expect_backfill, reading.backfill),
        ("critical", example.expect_critical, reading.critical),
        ("bad", set(example.expect_bad), set(reading.bad)),
    )


def _nanoseconds(text: str | None) -> int | None:
    return None if text is None else round(datetime.fromisoformat(text).timestamp() * 1_000) * 1_000_000
