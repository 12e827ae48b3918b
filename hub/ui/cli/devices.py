"""``hub devices``: what is registered."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from hub.registry.credentials import Secret, make_secrets
from hub.registry.nouns import Device, DeviceState
from hub.registry.registry import Registry
from hub.ui.cli import devices_credentials, devices_imports, devices_over_quota, devices_pending, devices_states
from hub.ui.desk.desk import AsJson, Desk, desk_of, pairs_of
from hub.ui.desk.whose import of_site
from hub.ui.fitness import add_fitting
from hub.ui.printing import say_json, say_listing
from hub.ui.words import details

app = typer.Typer()
app.command("import")(devices_imports.import_devices)
app.command("export")(devices_imports.export_devices)
app.command("pending")(devices_pending.pending)
app.command("adopt")(devices_pending.adopt)
app.command("over-quota")(devices_over_quota.over_quota)
app.command("enable")(devices_states.enable)
app.command("disable")(devices_states.disable)
app.command("retire")(devices_states.retire)
app.command("remove")(devices_states.remove)
app.command("rotate")(devices_credentials.rotate)
app.command("revoke")(devices_credentials.revoke)
app.command("export-credentials")(devices_credentials.export_credentials)


@app.command("list")
def list_devices(
    context: typer.Context,
    *,
    site: Annotated[str | None, typer.Option(help="Only of this site.")] = None,
    kind: Annotated[str | None, typer.Option(help="Only of this kind.")] = None,
    tag: Annotated[str | None, typer.Option(help="Only with this tag.")] = None,
    state: Annotated[DeviceState | None, typer.Option(help="Only in this state.")] = None,
    as_json: AsJson = False,
) -> None:
    """List devices, also those that are pending, disabled or retired."""
    found = [
        device
        for device in of_site(desk_of(context), Registry.devices, site)
        if kind in {None, device.kind} and state in {None, device.state}
    ]
    found = [device for device in found if tag is None or tag in device.tags]
    say_listing(
        map(asdict, found),
        ("site", "device", "kind", "profile", "place", "state", "network", "gateway", "tags", "params"),
        (
            (
                device.site,
                device.id,
                device.kind,
                device.profile or "native",
                device.place or device.site,
                device.state.value,
                f"{device.source}: {device.network_id}" if device.source else "",
                device.gateway,
                " ".join(device.tags),
                details(device.params),
            )
            for device in found
        ),
        empty="no devices",
        as_json=as_json,
    )


@app.command()
def add(
    context: typer.Context,
    site: str,
    device: str,
    *,
    kind: Annotated[str, typer.Option(help="What it is: smoke_sensor, access_controller …")],
    profile: Annotated[str, typer.Option(help="vendor/model; none for the native payload.")] = "",
    place: Annotated[str, typer.Option(help="Where it is; else the site.")] = "",
    param: Annotated[list[str] | None, typer.Option(help="name=value of its profile; may be repeated.")] = None,
    user: Annotated[str, typer.Option(help="Who carries it to the broker.")] = "",
    serial: Annotated[str | None, typer.Option(help="Its serial number.")] = None,
    source: Annotated[str, typer.Option(help="The foreign network that it is in: hub sources list.")] = "",
    network_id: Annotated[str, typer.Option(help="What that network calls it: a DevEUI, a friendly name.")] = "",
    gateway: Annotated[str, typer.Option(help="The device of the site that carries it.")] = "",
    tag: Annotated[list[str] | None, typer.Option(help="A word to find it by; may be repeated.")] = None,
    is_pending: Annotated[bool, typer.Option("--pending", help="Not heard yet: until `hub devices enable`.")] = False,
    secret: Annotated[bool, typer.Option("--credentials", help="Make its secret for the broker, shown once.")] = False,
    qr: devices_credentials.AsQr = False,
    as_json: AsJson = False,
) -> None:
    """Add a device; the hub takes it up within 6 seconds and replays what it said in the last hour."""
    noun = Device(
        site=site,
        id=device,
        kind=kind,
        profile=profile,
        place=place,
        params=pairs_of(param or ()),
        serial=serial,
        user=user,
        source=source,
        network_id=network_id,
        gateway=gateway,
        tags=tuple(tag or ()),
        state=DeviceState.PENDING if is_pending else DeviceState.ACTIVE,
    )
    desk = desk_of(context)
    noun, made = desk.in_registry(lambda registry: _add(desk, registry, noun, has_secret=secret or qr))
    if as_json:
        say_json({**asdict(noun), "credentials": [devices_credentials.access(desk.settings, each) for each in made]})
    else:
        typer.echo(f"added {site}/{device}")
        devices_credentials.show(made, desk.settings, qr=qr, as_json=False)
    devices_credentials.tell_broker(desk)


async def _add(desk: Desk, registry: Registry, device: Device, *, has_secret: bool) -> tuple[Device, list[Secret]]:
    added = await add_fitting(desk.settings, registry, device)
    return added, await make_secrets(registry, [(added.site, added.id)]) if has_secret else []
