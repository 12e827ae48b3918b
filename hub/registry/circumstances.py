"""What rules read beside devices: who stands on which list, parameters, and what holds at a place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, replace

from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import ColumnElement

from hub.errors import ConfigError
from hub.model.values import Scalar
from hub.registry import rows, schema
from hub.registry.audit import Change
from hub.registry.documents import scope_of
from hub.registry.nouns import Entry, Params, Place
from hub.registry.registry import Registry, subject_of
from hub.registry.validation import CONSENTED, IDENTIFIER, VALUE_SIZE, Key, Problem, refuse
from hub.rules.settling import in_force
from hub.veil import masked

ENDING = frozenset({"temporary", "visitor"})
"""Lists on which nothing stands for ever."""
_ENTRY = ("site", "list", "value", "place")

# ---------------------------------------------------------------------------------------------------------- lists


async def read_entries(registry: Registry) -> list[Entry]:
    """Return what stands on lists, by site, list and value."""
    async with registry.transaction() as connection:
        return await rows.entries(connection)


async def entry_problems(registry: Registry, entries: Sequence[Entry]) -> list[Problem]:
    """Return (index, what is wrong) for entries that could not be put."""
    async with registry.transaction() as connection:
        return [*await _entry_problems(connection, entries)]


async def put_entries(registry: Registry, entries: Sequence[Entry]) -> None:
    """Put all of ``entries`` on their lists, or none; one that stands there already is replaced."""
    if not entries:
        return
    async with registry.change() as change:
        connection, table = change.connection, schema.entries
        refuse("entry_invalid", await _entry_problems(connection, entries))
        known = {_entry_key(entry): entry for entry in await rows.entries(connection)}
        for entry in entries:
            await connection.execute(table.delete().where(*_is(table, entry, _ENTRY)))
            _note_entry(change, known.get(_entry_key(entry)), entry)
        await connection.execute(table.insert(), [asdict(entry) for entry in entries])


async def remove_entries(registry: Registry, site: str, name: str, values: Collection[str], *, place: str = "") -> None:
    """Take all of ``values`` off a list, or none; ConfigError ``entry_unknown``."""
    async with registry.change() as change:
        table = schema.entries
        known = {_entry_key(entry): entry for entry in await rows.entries(change.connection)}
        for value in values:
            entry = known.get((site, name, value, place))
            if entry is None:
                where = f"of {site}/{place}" if place else f"of site {site!r}" if site else "of every site"
                raise ConfigError("entry_unknown", f"{value!r} is not on list {name!r} {where}")
            await change.connection.execute(table.delete().where(*_is(table, entry, _ENTRY)))
            _note_entry(change, entry, None)


async def tidy_entries(registry: Registry, at: int) -> list[Entry]:
    """Take off what had ended by wall time ``at``, and return it: who visited once is nobody's business later."""
    async with registry.transaction() as connection:
        zones = {site.id: site.zone for site in await rows.sites(connection)}
        entries = await rows.entries(connection)
    ended = [entry for entry in entries if entry.valid and _has_ended(entry, at, zones.get(entry.site, "UTC"))]
    if ended:
        async with registry.change() as change:
            table, change.may_be_none = schema.entries, True
            for entry in ended:
                same = [*_is(table, entry, _ENTRY), table.c.valid == entry.valid]
                if (await change.connection.execute(table.delete().where(*same))).rowcount:
                    _note_entry(change, entry, None)
    return ended


def _has_ended(entry: Entry, at: int, zone: str) -> bool:
    is_on, change = in_force(entry.valid, at, zone)
    return not is_on and change is None


def _entry_key(entry: Entry) -> tuple[str, str, str, str]:
    return entry.site, entry.list, entry.value, entry.place


def _note_entry(change: Change, old: Entry | None, new: Entry | None) -> None:
    """Plates, cards and people stand on lists: the audit knows them masked."""
    mask = [None if entry is None else replace(entry, value=masked(entry.value), note="") for entry in (old, new)]
    one = next(entry for entry in mask if entry is not None)
    what = "changed" if old and new else "added" if new else "removed"
    change.changed(f"list.{what}", f"list/{one.site or '*'}/{one.list}/{one.value}", *mask)


async def _entry_problems(connection: AsyncConnection, entries: Sequence[Entry]) -> Iterator[Problem]:
    sites = {site.id for site in await rows.sites(connection)}
    known = {(entry.list, entry.value): entry.site for entry in await rows.entries(connection)}
    places = await rows.some_place_keys(connection, {(entry.site, entry.place) for entry in entries if entry.place})
    passes = [(index, text) for index, entry in enumerate(entries) for text in _wrong_pass(entry, places)]
    return iter([*_wrong_entries(entries, sites, known), *passes])


def _wrong_pass(entry: Entry, places: Collection[Key]) -> Iterator[str]:
    if entry.place and (entry.site, entry.place) not in places:
        yield f"there is no place {entry.place!r} in site {entry.site!r}: a place is one of a site"
    if entry.list in ENDING and not entry.valid.partition("/")[2]:
        yield f"what stands on the list {entry.list!r} ends some time: say until when"


def _wrong_entries(entries: Sequence[Entry], sites: Collection[str], known: dict[Key, str]) -> Iterator[Problem]:
    """Yield what is wrong; an entry of every site beside one of a single site would be two answers to one question."""
    counts = Counter(map(_entry_key, entries))
    for index, entry in enumerate(entries):
        if not IDENTIFIER.fullmatch(entry.list):
            yield index, f"list {entry.list!r} is not 1 to 64 of A-Z a-z 0-9 . _ -"
        if not (0 < len(entry.value) <= VALUE_SIZE and entry.value.isprintable()):
            yield index, f"entry {entry.value!r} is not 1 to {VALUE_SIZE} printable characters"
        if entry.site and entry.site not in sites:
            yield index, f"there is no site {entry.site!r}"
        if counts[_entry_key(entry)] > 1:
            yield index, f"{entry.value!r} stands more than once"
        other = known.setdefault((entry.list, entry.value), entry.site)
        if other != entry.site and "" in {other, entry.site}:
            where = f"of site {other!r}" if other else "of every site"
            yield index, f"{entry.value!r} is on the list {entry.list!r} {where} already: take it off there first"


# ----------------------------------------------------------------------------------------------------- parameters

_SCOPE = ("rule", "profile", "site", "place", "device")


async def read_params(registry: Registry) -> list[Params]:
    """Return the parameters of rules, by rule and what they are for."""
    async with registry.transaction() as connection:
        return await rows.params(connection)


async def set_params(registry: Registry, params: Params) -> Params:
    """Set some values, beside those that are set there already; return all of them. ConfigError ``params_invalid``."""
    async with registry.change() as change:
        places = await rows.some_place_keys(change.connection, {(params.site, params.place or params.site)})
        found = await rows.some_devices(change.connection, {(params.site, params.device)})
        refuse("params_invalid", _wrong_scope(params, places, {(device.site, device.id) for device in found}))
        return await put_params(change, params)


async def put_params(change: Change, params: Params) -> Params:
    """Set some values in a transaction that knows that what they are for is there; return all of them."""
    old = await _take(change.connection, params)
    whole = replace(params, values={**old, **params.values})
    await change.connection.execute(schema.params.insert(), [asdict(whole)])
    change.note("params.set", _params_subject(params), old, whole.values)
    return whole


async def unset_params(registry: Registry, scope: Params, names: Collection[str]) -> Params:
    """Forget the values of ``names``, all when there are none; return what stays. ConfigError ``params_unset``."""
    async with registry.change() as change:
        known = await _take(change.connection, scope)
        missing = sorted(set(names) - known.keys())
        if missing or not known:
            raise ConfigError("params_unset", f"nobody has set {', '.join(missing) or 'anything'} there")
        left = {name: value for name, value in known.items() if names and name not in names}
        whole = replace(scope, values=left)
        if left:
            await change.connection.execute(schema.params.insert(), [asdict(whole)])
        change.note("params.unset", _params_subject(scope), known, left)
    return whole


def _params_subject(params: Params) -> str:
    return f"params/{params.site or '*'}/{params.rule}/{scope_of(params)}"


async def _take(connection: AsyncConnection, params: Params) -> Mapping[str, Scalar]:
    """Remove what is set for this very scope, and return it."""
    table = schema.params
    mine = _is(table, params, _SCOPE)
    found = (await connection.execute(table.select().where(*mine))).mappings().one_or_none()
    await connection.execute(table.delete().where(*mine))
    return {} if found is None else found["values"]


def _wrong_scope(params: Params, places: Collection[Key], devices: Collection[Key]) -> Iterator[str]:
    if bool(params.profile) is bool(params.site) or (params.place and params.device):
        yield "parameters are for a profile, a site, a place of a site, or a device of a site"
        return
    if params.site and (params.site, params.place or params.site) not in places:
        yield f"there is no place {params.place or params.site!r} in site {params.site!r}"
    if params.device and (params.site, params.device) not in devices:
        yield f"there is no device {params.device!r} in site {params.site!r}"


# ---------------------------------------------------------------------------------------------------------- facts


async def read_place(registry: Registry, key: Key) -> Place:
    """Return a place (of a site: its id twice); ConfigError ``place_unknown``."""
    async with registry.transaction() as connection:
        return await _place(connection, key)


async def set_fact(registry: Registry, key: Key, name: str, value: Scalar, consent: str = "") -> Place:
    """Say what holds at a place. ConfigError ``fact_invalid``, ``place_unknown``.

    ``value`` is a truth, ``FROM/UNTIL``, or something else. What is said of a person needs their consent.
    """
    wrong = [] if IDENTIFIER.fullmatch(name) else [f"fact {name!r} is not 1 to 64 of A-Z a-z 0-9 . _ -"]
    if name in CONSENTED and value is not False and not consent:
        wrong.append(f"{name} is about a person: --consent says who agreed, and where that is written")
    refuse("fact_invalid", wrong)
    async with registry.change() as change:
        old = await _place(change.connection, key)
        place = replace(old, facts={**old.facts, name: value}, consents=_without(old.consents, name, {name: consent}))
        await _keep(change, old, place)
    return place


async def clear_fact(registry: Registry, key: Key, name: str) -> Place:
    """Say it no more; ConfigError ``fact_unknown``, ``place_unknown``."""
    async with registry.change() as change:
        old = await _place(change.connection, key)
        if name not in old.facts:
            known = ", ".join(old.facts) or "none"
            raise ConfigError("fact_unknown", f"{old.id!r} has no fact {name!r}", hint=f"its facts: {known}")
        facts = {other: value for other, value in old.facts.items() if other != name}
        place = replace(old, facts=facts, consents=_without(old.consents, name))
        await _keep(change, old, place)
    return place


def _without(consents: Mapping[str, str], name: str, new: Mapping[str, str] | None = None) -> dict[str, str]:
    kept = {other: text for other, text in consents.items() if other != name}
    return kept | {name: text for name, text in (new or {}).items() if text}


async def _place(connection: AsyncConnection, key: Key) -> Place:
    found = await rows.place(connection, key)
    if found is None:
        raise ConfigError("place_unknown", f"site {key[0]!r} has no place {key[1]!r}", hint="`hub places list`")
    return found


async def _keep(change: Change, old: Place, place: Place) -> None:
    table = schema.places
    values = {"facts": place.facts, "consents": place.consents}
    await change.connection.execute(table.update().where(*_is(table, place, ("site", "id"))).values(values))
    what = "fact.set" if place.facts.keys() >= old.facts.keys() else "fact.cleared"
    change.changed(what, subject_of(place), old, place)


def _is(table: Table, noun: object, names: Sequence[str]) -> list[ColumnElement[bool]]:
    """Return the conditions for the row of ``noun`` with the key ``names``."""
    return [table.c[name] == getattr(noun, name) for name in names]
