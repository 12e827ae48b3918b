"""A messenger: one channel through Apprise, whatever service its address names; on a thread, for it blocks."""

from __future__ import annotations

import asyncio
import logging
from importlib import import_module
from typing import Any

import msgspec
from pydantic import SecretStr

from hub.errors import ConfigError
from hub.outward.parcel import Answer, Parcel, Verdict
from hub.outward.wording import Notice

_decode = msgspec.json.Decoder(Notice).decode
_TYPES = {"critical": "failure", "high": "failure", "medium": "warning"}


class Messenger:
    """Sends notices to the Apprise URL of ``channel``. ConfigError ``apprise_missing``, ``channel_url_invalid``."""

    def __init__(self, channel: str, url: SecretStr) -> None:
        # It would log to standard error, with hosts and sometimes keys in its words.
        logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
        self._service: Any = _apprise().Apprise()
        if not self._service.add(url.get_secret_value()):
            hint = "https://appriseit.com/services lists what each service's looks like"
            raise ConfigError("channel_url_invalid", f"channel {channel!r}: Apprise knows no such URL", hint=hint)

    async def send(self, parcel: Parcel) -> Answer:
        """Send a parcel once; what a service says of it stays with Apprise: it may tell secrets."""
        notice = _decode(parcel.body)
        if await asyncio.to_thread(self._notify, notice):
            return Answer(verdict=Verdict.TAKEN, text="taken")
        return Answer(verdict=Verdict.BUSY, text="the service did not take it, or cannot be reached")

    def _notify(self, notice: Notice) -> bool:
        sort = "success" if notice.moved == "cleared" else _TYPES.get(notice.severity, "info")
        return bool(self._service.notify(body=notice.body, title=notice.title, notify_type=sort, body_format="text"))


def _apprise() -> Any:  # noqa: ANN401 -- an optional library
    try:
        return import_module("apprise")
    except ImportError as error:
        hint = "pip install 'residential-hub[notify]'"
        raise ConfigError("apprise_missing", "messages to people need the library Apprise", hint=hint) from error
