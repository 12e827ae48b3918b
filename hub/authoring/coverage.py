"""What no example of a profile touches: messages, properties, signals, values of tables, flags, commands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from hub.authoring.marks import Mark, Use
from hub.authoring.trace import Trace
from hub.model.values import Scalar
from hub.normalize.fields import both_forms
from hub.normalize.profile import Profile, Shape
from hub.normalize.slots import Path
from hub.normalize.sources import Meaning, each_of

_LISTED = 12


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that the profile says and no example shows; ``path`` leads to it in the profile."""

    path: Path
    what: str


def unsent(profile: Profile) -> list[str]:
    """Return the commands that the profile can say and no example sends."""
    sent = {example.command for example in profile.sends}
    return [name for name in profile.commands if name not in sent]


def gaps(profile: Profile, traces: Sequence[Trace]) -> Iterator[Gap]:
    """Yield what the payloads of ``traces`` do not touch, and what nothing of ``sends`` says."""
    yield from (Gap(("commands", name), f"{name} is sent in no example") for name in unsent(profile))
    said = {name for seen in traces for reading in seen.readings for name in reading.values}
    said |= {signal.name for seen in traces for reading in seen.readings for signal in reading.signals}
    fitted = {index for seen in traces if seen.error is None for index in seen.shapes}
    marks = [mark for seen in traces if seen.error is None for mark in seen.marks]
    for index, shape in enumerate(profile.shapes):
        above: Path = ("messages", index) if profile.messages else ()
        if profile.messages and index not in fitted:
            yield Gap(above, f"message {index + 1} fits no example")
            continue
        for name in (*shape.names, *shape.signals):
            if name not in said:
                yield Gap((*above, *_place(shape, name)), f"{name} is in no example")
        yield from _values(shape, above, marks)
        yield from _flags(shape, above, traces)


def _place(shape: Shape, name: str) -> Path:
    if name in shape.properties:
        return ("properties", name)
    if name in shape.signals:
        return ("signals", name)
    return next((("channels", key, name) for key, fields in shape.channels.items() if name in fields), ("flags",))


def _values(shape: Shape, above: Path, marks: Sequence[Mark]) -> Iterator[Gap]:
    """Yield the entries of tables that nothing was looked up in."""
    for path, source in _tables(shape):
        if source.values is None or source.take is not None:
            continue
        seen = {mark.raw for mark in marks if mark.path == (*above, *path) and isinstance(mark.raw, int | float | str)}
        missing = [key for key in source.values if not both_forms((key,)) & seen]
        if missing and seen:
            more = f" and {len(missing) - _LISTED} more" if len(missing) > _LISTED else ""
            listed = ", ".join(missing[:_LISTED])
            yield Gap((*above, *path), f"{path[-1]}: no example has {listed}{more} of {len(source.values)} values")


def _tables(shape: Shape) -> Iterator[tuple[Path, Meaning]]:
    for name, sources in shape.properties.items():
        yield from ((("properties", name), source) for source in each_of(sources))
    for channel, fields in shape.channels.items():
        yield from ((("channels", channel, name), field) for name, field in fields.items())
    for signal, words in shape.signals.items():
        yield from ((("signals", signal, "data", key), source) for key, source in words.data.items())


def _flags(shape: Shape, above: Path, traces: Sequence[Trace]) -> Iterator[Gap]:
    for number, words in enumerate(shape.flags):
        held: Mapping[str, set[Scalar]] = {name: set() for name in words.properties}
        for mark in (mark for seen in traces if seen.error is None for mark in seen.marks):
            if mark.use is Use.FLAG and mark.name in held and mark.value is not None:
                held[mark.name].add(mark.value)
        never = [name for name, values in held.items() if True not in values]
        if never:
            yield Gap((*above, "flags", number), f"flags never true in an example: {', '.join(never)}")
