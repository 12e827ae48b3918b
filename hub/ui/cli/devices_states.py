"""``hub devices enable|disable|retire|remove``: the life of a device after it was added."""

from __future__ import annotations

import typer

from hub.registry.nouns import DeviceState
from hub.registry.registry import Registry
from hub.ui.cli.broker import bring_in_step
from hub.ui.desk.desk import AsJson, Desk, desk_of
from hub.ui.printing import say_done


def enable(context: typer.Context, site: str, device: str, *, as_json: AsJson = False) -> None:
    """Let a device be heard: one that was pending also with what it said in the last hour."""
    _move(desk_of(context), (site, device), DeviceState.ACTIVE, as_json=as_json)


def disable(context: typer.Context, site: str, device: str, *, as_json: AsJson = False) -> None:
    """Hear a device no more until it is enabled: it may not connect, what a network still says of it is refused."""
    _move(desk_of(context), (site, device), DeviceState.DISABLED, as_json=as_json)


def retire(context: typer.Context, site: str, device: str, *, as_json: AsJson = False) -> None:
    """Hear a device never again; its id stays taken, so that what is stored of it keeps its meaning."""
    _move(desk_of(context), (site, device), DeviceState.RETIRED, as_json=as_json)


def remove(context: typer.Context, site: str, device: str, *, as_json: AsJson = False) -> None:
    """Forget a device that was added by mistake; its id and its serial number are free again."""
    desk = desk_of(context)
    desk.in_registry(lambda registry: _remove(desk, registry, site, device))
    _tell(site, device, "removed", as_json=as_json)


def _move(desk: Desk, key: tuple[str, str], state: DeviceState, *, as_json: bool) -> None:
    desk.in_registry(lambda registry: _set(desk, registry, key, state))
    _tell(*key, state.value, as_json=as_json)


def _tell(site: str, device: str, state: str, *, as_json: bool) -> None:
    say_done(f"{site}/{device} is {state}", {"site": site, "id": device, "state": state}, as_json=as_json)


async def _set(desk: Desk, registry: Registry, key: tuple[str, str], state: DeviceState) -> None:
    await registry.set_device_state(*key, state)
    await bring_in_step(desk, registry)


async def _remove(desk: Desk, registry: Registry, site: str, device: str) -> None:
    await registry.remove_device(site, device)
    await bring_in_step(desk, registry)
