"""Places become slots of a row as they are met, and errors find the place in the profile that they are about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from hub.errors import ConfigError
from hub.normalize.codecs.formats import TEXTS
from hub.normalize.payload import Format, Payload
from hub.normalize.places import WHOLE, InPlace, Place

Slots = tuple[int, ...]
Step = str | int
Path = tuple[Step, ...]


class Book:
    """The slots of one profile's rows."""

    def __init__(self, payload: Payload) -> None:
        self._payload = payload
        self._slots: dict[Place, int] = {}
        self.uses: dict[Place, list[Path]] = {}
        """Every place in the order of the slots, and where in the profile it is named."""
        self._path: Path = ()

    @property
    def places(self) -> tuple[Place, ...]:
        """Every place, in the order of the slots."""
        return tuple(self._slots)

    @contextmanager
    def at(self, *steps: Step) -> Iterator[None]:
        """Errors within name this place of the profile."""
        before, self._path = self._path, (*self._path, *steps)
        try:
            yield
        except ConfigError as error:
            error.fields.setdefault("path", self._path)
            raise
        finally:
            self._path = before

    def slots(self, places: Sequence[Place]) -> Slots:
        """Return the slots of ``places``, in their order."""
        resolved = [self._resolved(place) for place in places]
        for place in resolved:
            self.uses.setdefault(place, []).append(self._path)
        return tuple(self._slots.setdefault(place, len(self._slots)) for place in resolved)

    def is_of_message(self, places: Sequence[Place]) -> bool:
        """Return whether the payload has records, and none of ``places`` stands in one."""
        block = WHOLE if self._payload.cuts_itself else self._payload.cut_block
        blocks = [place.block if isinstance(place, InPlace) else "" for place in map(self._resolved, places)]
        return set(blocks) == {WHOLE} if block == WHOLE else block is not None and block not in blocks

    def is_text(self, block: str | None) -> bool:
        """Return whether a block (None: the payload) writes numbers as texts."""
        words = self._payload.inside.get(block or "")
        return (self._payload.format if words is None else Format(words.format)) in TEXTS

    def path_of(self, error: ConfigError) -> Path:
        """Return where the profile names the place that a codec refused."""
        refused = error.fields.get("place")
        for place, (path, *_) in self.uses.items():
            if refused == place or (isinstance(place, InPlace) and place.place == refused):
                return path
        known = error.fields.get("path", ())
        return known if isinstance(known, tuple) else ()

    def _resolved(self, place: Place) -> Place:
        """Return a written place as what it means: ``D>10`` in a block, ``$.a`` or ``$26`` outside the records."""
        if isinstance(place, str):
            block, arrow, rest = place.partition(">")
            if arrow and block in self._payload.inside:
                return InPlace(block, rest)
            if place.startswith(WHOLE):
                place = InPlace(WHOLE, place[len(WHOLE) :].lstrip("./"))
        if isinstance(place, InPlace) and place.block == WHOLE and not self._payload.cuts_itself:
            return place.place
        return place
