"""Devices that nobody wants to hear: registered, but disabled or retired. What they say is refused, and counted so."""

from __future__ import annotations

from collections.abc import KeysView, Mapping

import msgspec

from hub.engine.device import Device
from hub.engine.known import DeviceState
from hub.engine.networks import Networks
from hub.engine.places import bodies_of
from hub.engine.rows import DeviceRow
from hub.errors import PoisonError

REFUSED = frozenset({"device_disabled", "device_retired"})
"""Codes of messages that are refused: a person said so, so they are not kept as dead letters and never replayed."""


class BarredRow(DeviceRow, frozen=True):
    """A barred document: the row of a device, and why it is not heard (``disabled``, ``retired``)."""

    state: str = "disabled"


class Barred:
    """The barred devices of the last revision."""

    def __init__(self, bodies: Mapping[str, bytes], networks: Networks) -> None:
        self._by_key: dict[str, str] = {}
        self._by_name: dict[tuple[str, str], str] = {}
        for body in bodies_of(bodies, "barred"):
            row = msgspec.json.decode(body, type=BarredRow)
            device = Device(row, DeviceState())
            self._by_key[device.key] = row.state
            if row.source:
                networks.enlist(device)
                own = row.network_id if device.source is None else device.source.fold(row.network_id)
                self._by_name |= {(row.source, device.called): row.state, (row.source, own): row.state}

    @property
    def names(self) -> KeysView[tuple[str, str]]:
        """Return what foreign networks call them: (source, name)."""
        return self._by_name.keys()

    def check(self, key: str) -> None:
        """PoisonError with a code of :data:`REFUSED` when the device of ``key`` is barred."""
        self._refuse(self._by_key.get(key), key)

    def check_name(self, source: str, name: str) -> None:
        """Do the same for what a foreign network calls ``name``."""
        self._refuse(self._by_name.get((source, name)), f"@{source}/{name}")

    @staticmethod
    def _refuse(state: str | None, name: str) -> None:
        if state is not None:
            code = f"device_{state}"
            raise PoisonError(code, f"{name} is {state}")
