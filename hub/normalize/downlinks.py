"""What goes to a foreign device: commands in the form that its maker chose, and what its answers mean."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, Self

import msgspec
from pydantic import Field, model_validator
from typing_extensions import override

from hub.catalogue import Kind, Type, Typed, Words
from hub.durations import read_duration
from hub.errors import ConfigError, PoisonError
from hub.model.values import Scalar
from hub.normalize.codecs.frames import CHECKSUMS, checksum
from hub.normalize.encode import encode_command, writer_into, written
from hub.normalize.sources import Condition, Paths, PathSource

ID, PART, EXPIRES_AT, SENT_AT = "id", "part", "expires_at", "sent_at"
OWN = (ID, PART, EXPIRES_AT, SENT_AT)
"""What every command has besides its arguments: times in wall-clock ms, of the part its number."""

_PLAIN = r"\{(?P<name>[a-z][a-z0-9_]*)(?:\.(?P<unit>ms|s|min|h|iso))?"
_LAYOUT = r":(?P<layout>u8|i8|[ui]16le|[ui]16be|u32le|u32be|text)"
_HOLE = re.compile(rf"{_PLAIN}(?:{_LAYOUT})?\}}")
_HEX_HOLE = re.compile(rf"{_PLAIN}(?:{_LAYOUT}| from (?P<start>[0-9]+))?\}}")
_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "min": timedelta(minutes=1),
    "h": timedelta(hours=1),
}
_TEXT = "text"
_SIZES = {"u8": 1, "i8": 1, "u16le": 2, "u16be": 2, "i16le": 2, "i16be": 2, "u32le": 4, "u32be": 4}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOMENTS = (SENT_AT, EXPIRES_AT)
_NUMBER = re.compile(r"[0-9]+$")

Held = Mapping[str, Scalar | timedelta]
Fill = Callable[[Held], object]
Part = Callable[[Held, bytes], bytes]
"""A piece of a frame, which may depend on the bytes before it."""


class Downlink(Words):
    """One command as the device wants it: ``json``, ``text`` or ``hex``, for ``port`` where the network has ports.

    Or ``native``: an adapter before it speaks the hub's own form.

    ``{name}`` stands for an argument, a parameter of the installation, or ``id``, ``part`` (its number), ``sent_at``
    and ``expires_at`` (ms; ``{sent_at.iso}`` is ISO 8601 in UTC, ``{sent_at.s}`` seconds). A JSON text that is nothing
    but one hole becomes the value itself, with ``:text`` its text. A duration names its unit, ``{ttl.s}`` (what is less
    than one is one: 0 would say something else); a number in hex its layout, ``{ttl.s:u16le}``, and
    ``{crc16_modbus}`` (``crc16_ccitt``, ``xor8``, ``sum8``, ``sum8_zero``) is the checksum of all bytes before it,
    ``{sum8 from 2}`` of those from the third on. An argument that nobody said is the parameter of its name. ``confirm``
    is what this model reports when it is done, where that is not what its kind asks; false: nothing that it reports
    ever shows it, and its own word is the last.
    """

    json_: Annotated[object, Field(alias="json")] = None
    text: str | None = None
    hex_: Annotated[str | None, Field(alias="hex")] = None
    native: Literal[True] | None = None
    port: Annotated[int | None, Field(ge=1, le=255)] = None
    confirm: Annotated[str, Field(min_length=1)] | Literal[False] | None = None

    @model_validator(mode="after")
    def _has_one_writing(self) -> Self:
        if len(self.model_fields_set & {"json_", "text", "hex_", "native"}) != 1:
            message = "write a command once: json, text, hex, or native: true"
            raise ValueError(message)
        return self


class Reply(Words):
    """How an answer to a command is recognised: its ``id`` (first present), whether it says ``ok``, and a ``code``."""

    match: Condition | None = None
    id: Paths
    ok: PathSource
    code: PathSource | None = None


class CompiledCommand:
    """Encodes one command. Raises ConfigError when it is prepared.

    For a message PoisonError ``bad_args``: what nobody said, or what does not fit, leaves as no other value.
    ``parts``: to the whole it is one to each, where its maker has none to all; ``longest`` span of an argument.
    """

    __slots__ = ("_fill", "longest", "parts", "port")

    def __init__(
        self, fill: Callable[[Held], bytes], port: int | None, parts: tuple[str, ...], longest: Mapping[str, timedelta]
    ) -> None:
        self._fill = fill
        self.port = port
        self.parts = parts
        self.longest = longest

    def __call__(  # noqa: PLR0913 -- each is a word on the wire
        self,
        *,
        id: str,  # noqa: A002 -- the word on the wire
        part: str,
        args: Held,
        sent_at: int,
        expires_at: int,
        drill: bool = False,  # noqa: ARG002 -- makers know no drills
    ) -> bytes:
        """Return the bytes for the device; both times are wall-clock ms."""
        own: Held = {ID: id, SENT_AT: sent_at, EXPIRES_AT: expires_at}
        number = _NUMBER.search(part)
        if number or not part:
            own = {**own, PART: int(number[0]) if number else 0}
        try:
            return self._fill({**args, **own})
        except KeyError as error:
            said = f"the name {part!r} of the part has no number" if error.args[0] == PART else "nobody said it"
            raise PoisonError("bad_args", f"the device wants {error.args[0]}, and {said}") from None


class NativeCommand(CompiledCommand):
    """Encodes one command in the hub's own form."""

    __slots__ = ("_name",)

    def __init__(self, name: str, port: int | None) -> None:
        super().__init__(lambda _held: b"", port, (), {})
        self._name = name

    @override
    def __call__(
        self,
        *,
        id: str,
        part: str,
        args: Held,
        sent_at: int,
        expires_at: int,
        drill: bool = False,
    ) -> bytes:
        return encode_command(id=id, command=self._name, part=part, args=args, expires_at=expires_at, drill=drill)


def compile_commands(
    downlinks: Mapping[str, Downlink], kind: Kind, params: Mapping[str, Scalar], whole: tuple[str, ...] = ()
) -> Mapping[str, CompiledCommand]:
    """Return the encoding of each command; ConfigError for one that the kind does not have, or a hole without value."""
    compiled: dict[str, CompiledCommand] = {}
    for name, words in downlinks.items():
        if name not in kind.commands:
            hint, path = ", ".join(kind.commands) or "none", ("commands", name)
            raise ConfigError("unknown_command", f"a {kind.kind} has no command {name!r}", hint=hint, path=path)
        if words.native:
            compiled[name] = NativeCommand(name, words.port)
            continue
        try:
            told = _Holes(kind.commands[name].args, params)
            parts = whole if PART in holes(words) else ()
            compiled[name] = CompiledCommand(_writing(words, told), words.port, parts, told.longest)
        except ConfigError as error:
            error.fields.setdefault("path", ("commands", name))
            raise
    return compiled


def holes(words: Downlink) -> frozenset[str]:
    """Return the names of everything that a command is filled with."""
    texts = _texts([words.hex_, words.text, words.json_])
    return frozenset(match["name"] for text in texts for match in _HOLE.finditer(text))


def _texts(template: object) -> Iterator[str]:
    if isinstance(template, str):
        yield template
    elif isinstance(template, Mapping | list | tuple):
        for value in template.values() if isinstance(template, Mapping) else template:
            yield from _texts(value)


def misfits(words: Downlink, args: Mapping[str, Typed], params: Mapping[str, Scalar]) -> Iterator[tuple[str, str]]:
    """Yield why a command in hex can never leave, and a hint; to be told to its author, and nothing to stop a hub."""
    for match in _HOLE.finditer(words.hex_ or ""):
        name, typed = match["name"], args.get(match["name"])
        is_text = isinstance(params.get(name), str) if typed is None else typed.type in {Type.STRING, Type.ENUM}
        if match["layout"] and (is_text or name == ID):
            yield f"{match[0]}: {name} is a text, and no number", "it fails with bad_args"
        elif match["layout"] and name in _MOMENTS and match["unit"] != "s":
            yield f"{match[0]}: ms are too large for it, seconds are not", f"{{{name}.s:u32be}}"


def _writing(words: Downlink, holes: _Holes) -> Callable[[Held], bytes]:
    if words.hex_ is not None:
        return holes.hex(words.hex_)
    if words.text is not None:
        text = holes.text(words.text, writer_into(words.text))
        return lambda held: str(text(held)).encode()
    tree = holes.tree(words.json_)
    return lambda held: msgspec.json.encode(tree(held))


class _Holes:
    """Templates to what fills them."""

    def __init__(self, args: Mapping[str, Typed], params: Mapping[str, Scalar]) -> None:
        self._args = args
        self._params = params
        self.longest: dict[str, timedelta] = {}

    def tree(self, template: object) -> Fill:
        """Return what fills a tree of JSON."""
        if isinstance(template, str):
            whole = _HOLE.fullmatch(template)
            return self._value(whole) if whole and whole["layout"] != _TEXT else self.text(template)
        if isinstance(template, Mapping):
            fields = {key: self.tree(value) for key, value in template.items()}
            return lambda held: {key: fill(held) for key, fill in fields.items()}
        if isinstance(template, list | tuple):
            items = [self.tree(value) for value in template]
            return lambda held: [fill(held) for fill in items]
        return lambda _: template

    def text(self, template: str, write: Callable[[object], str] = written) -> Fill:
        """Return what fills a text."""
        fills = {match[0]: self._value(match) for match in _HOLE.finditer(template)}
        return lambda held: _HOLE.sub(lambda match: write(fills[match[0]](held)), template)

    def hex(self, template: str) -> Callable[[Held], bytes]:
        """Return what fills hexadecimal bytes."""
        parts: list[Part] = []
        position = 0
        for match in _HEX_HOLE.finditer(template):
            is_sum = match["name"] in CHECKSUMS and not (match["unit"] or match["layout"])
            parts.append(self._constant(template[position : match.start()]))
            parts.append(_sum_of(match["name"], int(match["start"] or 0)) if is_sum else self._number(match))
            position = match.end()
        parts.append(self._constant(template[position:]))

        def fill(held: Held) -> bytes:
            data = b""
            for part in parts:
                data += part(held, data)
            return data

        return fill

    def _constant(self, text: str) -> Part:
        try:
            data = bytes.fromhex(text)
        except ValueError:
            raise ConfigError("bad_template", f"{text!r} is not hexadecimal") from None
        return lambda _held, _before: data

    def _number(self, match: re.Match[str]) -> Part:
        """Return the bytes of a number; a span that its layout cannot hold is cut to the longest, nothing else is."""
        layout, name = match["layout"], match["name"]
        if layout not in _SIZES:
            raise ConfigError("bad_template", f"{match[0]} in hex names its layout, such as :u8")
        value = self._value(match)
        size, is_signed = _SIZES[layout], layout.startswith("i")
        order: Literal["little", "big"] = "big" if layout.endswith("be") else "little"
        lowest, largest = (-1 << 8 * size - 1, (1 << 8 * size - 1) - 1) if is_signed else (0, (1 << 8 * size) - 1)
        is_span = name in self._args and self._args[name].type is Type.DURATION
        if is_span:
            self.longest[name] = min(largest * _UNITS[match["unit"]], self.longest.get(name, timedelta.max))

        def fill(held: Held, _before: bytes) -> bytes:
            number = value(held)
            if not isinstance(number, int | float) or number % 1:
                raise PoisonError("bad_args", f"{name} is {number!r}, and the device wants a whole number")
            whole = min(int(number), largest) if is_span else int(number)
            if not lowest <= whole <= largest:
                raise PoisonError("bad_args", f"{name} is {whole}, and the device takes {lowest} to {largest}")
            return whole.to_bytes(size, order, signed=is_signed)

        return fill

    def _value(self, match: re.Match[str]) -> Fill:
        name, unit = match["name"], match["unit"]
        typed = self._args.get(name)
        if unit in {"iso", "s"} and typed is None and name in _MOMENTS:
            return (lambda held: _iso(held[name])) if unit == "iso" else (lambda held: _seconds(held[name]))
        if (unit is not None) != (typed is not None and typed.type is Type.DURATION):
            raise ConfigError("bad_template", f"{match[0]}: a duration names its unit (.s), and nothing else does")
        if typed is None and name not in self._params and name not in OWN:
            known = ", ".join([*self._args, *self._params, *OWN])
            raise ConfigError("bad_template", f"there is no {name!r} to fill in", hint=f"known: {known}")
        if unit is not None:
            step = _UNITS.get(unit, _UNITS["s"])
            if name not in self._params:
                return lambda held: _in_steps(held[name], step)
            span = self._params[name]
            return lambda held: _in_steps(held[name] if name in held else _span(name, span), step)
        if name not in self._params:
            return lambda held: held[name]
        fixed = self._params[name]
        return (lambda _: fixed) if typed is None else lambda held: held.get(name, fixed)


def _sum_of(name: str, start: int) -> Part:
    return lambda _held, before: checksum(name, before[start:])


def _in_steps(value: object, step: timedelta) -> int:
    """Return how many whole steps ``value`` has; of less than one, one."""
    if not isinstance(value, timedelta):
        return 0
    return value // step or int(value > timedelta())


def _span(name: str, said: Scalar) -> timedelta:
    try:
        return read_duration(said)
    except ValueError as error:
        raise PoisonError("bad_args", f"the parameter {name}: {error}") from error


def _seconds(milliseconds: object) -> int:
    return milliseconds // 1000 if isinstance(milliseconds, int) else 0


def _iso(milliseconds: object) -> str:
    moment = _EPOCH + timedelta(milliseconds=milliseconds if isinstance(milliseconds, int) else 0)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
