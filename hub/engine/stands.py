"""Where devices stand, and which rules are for them there: changed only where a revision, or time, changes it."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from typing import TypeVar

from hub.engine.circumstances import Circumstances, Key
from hub.engine.device import Device
from hub.engine.kind_rules import KindRules
from hub.engine.places import Place
from hub.engine.rows import DeviceRow, PlaceRow
from hub.engine.rulebook import Rulebook
from hub.rules.timers import TimerClass, Timers

AT_ONCE = 250
"""Of how many devices or places it is found at once whether their rules are others now: 5 ms where it hangs on them."""
S = TypeVar("S", Device, Place)
_TURN = TimerClass.RUNNING


class Stands:
    """The places that rules are for, by key, each with who is there and below; a device knows in which it stands."""

    def __init__(self, circumstances: Circumstances, rulebook: Rulebook) -> None:
        self._circumstances = circumstances
        self.rulebook = rulebook
        self._types = rulebook.place_types
        self._dues = Timers()
        self.places: dict[str, Place] = {}
        self.gone: dict[str, Place] = {}
        """Those of which the states are still to be ended; nobody stands there."""
        self.new: set[str] = set()
        """The keys of those that were made when places were furnished last."""

    def enter(self, devices: Iterable[Device]) -> None:
        """Let devices that stand nowhere stand where their rows say; those of one place share one tuple."""
        ways: dict[Key, tuple[Place, ...]] = {}
        for device in devices:
            here = device.row.site, device.row.place
            way = ways.get(here)
            if way is None:
                rows = self._circumstances.way_up(*here)
                found = (self.places.get(f"{row.site}/@{row.place}") for row in rows)
                way = ways[here] = tuple(place for place in found if place is not None)
            device.places = way
            for place in way:
                place.enter(device)

    @staticmethod
    def leave(devices: Iterable[Device]) -> None:
        """Let no place have these devices any more; they remember where they stood."""
        for device in devices:
            for place in device.places:
                place.leave(device)

    def unsettled(self) -> set[Key]:
        """Return the places of which the types have rules now and had none, or had some and have none."""
        types = self.rulebook.place_types
        changed, self._types = types ^ self._types, types
        if not changed:
            return set()
        return {(row.site, row.place) for row in self._circumstances.places.values() if row.type in changed}

    def furnish(self, names: Iterable[Key], at: int) -> Generator[None, None, None]:
        """Make places anew, some at a time, of which the document is another one; those without rules are ``gone``.

        Nobody may stand there or below meanwhile. The new one has the rules that the former one had.
        """
        types, self.new = self.rulebook.place_types, set()
        for number, (site, name) in enumerate(sorted(names), 1):
            if number % AT_ONCE == 0:
                yield
            row, key = self._circumstances.places.get((site, name)), f"{site}/@{name}"
            known = self.places.pop(key, None)
            if row is None or row.type not in types:
                self.gone |= {} if known is None else {key: known}
            elif known is None:
                self.places[key] = Place(row, self.rules_of(row, key, at))
                self.new.add(key)
            else:
                self.places[key] = known if known.row is row else Place(row, known.rules)

    # ---------------------------------------------------------------------------------------------------------- rules

    def rules_of(self, row: DeviceRow | PlaceRow, key: str, at: int, known: KindRules | None = None) -> KindRules:
        """Return the rules of a device or place at wall time ``at``, and wait for when they come to something else."""
        rules, until = self.rulebook.of(row, at, known), self.rulebook.until
        before = self._dues.due_of(_TURN, "", key)
        if until is not None or before is not None:  # seldom
            dues = [due for due in (until, None if known is None else before) if due is not None]
            self._dues.put(_TURN, min(dues, default=None), "", key)
        return rules

    def others(
        self, subjects: Iterable[S], at: int, former: dict[str, KindRules] | None = None, *, settled: bool = False
    ) -> Iterator[list[S]]:
        """Let devices or places have the rules that are theirs now; yield, some at a time, those that had others.

        What they had is put into ``former``, by key, unless it is ``settled``: nothing has changed of what holds where
        they are, so of the rules that stayed the same neither.
        """
        some: list[S] = []
        for number, subject in enumerate(subjects, 1):
            rules = self.rules_of(subject.row, subject.key, at, subject.rules if settled else None)
            if rules is not subject.rules:
                if former is not None and not settled:
                    former[subject.key] = subject.rules
                subject.bind(rules)
                some.append(subject)
            if number % AT_ONCE == 0:
                yield some
                some = []
        yield some

    @property
    def changes_at(self) -> int | None:
        """Return the wall time at which rules next come to something else by themselves."""
        return self._dues.next_due(_TURN)

    def due(self, at: int) -> list[str]:
        """Return, and wait no longer for, the keys of those whose rules come to something else by wall time ``at``."""
        return sorted(key for _, _, key in self._dues.due(_TURN, at))

    def forget(self, key: str) -> None:
        """Wait for nothing any more of a device or place that is gone."""
        self._dues.drop(_TURN, "", key)
