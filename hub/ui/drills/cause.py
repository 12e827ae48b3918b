"""The cause of a drill: which detectors of a zone it speaks for, and the very payload with which their model alarms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from hub.engine.barred import BarredRow
from hub.engine.circumstances import Circumstances
from hub.engine.places import bodies_of
from hub.engine.rows import DeviceRow, PlaceRow
from hub.errors import ConfigError
from hub.model.values import PlaceType, Scalar
from hub.normalize.examples import Example, example_bytes, expectations
from hub.normalize.profile import profile_of
from hub.registry.nouns import DeviceState

KINDS = ("call_point", "heat_sensor", "smoke_sensor")
"""Whose alarm is a witness of a fire (`fire-confirmed`)."""
WITNESSES = 2
_NATIVE = b'{"values": {"alarm": true}}'


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaker:
    """A detector that a drill speaks for; ``source`` tells where the payload comes from."""

    device: str
    kind: str
    profile: str
    payload: bytes
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """A fire zone with the detectors in it, by name; to those that are ``disabled`` nobody listens."""

    site: str
    place: PlaceRow
    detectors: tuple[DeviceRow, ...]
    disabled: tuple[DeviceRow, ...] = ()


def zone_of(documents: Mapping[str, bytes], site: str, name: str) -> Zone:
    """Return a fire zone; ConfigError ``zone_unknown`` names those that there are."""
    circumstances = Circumstances(documents)
    place = circumstances.places.get((site, name))
    if place is None or place.type != PlaceType.FIRE_ZONE.value:
        zones = sorted(
            row.place for row in circumstances.places.values() if (row.site, row.type) == (site, "fire_zone")
        )
        hint = (
            f"there are: {', '.join(zones)}" if zones else "hub places add SITE ID --type fire_zone --parent BUILDING"
        )
        raise ConfigError("zone_unknown", f"{site} has no fire zone {name!r}", hint=hint)

    def there(rows: Iterable[DeviceRow]) -> tuple[DeviceRow, ...]:
        mine = (row for row in rows if row.site == site and row.kind in KINDS)
        return tuple(row for row in mine if place in circumstances.way_up(site, row.place))

    rows = (msgspec.json.decode(body, type=DeviceRow) for body in bodies_of(documents, "device"))
    barred = (msgspec.json.decode(body, type=BarredRow) for body in bodies_of(documents, "barred"))
    disabled = there(row for row in barred if row.state == DeviceState.DISABLED)
    return Zone(site=site, place=place, detectors=there(rows), disabled=disabled)


def speakers(zone: Zone, documents: Mapping[str, bytes], wanted: Sequence[str]) -> list[Speaker]:
    """Return who speaks: the ``wanted`` detectors, else the first two of whose alarm a payload is known.

    ConfigError ``detector_unknown``, ``no_payload`` (no example of its profile alarms) and ``too_few_detectors``.
    """
    known = {row.device: row for row in zone.detectors}
    if unknown := sorted(set(wanted) - set(known)):
        hint = f"there are: {', '.join(known)}"
        raise ConfigError("detector_unknown", f"{zone.place.place} has no detector {unknown[0]!r}", hint=hint)
    rows = [known[name] for name in dict.fromkeys(wanted)] or [*known.values()]
    found = {row.device: _speaker(row, documents) for row in rows}
    mute = [name for name, speaker in found.items() if speaker is None]
    if wanted and mute:
        hint = "an example with `expect: {alarm: true}` or `{status: alarm}` in its profile"
        raise ConfigError("no_payload", f"nobody knows how {mute[0]} says that it alarms", hint=hint)
    speaking = [speaker for speaker in found.values() if speaker is not None]
    if len(speaking) < WITNESSES:
        message = f"{zone.place.place} has {len(speaking)} detectors that can be played; a fire has two witnesses"
        raise ConfigError("too_few_detectors", message, hint="hub devices list --site SITE")
    return speaking if wanted else speaking[:WITNESSES]


def _speaker(row: DeviceRow, documents: Mapping[str, bytes]) -> Speaker | None:
    if not row.profile:
        return Speaker(device=row.device, kind=row.kind, profile="", payload=_NATIVE, source="native")
    body = documents.get(f"profile/{row.profile}")
    examples = () if body is None else profile_of(body).examples
    example = next(filter(lambda one: _alarms(one, row.params), examples), None)
    if example is None:
        return None
    payload, source = example_bytes(example), f"{example.name}: {example.source}"
    return Speaker(device=row.device, kind=row.kind, profile=row.profile, payload=payload, source=source)


def _alarms(example: Example, params: Mapping[str, Scalar]) -> bool:
    fits = all(params.get(name) == value for name, value in example.params.items())
    return fits and any(_says_alarm(each) for each in _live(example))


def _live(example: Example) -> Iterator[Mapping[str, Scalar]]:
    """Yield what the readings of an example say, of the device itself and of now."""
    for each in expectations(example):
        if not each.expect_backfill and each.expect_part is None and each.expect_time is None:
            yield each.expect


def _says_alarm(values: Mapping[str, Scalar]) -> bool:
    return (values.get("alarm") is True or values.get("status") == "alarm") and values.get("testing") is not True
