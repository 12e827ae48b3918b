"""What other rules come to for each device and place, found out a few at a time before their revision is journaled."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import NamedTuple

from hub.engine.change import Touched, parts
from hub.engine.compiled import Compiled
from hub.engine.device import Device
from hub.engine.kind_rules import KindRules
from hub.engine.places import key_of_place
from hub.engine.registered import Registered
from hub.engine.rows import Bodies


class Prepared(NamedTuple):
    """What ``touched`` documents compile to over what was ``former``ly compiled.

    ``rules`` are those of devices and places, which live as long as somebody has them. Whoever has prepared nothing, or
    something else, comes to the same, only later: messages wait for it.
    """

    former: Compiled
    found: Compiled
    touched: Touched
    rules: set[KindRules]

    def for_same(self, former: Compiled, touched: Touched) -> Compiled | None:
        """Return what was found, if it was found for just this."""
        is_same = former is self.former and touched.removed == self.touched.removed and touched.put == self.touched.put
        return self.found if is_same else None


def prepare(
    content: Registered, devices: Mapping[str, Device], former: Compiled, touched: Touched, at: int
) -> Generator[None, None, Prepared]:
    """Find out what ``touched`` rules and scenes come to at wall time ``at``; ConfigError when they cannot be put."""
    found = former.over(touched, Bodies(touched.over(content.documents)))
    book, rules, stands = found.rulebook, set[KindRules](), content.stands
    yield
    for some in parts([device for device in devices.values() if device.row.kind in book.concerned]):
        rules.update(book.of(device.row, at, device.rules, is_trial=True) for device in some)
        yield
    types = {kind[1:] for kind in book.concerned if kind.startswith("@")}
    for rows in parts([row for row in content.circumstances.places.values() if row.type in types] if types else []):
        for row in rows:
            place = stands.places.get(key_of_place(row))
            rules.add(book.of(row, at, None if place is None else place.rules, is_trial=True))
        yield
    return Prepared(former, found, touched, rules)
