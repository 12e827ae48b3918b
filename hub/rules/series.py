"""Series: what a device says again and again, written in one line as Prometheus' tests do; text to moments; pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta

from hub.durations import read_duration, write_duration
from hub.model.values import Scalar

MOST = 100_000
"""How many moments one series may have."""
_KEY = re.compile(r"(?:(?P<device>[a-z][a-z0-9_]*(?:-\d+)?)?(?:#(?P<part>[a-z0-9_-]+))? )?(?P<name>[a-z0-9_.]+)")
_TIMES = re.compile(r"(?P<value>\S+?)x(?P<times>[1-9]\d{0,5})")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_STEPS = re.compile(rf"(?P<first>{_NUMBER.pattern})(?P<step>[+-]\d+(?:\.\d+)?)")
_NOTHING = "_"
_HOW = "write values with a step: '0.2x30 @1s', 'open closedx3 _x10 @5s', '0+10x6 @1m'"

Moment = dict[str, object]
"""A step of a test as YAML writes it: at, and device, part, values or signal."""


def moments_of(given: Mapping[str, object]) -> list[Moment]:
    """Return the steps that ``given`` comes to: what one device or part says at one moment is one message.

    A key is a property, or a signal (its name has a dot; ``1`` says it), after a device and ``#part`` where it is not
    the device under test: ``smoke_sensor-2 status``, ``#door-1 door``. ValueError says what cannot be read.
    """
    found: dict[timedelta, dict[tuple[object, ...], Moment]] = {}
    end = timedelta(0)
    for key, said in given.items():
        named = _KEY.fullmatch(key)
        if named is None:
            message = f"{key!r} is not: [DEVICE][#PART] PROPERTY, such as 'smoke_sensor-2 status' or '#door-1 door'"
            raise ValueError(message)
        samples, step = _read(key, said)
        end = max(end, step * (len(samples) - 1))
        for index, value in enumerate(samples):
            if value != _NOTHING:
                _say(found.setdefault(step * index, {}), named, value)
    spoken = [{"at": write_duration(at), **each} for at in sorted(found) for each in found[at].values()]
    return [*spoken, {"at": write_duration(end)}]


def _say(here: dict[tuple[object, ...], Moment], named: re.Match[str], value: Scalar) -> None:
    who: Moment = {word: named[word] for word in ("device", "part") if named[word]}
    name = named["name"]
    if "." in name:
        here.setdefault((named["device"], named["part"], name), {**who, "signal": name})
        return
    said = here.setdefault((named["device"], named["part"]), {**who, "values": {}})
    said["values"] = {**_mapping(said["values"]), name: value}


def _mapping(words: object) -> dict[str, object]:
    return dict(words) if isinstance(words, dict) else {}


def _read(key: str, said: object) -> tuple[list[Scalar], timedelta]:
    if isinstance(said, bool | int | float):
        return [said], timedelta(0)
    if not isinstance(said, str) or not said.strip():
        message = f"{key}: {said!r} is no series; {_HOW}"
        raise ValueError(message)
    text, at, step = said.partition("@")
    samples = [value for word in text.split() for value in _samples(word)]
    if len(samples) > MOST:
        message = f"{key}: {len(samples)} moments are more than {MOST}"
        raise ValueError(message)
    if not samples or (len(samples) > 1 and not at):
        message = f"{key}: {said!r} does not say how far apart; {_HOW}"
        raise ValueError(message)
    length = read_duration(step.strip()) if at else timedelta(0)
    if len(samples) > 1 and not length:
        message = f"{key}: a step is longer than nothing; {_HOW}"
        raise ValueError(message)
    return samples, length


def _samples(word: str) -> Iterator[Scalar]:
    repeated = _TIMES.fullmatch(word)
    value, times = (repeated["value"], int(repeated["times"])) if repeated else (word, 1)
    running = _STEPS.fullmatch(value) if repeated else None
    if running is None:
        yield from [_scalar(value)] * times
        return
    first, step = _scalar(running["first"]), _scalar(running["step"].removeprefix("+"))
    for index in range(times):
        yield (
            round(float(first) + index * float(step), 9)
            if _is_fraction(first, step)
            else int(first) + index * int(step)
        )


def _is_fraction(*numbers: Scalar) -> bool:
    return any(isinstance(number, float) for number in numbers)


def _scalar(word: str) -> Scalar:
    if word in {"true", "false"}:
        return word == "true"
    if _NUMBER.fullmatch(word):
        return float(word) if "." in word else int(word)
    return word
