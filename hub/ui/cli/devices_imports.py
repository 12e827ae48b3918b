"""``import`` and ``export`` of devices and places: a whole file or nothing, and what was exported comes in again."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from hub.model.values import PlaceType
from hub.registry import many
from hub.registry.credentials import make_secrets
from hub.registry.nouns import Device, DeviceState, Geometry, Place
from hub.registry.registry import Registry
from hub.registry.validation import Key, Problem
from hub.revisions.files import read_content
from hub.ui.cli.devices_credentials import new_file, tell_broker, write_secrets
from hub.ui.cli.sources import compiled
from hub.ui.desk.desk import AsJson, Desk, desk_of
from hub.ui.desk.whose import of_site
from hub.ui.fitness import Fitting, fact_problems
from hub.ui.printing import say_done, say_json
from hub.ui.progress import stages
from hub.ui.sheets import Row, Sheet, read_sheet, write_csv

DEVICE_COLUMNS = (
    "site", "id", "kind", "profile", "place", "serial", "params", "user", "source", "network_id", "gateway", "tags",
    "state",
)  # fmt: skip
PLACE_COLUMNS = (
    "site", "id", "type", "parent", "en", "zh", "code", "longitude", "latitude", "floors", "basements", "footprint",
    "facts", "consents",
)  # fmt: skip
GEOMETRY = {"longitude": float, "latitude": float, "floors": int, "basements": int}

File = Annotated[Path, typer.Argument(help="CSV with a header, a JSON array, or JSON lines.")]
N = TypeVar("N", Device, Place)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What an import came to."""

    added: int
    changed: int
    unchanged: int


def import_devices(
    context: typer.Context,
    file: File,
    *,
    secrets: Annotated[
        Path | None,
        typer.Option("--credentials", help="Make secrets, into this new file (0600) alone."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Add and change devices as a file says, all of them or none.

    Columns: site, id, kind, profile, place, serial, params (JSON), user, source, network_id, gateway, tags (words),
    state. A row is the device of its serial number or else of its id; a column that is not there leaves what is
    registered as it is. Who carries several of them has one secret, who has one already keeps it.
    """
    desk = desk_of(context)
    with nullcontext() if secrets is None else new_file(secrets, is_only_copy=True) as into:
        tally = asyncio.run(_import_devices(desk, file, into, as_json=as_json))
    with stages() as show:
        show("telling the broker")
        tell_broker(desk)
    _tell(tally, as_json=as_json)


def export_devices(
    context: typer.Context,
    *,
    site: Annotated[str | None, typer.Option(help="Only of this site.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print devices as a CSV file, or JSON, that can be imported."""
    found = of_site(desk_of(context), Registry.devices, site)
    _print(DEVICE_COLUMNS, [*map(_cells_of_device, found)], as_json=as_json)


def import_places(context: typer.Context, file: File, *, as_json: AsJson = False) -> None:
    """Add and change places as a file says, all of them or none, in whatever order.

    Columns: site, id, type, parent, en, zh, code, longitude, latitude, floors, basements, footprint (GeoJSON), facts
    (JSON), consents (JSON). A column that is not there leaves what is registered as it is.
    """
    sheet = read_sheet(file, PLACE_COLUMNS)
    desk = desk_of(context)
    tally = desk.in_registry(lambda registry: _import_places(desk, registry, sheet, as_json=as_json))
    _tell(tally, as_json=as_json)


def export_places(
    context: typer.Context,
    *,
    site: Annotated[str | None, typer.Option(help="Only of this site.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print places as a CSV file, or JSON, that can be imported."""
    found = of_site(desk_of(context), Registry.places, site)
    _print(PLACE_COLUMNS, [*map(_cells_of_place, found)], as_json=as_json)


# -------------------------------------------------------------------------------------------------------- devices


async def _import_devices(desk: Desk, file: Path, into: int | None, *, as_json: bool) -> Tally:
    """``into``: make secrets, and write them to that open file."""
    sheet = read_sheet(file, DEVICE_COLUMNS)
    async with desk.registry() as registry:
        sources = {source.id: source for source in await registry.sources()}
        works = {name: compiled(desk.settings, source) for name, source in sources.items()}
        known = await registry.devices()
        by_key = {many.key_of(device): device for device in known}
        by_serial = {device.serial: device for device in known if device.serial is not None}
        devices: list[Device] = []
        with stages() as show:
            read = show("reading", len(sheet.rows))
            for row in sheet.rows:
                serial = sheet.text(row, "serial")
                mine = by_serial.get(serial)
                key = sheet.text(row, "site"), sheet.text(row, "id") or (serial if mine is None else mine.id)
                device = _device(sheet, row, key, by_key.get(key))
                if device.source in works:
                    device = replace(device, network_id=works[device.source].fold(device.network_id))
                devices.append(device)
                read(1)
            show("checking")
            fitting = Fitting(read_content(desk.settings), await registry.sites(), [*sources.values()])
            problems = [*await many.wrong_devices(registry, devices), *fitting.unfit(devices)]
            fresh = [device for device in devices if many.is_another(by_key.get(many.key_of(device)), device)]
            _settle(sheet, devices, problems, as_json=as_json)
            await many.put_devices(registry, fresh, show("writing", len(fresh)))
            if into is not None:
                show("making secrets")
                await make_secrets(
                    registry, {many.key_of(device) for device in devices}, partial(write_secrets, into, desk.settings)
                )
    return _tally(devices, fresh, by_key.keys())


def _device(sheet: Sheet, row: Row, key: Key, known: Device | None) -> Device:
    was = known or Device(site=key[0], id=key[1], kind="")
    state = was.state
    try:
        state = DeviceState(sheet.text(row, "state", was.state.value) or was.state.value)
    except ValueError:
        sheet.blame(row.line, f"state is one of {', '.join(DeviceState)}")
    place = sheet.text(row, "place", was.place)
    return Device(
        site=key[0],
        id=key[1],
        kind=sheet.text(row, "kind", was.kind),
        profile=sheet.text(row, "profile", was.profile),
        place="" if place == key[0] else place,
        params=sheet.scalars(row, "params", was.params),
        serial=sheet.text(row, "serial", was.serial or "") or None,
        state=state,
        user=sheet.text(row, "user", was.user),
        source=sheet.text(row, "source", was.source),
        network_id=sheet.text(row, "network_id", was.network_id),
        gateway=sheet.text(row, "gateway", was.gateway),
        tags=tuple(sheet.text(row, "tags", " ".join(was.tags)).split()),
    )


def _cells_of_device(device: Device) -> dict[str, object]:
    mine = {name: getattr(device, name) for name in DEVICE_COLUMNS}
    return {**mine, "serial": device.serial or "", "tags": " ".join(device.tags), "state": device.state.value}


# --------------------------------------------------------------------------------------------------------- places


async def _import_places(desk: Desk, registry: Registry, sheet: Sheet, *, as_json: bool) -> Tally:
    by_key = {many.key_of(place): place for place in await registry.places()}
    with stages() as show:
        show("checking")
        keys = [(sheet.text(row, "site"), sheet.text(row, "id")) for row in sheet.rows]
        places = [_place(sheet, row, key, by_key.get(key)) for row, key in zip(sheet.rows, keys, strict=True)]
        fresh = [place for place in places if many.is_another(by_key.get(many.key_of(place)), place)]
        problems = [*await many.wrong_places(registry, places)]
        problems += fact_problems(desk.settings, [place.facts for place in places])
        _settle(sheet, places, problems, as_json=as_json)
        await many.put_places(registry, fresh, show("writing", len(fresh)))
    return _tally(places, fresh, by_key.keys())


def _place(sheet: Sheet, row: Row, key: Key, known: Place | None) -> Place:
    was = known or Place(site=key[0], id=key[1], type=PlaceType.DWELLING)
    type_ = was.type
    try:
        type_ = PlaceType(sheet.text(row, "type", was.type.value if known else ""))
    except ValueError:
        sheet.blame(row.line, f"type is one of {', '.join(each for each in PlaceType if each is not PlaceType.SITE)}")
    parent = sheet.text(row, "parent", was.parent)
    names = {language: sheet.text(row, language, was.label.get(language, "")) for language in ("en", "zh")}
    return Place(
        site=key[0],
        id=key[1],
        type=type_,
        parent="" if parent == key[0] else parent,
        code=sheet.text(row, "code", was.code),
        geometry=_geometry(sheet, row, was.geometry),
        label={language: name for language, name in {**was.label, **names}.items() if name},
        facts=sheet.scalars(row, "facts", was.facts),
        consents={name: str(text) for name, text in sheet.scalars(row, "consents", was.consents).items()},
    )


def _geometry(sheet: Sheet, row: Row, was: Geometry) -> Geometry:
    said = {name: sheet.number(row, name, kind, getattr(was, name)) for name, kind in GEOMETRY.items()}
    return Geometry(**said, footprint=sheet.document(row, "footprint", was.footprint))


def _cells_of_place(place: Place) -> dict[str, object]:
    label = {language: place.label.get(language, "") for language in ("en", "zh")}
    mine = {name: getattr(place, name) for name in ("site", "id", "parent", "code", "facts", "consents")}
    return {**mine, **asdict(place.geometry), "type": place.type.value, **label}


# ----------------------------------------------------------------------------------------------------------- both


def _settle(sheet: Sheet, nouns: Sequence[N], problems: Sequence[Problem], *, as_json: bool) -> None:
    """Tell every mistake, each once: a second row of one id is wrong whatever it says."""
    first: dict[Key, int] = {}
    for noun, row in zip(nouns, sheet.rows, strict=True):
        line = first.setdefault(many.key_of(noun), row.line)
        if line != row.line:
            sheet.blame(row.line, f"{noun.site}/{noun.id} stands in line {line} already")
    told = {line for line, _ in sheet.mistakes}
    for index, text in problems:
        if sheet.rows[index].line not in told:
            sheet.blame(sheet.rows[index].line, text)
    sheet.settle(as_json=as_json)


def _tally(nouns: Sequence[N], fresh: Sequence[N], known: Collection[Key]) -> Tally:
    added = sum(many.key_of(noun) not in known for noun in fresh)
    return Tally(added=added, changed=len(fresh) - added, unchanged=len(nouns) - len(fresh))


def _tell(tally: Tally, *, as_json: bool) -> None:
    said = f"added {tally.added}, changed {tally.changed}, unchanged {tally.unchanged}"
    say_done(said, asdict(tally), as_json=as_json)


def _print(columns: Sequence[str], rows: Sequence[dict[str, object]], *, as_json: bool) -> None:
    if as_json:
        say_json(rows)
    else:
        write_csv(columns, rows)
