"""Doubles: what a drill puts beside real detectors to speak in their place; nothing real sees or counts them."""

from __future__ import annotations

import msgspec

from hub.engine.alarms import Alarms
from hub.engine.change import Change, at_once
from hub.engine.content import Content
from hub.engine.hearing import Ear
from hub.engine.moment import Moment
from hub.engine.rows import DOUBLE
from hub.engine.state import State
from hub.model.records import Revision


class Doubles:
    """Lets doubles come and go with their drills: each is a device document that no registry has written.

    A double is where its original is, also when that is moved, and reads payloads on the topic class ``drill`` by the
    profile that the registry says: without one the native payload, also where a directory knows the original's model.
    It is never real: what it raises is marked, of a place only what the drill tries hears it, it has neither twin nor
    points, no command is for it (its original takes those), and it is not missed when it says nothing.
    """

    def __init__(self, state: State, content: Content, alarms: Alarms, ear: Ear) -> None:
        self._state = state
        self._content = content
        self._alarms = alarms
        self._ear = ear

    def settle(self, moment: Moment) -> None:
        """Make and remove what the drills that run ask for."""
        wanted = self._wanted()
        held = self._content.documents
        removed = sorted(key for key in held if key.endswith(DOUBLE) and key not in wanted)
        put = {key: key for key, body in wanted.items() if key not in held or held[key].body != body}
        if not put and not removed:
            return
        change = at_once(self._content.revise(Revision("", put, removed), wanted, self._state, moment))
        self.forget(change, moment)
        self._content.settle(change, self._state)
        self._alarms.modes.forget_places()
        self._ear.revised(change)

    def forget(self, change: Change, moment: Moment) -> None:
        """End what doubles raised that ``change`` removes, and forget what they said."""
        for double in [one for one in change.removed_devices if one.is_double]:
            self._alarms.forget_subject(double, moment, why="drill over")

    def _wanted(self) -> dict[str, bytes]:
        """Return the documents of all doubles; one whose original is gone goes too."""
        found: dict[str, bytes] = {}
        for site, name in sorted(self._alarms.modes.doubled()):
            original = self._content.find(site, name)
            if original is not None:
                row = msgspec.structs.replace(original.row, device=f"{name}{DOUBLE}", source="", network_id="")
                found[f"device/{site}/{row.device}"] = msgspec.json.encode(row)
        return found
