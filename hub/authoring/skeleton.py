"""A profile that somebody begins: captured payloads as YAML with examples, likely fields, a TODO per doubt; pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

import orjson
from pydantic import ValidationError

from hub.authoring.anatomy import Anatomy
from hub.authoring.leaves import Leaf
from hub.authoring.supposing import supposed
from hub.catalogue import NUMBERS, Kind, Property, Type
from hub.errors import ConfigError, PoisonError
from hub.model.values import Scalar
from hub.normalize.codecs.frames import compile_frame
from hub.normalize.compile import compile_profile
from hub.normalize.payload import Format, Payload
from hub.normalize.places import path_text
from hub.normalize.profile import Profile

TODO = "TODO"
"""What marks a line that a person must decide; ``hub profiles check`` lists them."""

_ALIKE = 0.75
_SHORT_FORMS = {
    "temp": "temperature", "hum": "humidity", "humi": "humidity", "rh": "humidity", "batt": "battery", "bat": "battery",
    "vbat": "battery_voltage", "voltage": "battery_voltage", "smoke": "alarm", "water": "leak", "contact": "door",
    "conc": "concentration", "lvl": "level", "dist": "distance", "dir": "direction", "sos": "pressed",
}  # fmt: skip
_CHECKS: Sequence[Mapping[str, object] | str] = (
    "sum8_zero",
    {"as": "sum8", "to": -1, "at": -1},
    {"as": "xor8", "to": -1, "at": -1},
    {"as": "crc16_modbus", "to": -2, "at": -2},
    {"as": "crc16_ccitt", "to": -2, "at": -2},
)
_FEWEST = 2
"""A checksum is believed of so many different payloads at least: of one, one in 256 has it by chance."""
_SHOWN = 4
_BASIC, _ESCAPE = 0xFFFF, ("\\u%04x", "\\U%08x")


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """A payload that a device sent, and where it was caught."""

    payload: bytes
    source: str
    port: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draft:
    """What can be said about the payloads without a manual: words of the profile, and a doubt beside each."""

    payload: Mapping[str, object]
    properties: Mapping[str, Mapping[str, object]]
    doubts: Sequence[str] = ()


def skeleton(model: str, kind: Kind, captured: Sequence[Captured]) -> str:
    """Return the YAML of a new profile; every line that somebody must decide ends in a TODO."""
    draft = _draft(kind, [each.payload for each in captured])
    head = [
        f"# Begun from {len(captured)} captured payloads; {TODO} marks what nobody has decided yet.",
        f"profile: {model}",
        "version: 0.1.0",
        f"kind: {kind.kind}",
        f"label: {{en: {_flow(model)}, zh: {_flow(model)}}}  # {TODO}: what people call it, in both languages",
        f"payload: {_flow(draft.payload)}  # {TODO}: compare with the manual",
        f"time: {{from: none}}  # {TODO}: when it was measured, if a message says so",
        f"# {TODO}: liveness: {{report_every: 1h, offline_after: 3h}}, how often it must be heard",
        "properties:" if draft.properties else f"properties: {{}}  # {TODO}: at least one",
    ]
    fields = [f"  {name}: {_flow(words)}  # {TODO}: {_doubt(words)}" for name, words in draft.properties.items()]
    doubts = [f"  # {TODO}: {doubt}" for doubt in draft.doubts]
    missing = [name for name in kind.properties if name not in draft.properties]
    if missing:
        doubts.append(f"  # kind {kind.kind} also has: {', '.join(missing)}")
    expect = _expected(model, kind, draft)
    examples = [line for number, each in enumerate(captured, 1) for line in _example(number, each, expect(each))]
    return "".join(f"{_escaped(line)}\n" for line in [*head, *fields, *doubts, "examples:", *examples])


def _escaped(line: str) -> str:
    """Return a line without what YAML takes for the end of one, or refuses, as JSON and YAML both escape it."""
    return "".join(char if char.isprintable() else _ESCAPE[ord(char) > _BASIC] % ord(char) for char in line)


def _doubt(words: Mapping[str, object]) -> str:
    return f"is it this, in {words['unit']}?" if "unit" in words else "is it this?"


def _example(number: int, each: Captured, expect: Mapping[str, Scalar] | None) -> Iterator[str]:
    yield f"  - name: captured {number}"
    yield f"    source: {_flow(each.source)}"
    yield f"    payload: {_flow(_written(each.payload))}"
    if each.port is not None:
        yield f"    port: {each.port}"
    yield f"    expect: {_flow(expect or {})}  # {TODO}: what did the device really show?"


def _expected(model: str, kind: Kind, draft: _Draft) -> Callable[[Captured], Mapping[str, Scalar] | None]:
    """Return what tells the values of a payload by the draft itself; None where it cannot."""
    words = {
        "profile": model, "version": "0.1.0", "kind": kind.kind, "label": {"en": model}, "time": {"from": "none"},
        "payload": draft.payload, "properties": draft.properties,
    }  # fmt: skip
    try:
        handler = compile_profile(Profile.model_validate(words), kind, {}, "UTC")
    except (ValidationError, ConfigError):
        return lambda _: None

    def expect(each: Captured) -> Mapping[str, Scalar] | None:
        try:
            return handler(each.payload)[0].values
        except PoisonError:
            return None

    return expect


def _draft(kind: Kind, payloads: Sequence[bytes]) -> _Draft:
    for words in ({"format": "json"}, {"format": "xml"}, *_pairs(payloads)):
        try:
            documents = [Anatomy(Payload.model_validate(words), payload, ()).whole.leaves or () for payload in payloads]
        except PoisonError:
            continue
        if all(len(leaves) > 1 or (leaves[:1] and leaves[0].steps) for leaves in documents):
            return _draft_of_leaves(kind, words, documents)
    return _draft_of_bytes(payloads)


def _pairs(payloads: Sequence[bytes]) -> Iterator[Mapping[str, object]]:
    """Yield how texts of key=value could be cut."""
    for between in (";", "&", "\t", ","):
        if all(payload.isascii() and payload.count(b"=") > payload.count(between.encode()) > 0 for payload in payloads):
            yield {"format": Format.TEXT.value, "between": between}


def _draft_of_leaves(kind: Kind, words: Mapping[str, object], documents: Sequence[Sequence[Leaf]]) -> _Draft:
    seen: dict[str, list[object]] = {}
    separator = "/" if words["format"] == Format.XML.value else "."
    for leaf in (leaf for leaves in documents for leaf in leaves):
        path = path_text(leaf.steps) if words["format"] == Format.JSON.value else separator.join(leaf.steps)
        seen.setdefault(path, []).append(leaf.raw)
    ranked = sorted(
        (
            (_likeness(path.rpartition(separator)[2], name), path, name)
            for path, raws in seen.items()
            for name, prop in kind.properties.items()
            if _may_be(prop, raws, is_text=words["format"] != Format.JSON.value)
        ),
        key=lambda each: -each[0],
    )
    chosen: dict[str, str] = {}
    for alike, path, name in ranked:
        if alike >= _ALIKE and name not in chosen.values() and path not in chosen:
            chosen[path] = name
    properties = {name: _source(kind.properties[name], path, seen[path]) for path, name in chosen.items()}
    doubts = [
        f"path {path} ({_shown(raws)}): {supposed(path, raws)}" for path, raws in seen.items() if path not in chosen
    ]
    return _Draft(payload=words, properties=properties, doubts=doubts)


def _source(prop: Property, path: str, raws: Sequence[object]) -> Mapping[str, object]:
    source: dict[str, object] = {"path": path}
    if prop.type in NUMBERS:
        source["unit"] = prop.unit
    if prop.type is Type.ENUM:
        source["values"] = {str(raw): raw for raw in raws if raw in prop.values}
    return source


def _may_be(prop: Property, raws: Sequence[object], *, is_text: bool) -> bool:
    values = [raw for raw in raws if raw is not None]
    if prop.type in NUMBERS:
        return all(_is_number(raw, is_text=is_text) for raw in values)
    if prop.type is Type.BOOL:
        return all(isinstance(raw, bool) or (is_text and raw in {"0", "1", "true", "false"}) for raw in values)
    if prop.type is Type.ENUM:
        return any(raw in prop.values for raw in values) and all(raw in prop.values for raw in values)
    return all(isinstance(raw, str) for raw in values)


def _is_number(raw: object, *, is_text: bool) -> bool:
    if is_text:
        return isinstance(raw, str) and re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", raw) is not None
    return isinstance(raw, int | float) and not isinstance(raw, bool)


def _likeness(word: str, name: str) -> float:
    """Return how much a vendor's word is like the name of a property, 0 to 1."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", word).lower().replace("-", "_").strip("@_")
    if snake == name:
        return 1.0
    if _SHORT_FORMS.get(snake) == name:
        return 0.9
    return SequenceMatcher(None, snake, name).ratio()


def _draft_of_bytes(payloads: Sequence[bytes]) -> _Draft:
    lengths = sorted({len(payload) for payload in payloads})
    words: dict[str, object] = {"format": Format.BYTES.value}
    if lengths[0]:
        words["length"] = lengths[0] if len(lengths) == 1 else lengths
    check = next((check for check in _CHECKS if _holds(check, payloads)), None)
    if check is not None:
        words["check"] = check
    decided = lengths[0]
    if isinstance(check, Mapping) and len(lengths) == 1:
        decided += int(str(check["at"]))  # from there on it is the checksum, and no property
    doubts = []
    for at in range(decided):
        raws = [payload[at] for payload in payloads]
        what = f"always {raws[0]}" if len(set(raws)) == 1 else _shown(raws)
        doubts.append(f'byte {at} ({what}): which property, or nothing? e.g. battery: {{at: {at}, unit: "%"}}')
    return _Draft(payload=words, properties={}, doubts=doubts)


def _holds(check: Mapping[str, object] | str, payloads: Sequence[bytes]) -> bool:
    verify = compile_frame(Payload.model_validate({"format": "bytes", "check": check}))
    if verify is None or len(set(payloads)) < _FEWEST:
        return False
    try:
        for payload in payloads:
            verify(payload)
    except PoisonError:
        return False
    return True


def _written(payload: bytes) -> Mapping[str, object]:
    """Return a payload in the writing that reads best and means the same bytes, or the same JSON."""
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        return {"hex": payload.hex().upper()}
    if text.startswith("{") and (document := _document(payload)) is not None:
        return {"json": document}
    return {"text": text} if text.isprintable() or text.lstrip().startswith("<") else {"hex": payload.hex().upper()}


def _document(payload: bytes) -> object:
    """Return what a payload is as JSON; None when an example in JSON would be another one, or none."""
    try:
        document = json.loads(payload)
        return document if json.loads(orjson.dumps(document)) == document else None
    except (ValueError, TypeError, RecursionError):
        return None


def _shown(raws: Sequence[object]) -> str:
    distinct = list(dict.fromkeys(json.dumps(raw, ensure_ascii=False) for raw in raws))
    return ", ".join(distinct[:_SHOWN]) + (" …" if len(distinct) > _SHOWN else "")


def _flow(value: object) -> str:
    """Return a value as flow YAML on one line."""
    match value:
        case dict():
            return "{" + ", ".join(f"{_flow(str(key))}: {_flow(inner)}" for key, inner in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(_flow(inner) for inner in value) + "]"
        case str() if (
            re.fullmatch(r"[A-Za-z_][A-Za-z0-9_/. -]*[A-Za-z0-9_]|[A-Za-z]", value) and value.lower() not in _WORDS
        ):
            return value
        case _:
            return json.dumps(value, ensure_ascii=False)


_WORDS = {"true", "false", "null"}
