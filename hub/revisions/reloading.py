"""Requests that the rim does its part of first: files are read again, dead letters found; then the engine answers."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping

from msgspec.structs import replace

from hub.clock import Clock
from hub.errors import ConfigError, UnavailableError
from hub.journal.letters import RETRY
from hub.model.records import Control

RELOAD = "reload"
MOST_WAITING = 100
OTHER_FILES = "[other_files] the hub reads other files than who asked -- ask on its host, with its settings"

Documents = Mapping[str, bytes]


class Reloading:
    """Takes requests off the control stream; those to reload or take again are done one by one, the others pass.

    ``read`` returns the documents of the files (it runs in a thread), ``revise`` notes what they change and returns how
    many documents that is. A request may name the ``digest`` of what its sender read: other files are refused. When too
    many wait, the request goes on as it is, and is answered ``unchanged``. ``name`` puts dead letters into a request to
    take some again (hub/journal/letters.py).
    """

    def __init__(
        self,
        read: Callable[[], dict[str, bytes]],
        revise: Callable[[dict[str, bytes]], Awaitable[int]],
        name: Callable[[Control], Awaitable[Control]],
        note: Callable[[Control], None],
        clock: Clock,
    ) -> None:
        self._read = read
        self._revise = revise
        self._name = name
        self._note = note
        self._clock = clock
        self._waiting: asyncio.Queue[Control] = asyncio.Queue(MOST_WAITING)

    def take(self, control: Control) -> None:
        """Pass ``control`` on, or keep it until its turn."""
        is_ours = control.verb in {RELOAD, RETRY}
        if is_ours and not self._waiting.full():
            self._waiting.put_nowait(control)
        else:
            self._note(replace(control, args={}) if is_ours else control)

    async def run(self) -> None:
        """Read files or letters whenever somebody asks, until cancelled."""
        while True:
            control = await self._waiting.get()
            self._note(await self._done(control))

    async def _done(self, control: Control) -> Control:
        if control.expires_at < self._clock.wall_ns():
            return replace(control, args={})  # the engine says so too
        if control.verb == RETRY:
            return await self._name(control)
        try:
            documents = await asyncio.to_thread(self._read)
            if control.args.get("digest", "") not in {"", digest_of(documents)}:
                return replace(control, args={"refused": OTHER_FILES})
            changed = await self._revise(documents)
        except (ConfigError, UnavailableError) as error:
            return replace(control, args={"refused": str(error)})
        return replace(control, args={"changed": changed})


def digest_of(documents: Documents) -> str:
    """Return what tells one set of documents from another."""
    found = hashlib.blake2b(digest_size=16)
    for key, body in sorted(documents.items()):
        found.update(b"%d %b %d " % (len(key), key.encode(), len(body)))
        found.update(body)
    return found.hexdigest()
