"""Certificates that broker and hub show each other and devices: how long each still holds."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.utils import CryptographyDeprecationWarning

from hub.config.settings import BrokerKeeper, Settings
from hub.errors import ConfigError
from hub.keeping import directory_of
from hub.registry.certificates import SERVER_CERTIFICATE
from hub.ui.doctor.findings import Scene, Verdict, bad, good, unseen, weak
from hub.ui.doctor.mosquitto_conf import read_conf

SOON = timedelta(days=30)
_Ends = Callable[[Iterable[datetime]], datetime]
_MOSQUITTOS: Mapping[str, _Ends] = {"certfile": min, "cafile": max}
"""Of authorities one that holds is enough: of those of a machine some have ended; a change of one has two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Papers:
    """Each file with how long it still holds, None for one that could not be read."""

    left: dict[Path, timedelta | None]


async def look(scene: Scene) -> Papers:
    """Read every certificate that settings and mosquitto.conf name."""
    now = datetime.fromtimestamp(scene.clock.wall_ns() / 1e9, UTC)
    return Papers(left=await asyncio.to_thread(lambda: {file: _left(file, now, ends) for file, ends in _files(scene)}))


def _files(scene: Scene) -> Iterator[tuple[Path, _Ends]]:
    """Yield each file and when it ends: a chain with the first of it, authorities with the last."""
    settings = scene.settings
    named = ((settings.mqtt.cert_file, min), (settings.mqtt.ca_file, max), (settings.broker.cert_file, min))
    yield from ((file, ends) for file, ends in named if file is not None)
    if scene.mosquitto_conf is None:
        return
    try:
        conf = read_conf(scene.mosquitto_conf, settings.limits.payload)
    except ConfigError:
        return  # the area of mosquitto.conf says so
    yield from ((Path(each), ends) for name, ends in _MOSQUITTOS.items() for each in conf.each(name) if each)


def ending(settings: Settings) -> dict[str, float]:
    """Return when each certificate that hub or broker show ends (Unix seconds), 0 for one that cannot be read."""
    broker = settings.broker
    shown = [file for file in (settings.mqtt.cert_file, broker.cert_file) if file is not None]
    if (
        broker.keeper is BrokerKeeper.MOSQUITTO
        and (broker.tls_port or broker.certificate_port)
        and not broker.cert_file
    ):
        shown.append(directory_of(settings) / SERVER_CERTIFICATE)
    left = {str(file): _left(file, datetime.fromtimestamp(0, UTC), min) for file in shown}
    return {file: 0.0 if each is None else each.total_seconds() for file, each in left.items()}


def _left(file: Path, now: datetime, ends: _Ends) -> timedelta | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CryptographyDeprecationWarning)  # of authorities that others chose
            papers = x509.load_pem_x509_certificates(file.read_bytes())
    except (OSError, ValueError):
        return None
    return ends(each.not_valid_after_utc for each in papers) - now


def lasting(seen: Papers) -> Verdict:
    """Whether one has ended, or ends soon: from then on nobody who asks for TLS comes in."""
    told = [f"{file} {'ended' if left < timedelta() else 'ends'} {_days(left)}" for file, left in _read(seen)]
    shortest = min((left for _, left in _read(seen)), default=None)
    if shortest is not None and shortest < SOON:
        return (bad if shortest < timedelta() else weak)("; ".join(told))
    unread = [str(file) for file, left in seen.left.items() if left is None]
    if unread:
        return unseen(f"could not be read: {', '.join(unread)}")
    return good("; ".join(told) or "nothing speaks TLS")


def _read(seen: Papers) -> list[tuple[Path, timedelta]]:
    return sorted(((file, left) for file, left in seen.left.items() if left is not None), key=lambda pair: pair[1])


def _days(left: timedelta) -> str:
    return f"{(-left).days} days ago" if left < timedelta() else f"in {left.days} days"
