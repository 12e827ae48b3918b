"""Device profiles made of what Zigbee2MQTT says of its devices: thousands of models work without a file."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence

import msgspec
from pydantic import ValidationError

from hub.catalogue import Kind
from hub.errors import ConfigError
from hub.normalize.compile import compile_downlinks, compile_profile
from hub.normalize.limits import is_clean
from hub.normalize.networks.exposes import READ, SET, Expose, Listed, read_directory
from hub.normalize.networks.meanings import TWICE, Unmapped, actions, commands, properties_of
from hub.normalize.profile import Profile

VENDOR = "zigbee2mqtt-auto"
"""Profiles below this name are ours to make and to forget."""
VERSION = "1.0.0"
"""Of the way in which they are made."""
_LABEL_SIZE = 80


class KnownDevice(msgspec.Struct, frozen=True):
    """A device that a directory lists, by the name in its topics; ``address`` is its IEEE address."""

    name: str
    address: str
    kind: str
    profile: str
    vendor: str
    model: str


class Directory(msgspec.Struct, frozen=True):
    """What a directory becomes: profiles by name as documents, the devices, and everything that was left out."""

    profiles: dict[str, dict[str, object]]
    devices: list[KnownDevice]
    unmapped: list[Unmapped]


def synthesize(payload: bytes, kinds: Mapping[str, Kind]) -> Directory:
    """Return what ``bridge/devices`` becomes; devices that mean the same share a profile.

    The name of a profile is its model and a digest of its content: another definition is another profile, and the same
    directory always gives the same names. PoisonErrors are those of ``read_directory``.
    """
    profiles: dict[str, dict[str, object]] = {}
    devices: list[KnownDevice] = []
    unmapped: list[Unmapped] = []
    for listed in read_directory(payload):
        if listed.problem is not None:
            unmapped.append(Unmapped(listed.name, "", *listed.problem))
            continue
        document, left_out = _profile(listed, kinds)
        unmapped += left_out
        if document is not None:
            name = str(document["profile"])
            profiles[name] = document
            kind = str(document["kind"])
            devices.append(KnownDevice(listed.name, listed.address, kind, name, listed.vendor, listed.model))
    return Directory(profiles, devices, unmapped)


def _profile(listed: Listed, kinds: Mapping[str, Kind]) -> tuple[dict[str, object] | None, list[Unmapped]]:
    exposes = listed.exposes
    name, decides = next(((name, test) for name, test in _KINDS if any(map(test, exposes))), ("", _nothing))
    kind = kinds.get(name)
    if kind is None:
        exposed = ", ".join(dict.fromkeys(expose.name for expose in exposes)) or "nothing"
        return None, [Unmapped(listed.name, "", "no_kind", f"we have no kind for what exposes {exposed}")]
    readable, left_out = _readable(listed)
    properties, odd = properties_of(listed.name, readable, kind)
    signals = actions(readable, kind)
    left_out += [each for each in odd if each.path not in _paths_of(signals)]
    document: dict[str, object] = {
        "version": VERSION,
        "kind": kind.kind,
        "label": _label(listed, kind),
        "payload": {"format": "json"},
        "liveness": {"report_every": "12h", "offline_after": "25h"},
        "time": {"from": "none"},
        "messages": [{"properties": properties, "signals": signals}, {"ends": "heartbeat"}],
        "commands": commands([each for each in exposes if each.access & SET and not each.endpoint], kind),
    }
    deaf = {each.path for each in left_out if each.code != TWICE} & {each.path for each in exposes if decides(each)}
    problem = f"{min(deaf)} makes it a {kind.kind}, and cannot be read" if deaf else _mistake(document, kind)
    if problem:
        return None, [*left_out, Unmapped(listed.name, "", "no_profile", problem)]
    return {"profile": _name(listed, document), **document}, left_out


def _readable(listed: Listed) -> tuple[list[Expose], list[Unmapped]]:
    """Return the values that a device measures, and the others with the reason."""
    found: list[Expose] = []
    left_out: list[Unmapped] = []
    for expose in listed.exposes:
        if expose.endpoint:
            left_out.append(Unmapped(listed.name, expose.path, "endpoint", f"one of several: {expose.endpoint}"))
        elif expose.access & READ and expose.category != "config":
            found.append(expose)
        elif expose.access & READ or not expose.access & SET:
            left_out.append(Unmapped(listed.name, expose.path, "setting", "it is set, not measured"))
    return found, left_out


def _name(listed: Listed, document: Mapping[str, object]) -> str:
    content = msgspec.json.encode([listed.vendor, listed.model, document], order="deterministic")
    slug = re.sub(r"[^a-z0-9]+", "-", listed.model.lower())[:40].strip("-") or "device"
    return f"{VENDOR}/{slug}-{hashlib.blake2b(content, digest_size=4).hexdigest()}"


def _label(listed: Listed, kind: Kind) -> dict[str, str]:
    model = f"{listed.vendor} {listed.model}".strip()[:_LABEL_SIZE]
    model = model if is_clean(model) else "Zigbee"
    return {language: f"{text} {model}" for language, text in kind.label.items()}


def _mistake(document: Mapping[str, object], kind: Kind) -> str:
    """Return why a profile would not work; what a device exposes is not ours to trust."""
    try:
        profile = Profile.model_validate({"profile": f"{VENDOR}/device", **document})
        compile_profile(profile, kind, {}, "UTC")
        compile_downlinks(profile, kind, {})
    except ConfigError as error:
        return str(error)
    except ValidationError as error:
        return str(error.errors(include_url=False)[0]["msg"])
    return ""


def _paths_of(signals: Mapping[str, object]) -> set[str]:
    found = [signal.get("only", {}) for signal in signals.values() if isinstance(signal, Mapping)]
    return {path for only in found for path in only}


def _nothing(_expose: Expose) -> bool:
    return False


def _binary(*names: str) -> Callable[[Expose], bool]:
    return lambda expose: expose.type == "binary" and expose.name in names


_KINDS: Sequence[tuple[str, Callable[[Expose], bool]]] = (
    ("smoke_sensor", _binary("smoke")),
    ("gas_detector", _binary("gas", "carbon_monoxide")),
    ("leak_sensor", _binary("water_leak")),
    ("panic_button", lambda expose: bool(actions([expose], None))),
    ("care_radar", lambda expose: expose.name in {"presence", "fall_status", "fall_down_status"}),
    ("door_contact", _binary("contact")),
    ("access_controller", lambda expose: expose.within == "lock"),
    (
        "environment_sensor",
        lambda expose: expose.type == "numeric" and expose.name in {"temperature", "humidity", "co2"},
    ),
)
"""The first that a device's values speak for: what warns of danger comes before what measures."""
