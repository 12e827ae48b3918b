"""``hub places locate``: the address code of a place, where it lies, its outline and its floors."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from hub.errors import ConfigError
from hub.registry import many
from hub.registry.circumstances import read_place
from hub.registry.nouns import Place
from hub.registry.registry import Registry
from hub.ui.desk.desk import AsJson, desk_of
from hub.ui.printing import say_done
from hub.ui.words import details


def locate(
    context: typer.Context,
    site: str,
    place: str,
    *,
    code: Annotated[str | None, typer.Option(help="Standard address code; begins with that of what is around.")] = None,
    longitude: Annotated[float | None, typer.Option(help="In degrees, with --latitude.")] = None,
    latitude: Annotated[float | None, typer.Option(help="In degrees.")] = None,
    floors: Annotated[int | None, typer.Option(help="How many above the ground.")] = None,
    basements: Annotated[int | None, typer.Option(help="How many below.")] = None,
    footprint: Annotated[Path | None, typer.Option(help="A file with a GeoJSON Polygon, or a Feature of one.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say where a place is; what is not said stays as it is."""
    said: dict[str, Any] = {
        "longitude": longitude,
        "latitude": latitude,
        "floors": floors,
        "basements": basements,
        "footprint": None if footprint is None else _outline(footprint),
    }
    said = {name: value for name, value in said.items() if value is not None}
    noun = desk_of(context).in_registry(lambda registry: _locate(registry, (site, place), code, said))
    say_done(f"{site}/{place}: {noun.code} {details(shown(noun))}".rstrip(), asdict(noun), as_json=as_json)


def shown(place: Place) -> dict[str, Any]:
    """Return what is known of where a place is; of its outline, how many corners."""
    known = {name: value for name, value in asdict(place.geometry).items() if value is not None}
    if "footprint" in known:
        known["footprint"] = f"{len(known['footprint']['coordinates'][0]) - 1} corners"
    return known


def _outline(path: Path) -> dict[str, Any]:
    try:
        found = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise ConfigError("file_unreadable", str(error), file=str(path), hint="a GeoJSON Polygon") from error
    if isinstance(found, dict) and found.get("type") == "Feature":
        found = found.get("geometry")
    if not isinstance(found, dict):
        raise ConfigError("file_unreadable", "is no GeoJSON object", file=str(path), hint="a GeoJSON Polygon")
    return found


async def _locate(registry: Registry, key: tuple[str, str], code: str | None, said: dict[str, Any]) -> Place:
    old = await read_place(registry, key)
    if key[0] == key[1]:
        raise ConfigError("place_invalid", f"{key[0]!r} is a site", hint="hub sites locate, hub sites code")
    new = replace(old, code=old.code if code is None else code, geometry=replace(old.geometry, **said))
    if new != old:
        await many.put_places(registry, [new])
    return new
