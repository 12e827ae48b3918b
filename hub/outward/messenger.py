"""A messenger: one channel through Apprise, whatever service its address names; on threads, for it blocks."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from copy import copy
from importlib import import_module
from threading import Thread
from typing import Any

import msgspec
from pydantic import SecretStr

from hub.errors import ConfigError
from hub.outward.parcel import Answer, Parcel, Verdict
from hub.outward.wording import Notice

ANSWER_SECONDS = 60.0
"""Apprise waits for each piece of an answer, however many come: a service that never ends is left alone after that."""
MOST_HANGING = 8

_LISTS = ("targets", "channels", "topics", "rooms")
"""Where services keep whom they tell, one after the other."""

_decode = msgspec.json.Decoder(Notice).decode
_TYPES = {"critical": "failure", "high": "failure", "medium": "warning"}


def recipients(channel: str, url: SecretStr) -> list[Any]:
    """Return a service of Apprise for each recipient that the address of ``channel`` names.

    Of several together it says only that not all were reached: all would be told again until the last one is.
    ConfigError ``apprise_missing``, ``channel_url_invalid``.
    """
    library = _apprise()
    # Else it sends on a handful of threads that all channels share, and a few that hang hold up every one.
    found: Any = library.Apprise(asset=library.AppriseAsset(async_mode=False, service_timeout=0))
    if not found.add(url.get_secret_value()):
        hint = "https://appriseit.com/services lists what each service's looks like"
        raise ConfigError("channel_url_invalid", f"channel {channel!r}: Apprise knows no such URL", hint=hint)
    return [alone for service in found.services for alone in _alone(service)]


def _alone(service: Any) -> Iterator[Any]:  # noqa: ANN401 -- an optional library
    """Yield a service for each of those whom it tells; itself where it does not say who they are."""
    for name in _LISTS:
        them = getattr(service, name, ())
        if len(service) == len(them) * (1 + service.retry) and len(them) > 1:
            for one in them:
                alone = copy(service)
                setattr(alone, name, [one])
                yield alone
            return
    yield service


class Messenger:
    """Sends notices of ``channel`` through ``services`` of Apprise, as :func:`recipients` returns them.

    A message that hangs holds up no other channel and no end of the process; with ``MOST_HANGING`` of them the channel
    waits until one is over.
    """

    def __init__(self, channel: str, services: Sequence[Any]) -> None:
        # It would log to standard error, with hosts and sometimes keys in its words.
        logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
        self._name = f"hub.notify.{channel}"
        self._hanging: list[Thread] = []
        self._service: Any = _apprise().Apprise([*services], asset=services[0].asset)

    async def send(self, parcel: Parcel) -> Answer:
        """Send a parcel once; what a service says of it stays with Apprise: it may tell secrets."""
        self._hanging = [thread for thread in self._hanging if thread.is_alive()]
        if len(self._hanging) >= MOST_HANGING:
            return Answer(verdict=Verdict.BUSY, text=f"{len(self._hanging)} messages hang in this service already")
        taken: Future[bool] = Future()
        thread = Thread(target=self._try, args=(_decode(parcel.body), taken), name=self._name, daemon=True)
        thread.start()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                if await asyncio.wrap_future(taken):
                    return Answer(verdict=Verdict.TAKEN, text="taken")
        except TimeoutError:
            self._hanging.append(thread)
            return Answer(verdict=Verdict.BUSY, text=f"no end of its answer within {ANSWER_SECONDS:.0f} s")
        return Answer(verdict=Verdict.BUSY, text="the service did not take it, or cannot be reached")

    def _try(self, notice: Notice, taken: Future[bool]) -> None:
        with suppress(InvalidStateError):  # nobody waits for it any more
            try:
                taken.set_result(self._notify(notice))
            except Exception as error:  # noqa: BLE001 -- it is raised where the result is waited for
                taken.set_exception(error)

    def _notify(self, notice: Notice) -> bool:
        sort = "success" if notice.moved == "cleared" else _TYPES.get(notice.severity, "info")
        return bool(self._service.notify(body=notice.body, title=notice.title, notify_type=sort, body_format="text"))


def _apprise() -> Any:  # noqa: ANN401 -- an optional library
    try:
        return import_module("apprise")
    except ImportError as error:
        hint = f"{sys.executable} -m pip install apprise"
        raise ConfigError("apprise_missing", "messages to people need the library Apprise", hint=hint) from error
