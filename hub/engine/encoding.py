"""A command as it leaves: in the words of its device's profile, and in the envelope of the network around it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Protocol

from hub.catalogue import Type, Typed
from hub.commands.life import Command
from hub.engine.device import Device
from hub.errors import PoisonError
from hub.model.effects import Transmission
from hub.model.values import Scalar
from hub.normalize.encode import encode_command
from hub.normalize.networks.downlink import Order
from hub.normalize.networks.source import CompiledSource


class TopicNames(Protocol):
    """The part of the topic grammar that commands need."""

    def command_topic(self, site: str, device: str, /) -> str: ...
    def response_topic(self, site: str, device: str, /) -> str: ...


def transmission_of(device: Device, command: Command, topics: TopicNames) -> Transmission:
    """Return what is published. PoisonError when the device, or its network, cannot be told this."""
    payload, port = _payload(device, command)
    if device.source is None:
        topic = topics.command_topic(command.site, command.device)
        response_topic = topics.response_topic(command.site, command.device)
    else:
        topic, payload = _wrapped(device, device.source, command, payload, port)
        response_topic = ""
    return Transmission(
        command=command.id,
        topic=topic,
        payload=payload,
        expires_at=command.expires_at,
        response_topic=response_topic,
        correlation=command.id.encode(),
        reflex=command.reflex,
    )


def _payload(device: Device, command: Command) -> tuple[bytes, int | None]:
    """Return the command as its device wants it, and the port that the profile names for it."""
    expires_at = command.expires_at // 1_000_000
    own = device.outfit.downlinks.get(command.name)
    if own is None:
        if not device.can(command.name):
            raise PoisonError("unknown_command", device.why_not(command.name)["en"])
        plain = encode_command(
            id=command.id,
            command=command.name,
            part=command.part,
            args=command.args,
            expires_at=expires_at,
            drill=command.drill,
        )
        return plain, None
    encoded = own(
        id=command.id,
        part=command.part,
        args=_with_durations(command.args, device.commands[command.name].args),
        sent_at=command.created_at // 1_000_000,
        expires_at=expires_at,
        drill=command.drill,
    )
    return encoded, own.port


def _with_durations(args: Mapping[str, Scalar], known: Mapping[str, Typed]) -> dict[str, Scalar | timedelta]:
    """Return arguments with what was settled as milliseconds as a duration again."""
    return {
        name: timedelta(milliseconds=value)
        if name in known and known[name].type is Type.DURATION and isinstance(value, int | float)
        else value
        for name, value in args.items()
    }


def _wrapped(
    device: Device, source: CompiledSource, command: Command, payload: bytes, port: int | None
) -> tuple[str, bytes]:
    if source.downlink is None:
        raise PoisonError("unaddressable", f"{source.name} takes no commands")
    route = {"site": device.site, **(device.state.seldom.names or {})}
    expires_at = command.expires_at // 1_000_000
    return source.downlink(Order(device.called, command.name, payload, port, command.id, expires_at, route))
