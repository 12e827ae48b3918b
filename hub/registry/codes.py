"""The five codes (五码): person, household, vehicle, device and place, which belong together from a day until a day."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import ConfigError
from hub.registry import rows, schema
from hub.registry.audit import Change
from hub.registry.code_kinds import DEVICE, HOUSEHOLD, PLACE, Found, Kinds, Link
from hub.registry.registry import Registry
from hub.registry.validation import CONSENTED, Key, refuse

OF_RESIDENTS = CONSENTED | {"away"}
"""Facts of a dwelling that are about who lives there: they end with a moving out."""

_DAY = timedelta(days=1)


async def read_links(registry: Registry) -> list[Link]:
    """Return all links, also those that have ended."""
    async with registry.transaction() as connection:
        return await _links(connection)


async def put_links(registry: Registry, kinds: Kinds, links: Sequence[Link]) -> None:
    """Link codes, all or none; ConfigError ``link_invalid``: unknown device or place, twice at the same time."""
    async with registry.change() as change:
        refuse("link_invalid", [*await _wrong_links(change.connection, links)])
        await _put(change, kinds, [_ordered(link) for link in links])


async def end_links(registry: Registry, kinds: Kinds, pair: tuple[str, str], day: date) -> list[Link]:
    """Let two codes no longer belong together from ``day`` on; return what ended. ConfigError ``link_unknown``."""
    wanted = _ordered(Link(one=pair[0], other=pair[1]))
    async with registry.change() as change:
        known = await _links(change.connection)
        mine = [link for link in known if (link.one, link.other) == (wanted.one, wanted.other)]
        ended = [link for link in mine if _lasts(link, day)]
        if not ended:
            raise ConfigError("link_unknown", f"{kinds.shown(pair[0])} and {kinds.shown(pair[1])} are not linked then")
        await _end(change, kinds, ended, day)
    return ended


async def move_in(registry: Registry, kinds: Kinds, household: str, codes: Sequence[str], day: date) -> list[Link]:
    """Link a household to a dwelling, and persons and vehicles to the household, from ``day`` on."""
    if not any(code.startswith(f"{PLACE}:") for code in codes):
        raise ConfigError("link_invalid", "say where they move in", hint=f"{PLACE}:SITE/DWELLING")
    links = [Link(one=household, other=code, begins=day.isoformat()) for code in codes]
    async with registry.change() as change:
        known = {(link.one, link.other) for link in await _links(change.connection) if link.holds(day.isoformat())}
        new = [link for link in map(_ordered, links) if (link.one, link.other) not in known]
        refuse("link_invalid", [*await _wrong_links(change.connection, new)])
        change.may_be_none = True
        await _put(change, kinds, new)
    return new


async def move_out(registry: Registry, kinds: Kinds, household: str, day: date) -> tuple[list[Link], list[str]]:
    """Let a household live nowhere from ``day`` on; return the links that ended, and the facts that went with them.

    What a dwelling says of who lives there (that they are watched over, and agreed) ends, too: the next ones did not.
    """
    async with registry.change() as change:
        known = [link for link in await _links(change.connection) if household in {link.one, link.other}]
        ended = [link for link in known if _lasts(link, day) and _end_of(link, household).startswith(f"{PLACE}:")]
        if not ended:
            raise ConfigError("link_unknown", f"{kinds.shown(household)} does not live anywhere then")
        await _end(change, kinds, ended, day)
        facts: list[str] = []
        for link in ended:
            facts += await _forget_facts(change, _key(_end_of(link, household)), day)
    return ended, facts


async def forget(registry: Registry, kinds: Kinds, code: str) -> int:
    """Remove every link of a code, past ones included, as somebody may ask who is behind it; return how many."""
    async with registry.change() as change:
        mine = [link for link in await _links(change.connection) if code in {link.one, link.other}]
        if not mine:
            raise ConfigError("link_unknown", f"nothing is linked to {kinds.shown(code)}")
        for link in mine:
            await _remove(change, link)
            change.note("code.forgotten", kinds.shown(code), before={"kind": _end_of(link, code).partition(":")[0]})
    return len(mine)


async def links_of(connection: AsyncConnection, site: str) -> list[Link]:
    """Return the links of what is at a site, and all of households that live nowhere else."""
    known, named = await _links(connection), tuple(f"{kind}:{site}/" for kind in (DEVICE, PLACE))
    mine = {link for link in known if link.one.startswith(named) or link.other.startswith(named)}
    homes = {(end, link in mine) for link in known for end in _housed(link)}
    homeless = {end for end, is_here in homes if is_here and (end, False) not in homes}
    return [link for link in known if link in mine or homeless & {link.one, link.other}]


async def remove_links(change: Change, links: Sequence[Link]) -> None:
    """Remove ``links`` in a change that is under way and says so itself."""
    for link in links:
        await _remove(change, link)


def _housed(link: Link) -> Iterator[str]:
    """Yield the household of a link that says where it lives."""
    for code in (link.one, link.other):
        if code.startswith(f"{HOUSEHOLD}:") and _end_of(link, code).startswith(f"{PLACE}:"):
            yield code


async def resolve(registry: Registry, code: str, day: date, *, most_steps: int = 4) -> list[Found]:
    """Return what ``code`` leads to on ``day``, the nearest first; devices and their places lead to each other."""
    beside: dict[str, list[Link]] = {}
    found = {code: Found(code=code, steps=0, via="")}
    edge = [code]
    async with registry.transaction() as connection:
        for link in await _links(connection):
            if link.holds(day.isoformat()):
                beside.setdefault(link.one, []).append(link)
                beside.setdefault(link.other, []).append(link)
        for steps in range(1, most_steps + 1):
            for one, other in await _standing(connection, edge):
                beside.setdefault(one, []).append(Link(one=one, other=other))
            edge = _reached(beside, edge, found, steps)
    return [*found.values()][1:]


async def _standing(connection: AsyncConnection, codes: Sequence[str]) -> list[tuple[str, str]]:
    """Return (code, what it leads to) of the devices among ``codes``, where they stand, and of the places who does."""
    keys = {kind: {_key(code) for code in codes if code.startswith(f"{kind}:")} for kind in (DEVICE, PLACE)}
    there = {*await rows.devices_at(connection, keys[PLACE]), *keys[DEVICE]}
    found: list[tuple[str, str]] = []
    wanted = frozenset(codes)
    for device in await rows.some_devices(connection, there):
        one, at = f"{DEVICE}:{device.site}/{device.id}", f"{PLACE}:{device.site}/{device.place or device.site}"
        found += [(here, other) for here, other in ((one, at), (at, one)) if here in wanted]
    return found


def _reached(
    beside: Mapping[str, Sequence[Link]], edge: Sequence[str], found: dict[str, Found], steps: int
) -> list[str]:
    """Return, and add to what is ``found``, what was not and is beside the ``edge``."""
    reached: list[str] = []
    for here in edge:
        for link in sorted(beside.get(here, ()), key=lambda each: _end_of(each, here)):
            name = _end_of(link, here)
            if name not in found:
                found[name] = Found(code=name, steps=steps, via=here, begins=link.begins, ends=link.ends)
                reached.append(name)
    return reached


# ---------------------------------------------------------------------------------------------------------- the rows


async def _links(connection: AsyncConnection) -> list[Link]:
    query = schema.links.select().order_by(*schema.links.primary_key)
    return [Link(**row) for row in (await connection.execute(query)).mappings()]


async def _put(change: Change, kinds: Kinds, links: Sequence[Link]) -> None:
    if links:
        rows_ = [{"one": each.one, "other": each.other, "begins": each.begins, "ends": each.ends} for each in links]
        await change.connection.execute(schema.links.insert(), rows_)
    for link in links:
        change.note("code.linked", _subject(kinds, link), after={"begins": link.begins, "ends": link.ends})


async def _end(change: Change, kinds: Kinds, links: Sequence[Link], day: date) -> None:
    """Let ``links`` end with the day before ``day``; one that would then never have held goes."""
    last = (day - _DAY).isoformat()
    for link in links:
        await _remove(change, link)
        new = replace(link, ends=last)
        is_kept = link.begins <= last
        if is_kept:
            values = {"one": new.one, "other": new.other, "begins": new.begins, "ends": new.ends}
            await change.connection.execute(schema.links.insert().values(values))
        change.note(
            "code.unlinked",
            _subject(kinds, link),
            {"begins": link.begins, "ends": link.ends},
            {"begins": new.begins, "ends": new.ends} if is_kept else None,
        )


async def _remove(change: Change, link: Link) -> None:
    table = schema.links
    mine = (table.c.one == link.one, table.c.other == link.other, table.c.begins == link.begins)
    await change.connection.execute(table.delete().where(*mine))


async def _forget_facts(change: Change, key: Key, day: date) -> list[str]:
    old = await rows.place(change.connection, key)
    if old is None:
        return []
    last = (day - _DAY).isoformat()
    ended = {name: _ended(old.facts[name], last) for name in sorted(OF_RESIDENTS & old.facts.keys())}
    ended = {name: value for name, value in ended.items() if value != old.facts[name]}
    if ended:
        new = replace(old, facts={**old.facts, **ended})
        table = schema.places
        mine = table.update().where(table.c.site == key[0], table.c.id == key[1])
        await change.connection.execute(mine.values(facts=new.facts))
        change.changed("fact.ended", f"{PLACE}/{key[0]}/{key[1]}", old, new)
    return [f"{PLACE}:{key[0]}/{key[1]} {name}" for name in ended]


def _ended(said: object, last: str) -> bool | str:
    """Return what holds until ``last`` at most: false when it would never have."""
    begins, _, ends = said.partition("/") if isinstance(said, str) else ("", "", "")
    if said is False or (begins and begins[: len(last)] > last):
        return False
    return f"{begins}/{ends if ends and ends[: len(last)] <= last else last}"


# ----------------------------------------------------------------------------------------------------------- what holds


async def _wrong_links(connection: AsyncConnection, links: Sequence[Link]) -> Iterator[str]:
    ends = {code for link in links for code in (link.one, link.other)}
    named = {kind: {_key(code) for code in ends if code.startswith(f"{kind}:")} for kind in (PLACE, DEVICE)}
    places = await rows.some_place_keys(connection, named[PLACE])
    devices = {(device.site, device.id) for device in await rows.some_devices(connection, named[DEVICE])}
    known = await _links(connection)
    return _problems(links, known, {PLACE: places, DEVICE: devices})


def _problems(links: Sequence[Link], known: Sequence[Link], there: Mapping[str, Collection[Key]]) -> Iterator[str]:
    beside = list(known)
    for link in map(_ordered, links):
        for code in (link.one, link.other):
            kind = code.partition(":")[0]
            if kind in there and _key(code) not in there[kind]:
                yield f"there is no {code}"
        if link.one == link.other:
            yield "a code does not belong to itself"
        if link.ends and link.begins > link.ends:
            yield f"from {link.begins} until {link.ends} is never"
        if any(_overlap(link, other) for other in beside):
            yield f"{link.one.partition(':')[0]} and {link.other.partition(':')[0]} are linked then already"
        beside.append(link)


def _overlap(one: Link, other: Link) -> bool:
    is_same = (one.one, one.other) == (other.one, other.other)
    starts_before = not other.ends or one.begins <= other.ends
    return is_same and starts_before and (not one.ends or other.begins <= one.ends)


def _lasts(link: Link, day: date) -> bool:
    """Return whether a link holds on ``day`` or later."""
    return not link.ends or link.ends >= day.isoformat()


def _ordered(link: Link) -> Link:
    one, other = sorted((link.one, link.other))
    return replace(link, one=one, other=other)


def _end_of(link: Link, code: str) -> str:
    return link.other if link.one == code else link.one


def _key(code: str) -> Key:
    site, _, name = code.partition(":")[2].partition("/")
    return site, name


def _subject(kinds: Kinds, link: Link) -> str:
    return f"{kinds.shown(link.one)} {kinds.shown(link.other)}"
