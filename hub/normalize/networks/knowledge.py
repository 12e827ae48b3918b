"""What a network itself knows of a device, such as its battery: a handler for each kind that has such a property."""

from __future__ import annotations

from hub.catalogue import Kind
from hub.model.heard import Handler
from hub.normalize.compile import compile_profile
from hub.normalize.networks.network import Network
from hub.normalize.profile import Profile


def compile_knowledge(network: Network, number: int, kind: Kind) -> Handler | None:
    """Return the handler for the messages of a stream with ``properties``, on devices of ``kind``; else None.

    A message without any of them, and each of a kind that has none, is a sign of life. Raises ConfigError.
    """
    words = network.streams[number].properties
    if not words:
        return None
    mine = {name: source for name, source in words.items() if name in kind.properties}
    heartbeat = {"ends": "heartbeat"}
    profile = Profile.model_validate(
        {
            "profile": f"network/{network.network}",
            "version": network.version,
            "kind": kind.kind,
            "label": network.label,
            "payload": {"format": "json"},
            "time": {"from": "none"},
            "messages": [{"properties": mine}, heartbeat] if mine else [heartbeat],
        }
    )
    return compile_profile(profile, kind, {}, "UTC")
