"""The five codes: what leads where on which day, moving in and out, and references that say nothing of people."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date

import pytest

from hub.errors import ConfigError
from hub.model.values import CodeForm, PlaceType
from hub.registry import audit, codes
from hub.registry.circumstances import read_place
from hub.registry.code_kinds import Kinds, Link, new_reference
from hub.registry.nouns import Device, Place, Site
from hub.registry.registry import Registry

KINDS = Kinds({"card": CodeForm.WORD})
PERSON = "person:4f2ac1d09b7e88aa0123"
HOME, NEXT = "household:00c1d09b7e88aa012345", "household:11c1d09b7e88aa012345"
CAR = "plate:鲁B12345"
FLAT, DETECTOR = "place:s1/d1", "device:s1/smoke-1"
MARCH, APRIL = date(2026, 3, 1), date(2026, 4, 1)


@pytest.fixture
async def registry(url: str) -> AsyncIterator[Registry]:
    """A dwelling with a detector in it."""
    async with Registry(url, actor="mei") as opened:
        await opened.add_site(Site(id="s1", zone="Asia/Shanghai"))
        await opened.add_places(
            [
                Place(
                    site="s1",
                    id="d1",
                    type=PlaceType.DWELLING,
                    facts={"care_watch": True, "away": "2026-03-20/2026-04-20", "noisy": True},
                    consents={"care_watch": "form 17"},
                ),
                Place(site="s1", id="d2", type=PlaceType.DWELLING),
            ]
        )
        await opened.add_devices([Device(site="s1", id="smoke-1", kind="smoke_sensor", place="d1")])
        yield opened


async def found(registry: Registry, code: str, day: date, **more: int) -> dict[str, int]:
    return {each.code: each.steps for each in await codes.resolve(registry, code, day, **more)}


async def test_a_plate_leads_to_the_household_its_dwelling_and_the_detector_in_it(registry: Registry) -> None:
    await codes.move_in(registry, KINDS, HOME, [FLAT, PERSON, CAR], MARCH)
    assert await found(registry, CAR, MARCH) == {HOME: 1, PERSON: 2, FLAT: 2, DETECTOR: 3}
    assert await found(registry, DETECTOR, MARCH) == {FLAT: 1, HOME: 2, PERSON: 3, CAR: 3}
    assert await found(registry, CAR, MARCH, most_steps=1) == {HOME: 1}
    assert await found(registry, CAR, date(2026, 2, 28)) == {}


async def test_who_moved_out_is_found_there_until_the_day_before(registry: Registry) -> None:
    await codes.move_in(registry, KINDS, HOME, [FLAT, CAR], MARCH)
    await codes.move_out(registry, KINDS, HOME, APRIL)
    await codes.move_in(registry, KINDS, NEXT, [FLAT], APRIL)
    assert HOME in await found(registry, FLAT, date(2026, 3, 31))
    assert NEXT not in await found(registry, FLAT, date(2026, 3, 31))
    assert await found(registry, FLAT, APRIL) == {NEXT: 1, DETECTOR: 1}
    assert await found(registry, CAR, APRIL) == {HOME: 1}  # the car stays theirs


async def test_what_residents_agreed_to_ends_when_they_move_out(registry: Registry) -> None:
    await codes.move_in(registry, KINDS, HOME, [FLAT], MARCH)
    ended, facts = await codes.move_out(registry, KINDS, HOME, APRIL)
    assert [(link.begins, link.ends) for link in ended] == [("2026-03-01", "")]
    assert facts == ["place:s1/d1 away", "place:s1/d1 care_watch"]
    place = await read_place(registry, ("s1", "d1"))
    assert place.facts == {"care_watch": "/2026-03-31", "away": "2026-03-20/2026-03-31", "noisy": True}


async def test_who_never_moved_in_cannot_move_out(registry: Registry) -> None:
    with pytest.raises(ConfigError, match="does not live anywhere then"):
        await codes.move_out(registry, KINDS, HOME, APRIL)


async def test_moving_in_says_where(registry: Registry) -> None:
    with pytest.raises(ConfigError, match="say where"):
        await codes.move_in(registry, KINDS, HOME, [PERSON], MARCH)
    with pytest.raises(ConfigError, match="there is no place:s1/d9"):
        await codes.move_in(registry, KINDS, HOME, ["place:s1/d9", PERSON], MARCH)
    assert await codes.read_links(registry) == []


async def test_moving_in_twice_changes_only_what_is_new(registry: Registry) -> None:
    await codes.move_in(registry, KINDS, HOME, [FLAT, PERSON], MARCH)
    new = await codes.move_in(registry, KINDS, HOME, [FLAT, PERSON, CAR], APRIL)
    assert [(link.one, link.other, link.begins) for link in new] == [(HOME, CAR, "2026-04-01")]
    assert await codes.move_in(registry, KINDS, HOME, [FLAT, PERSON, CAR], APRIL) == []


async def test_a_link_that_ends_before_it_began_never_was(registry: Registry) -> None:
    await codes.put_links(registry, KINDS, [Link(one=CAR, other=HOME, begins="2026-04-01")])
    await codes.end_links(registry, KINDS, (HOME, CAR), MARCH)
    assert await codes.read_links(registry) == []
    with pytest.raises(ConfigError, match="are not linked then"):
        await codes.end_links(registry, KINDS, (HOME, CAR), MARCH)


@pytest.mark.parametrize(
    ("link", "complaint"),
    [
        (Link(one=CAR, other=CAR), "does not belong to itself"),
        (Link(one=CAR, other="device:s1/x"), "there is no device:s1/x"),
        (Link(one=CAR, other=HOME, begins="2026-04-01", ends="2026-03-01"), "is never"),
        (Link(one=HOME, other=PERSON, begins="2026-03-15"), "linked then already"),
        (Link(one=PERSON, other=HOME, ends="2026-03-10"), "linked then already"),
    ],
)
async def test_a_link_that_makes_no_sense_is_refused(registry: Registry, link: Link, complaint: str) -> None:
    known = Link(one=HOME, other=PERSON, begins="2026-03-10", ends="2026-03-20")
    await codes.put_links(registry, KINDS, [known])
    with pytest.raises(ConfigError, match=complaint):
        await codes.put_links(registry, KINDS, [Link(one=CAR, other=PERSON), link])
    assert await codes.read_links(registry) == [known]


async def test_two_links_of_a_pair_may_follow_each_other(registry: Registry) -> None:
    first = Link(one=HOME, other=PERSON, begins="2026-03-10", ends="2026-03-20")
    later = Link(one=HOME, other=PERSON, begins="2026-03-21")
    await codes.put_links(registry, KINDS, [first, later])
    assert await codes.read_links(registry) == [first, later]


async def test_a_forgotten_person_is_nowhere(registry: Registry) -> None:
    await codes.move_in(registry, KINDS, HOME, [FLAT, PERSON], MARCH)
    assert await codes.forget(registry, KINDS, PERSON) == 1
    assert PERSON not in repr(await codes.read_links(registry))
    async with registry.transaction() as connection:
        told = repr(await audit.lines(connection))
    for personal in (PERSON, HOME, CAR):
        assert personal.partition(":")[2] not in told
    assert "code.forgotten" in told


# ---------------------------------------------------------------------------------------------------------- the codes


@pytest.mark.parametrize(
    "text",
    [
        "person:zhangwei",
        "person:张伟",
        "person:13812345678",
        "person:370281199001011234",
        "person:deadbeef",
        "household:3-502",
        "plate:鲁",
        "place:d1",
        "device:s1/a/b",
        "pet:1",
        "card:",
        "card:a\nb",
        "鲁B12345",
    ],
)
def test_what_is_no_code_or_names_a_person_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="code_invalid"):
        KINDS.read(text)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("plate:鲁b·12345", CAR),
        ("person:4f2ac1d0-9b7e-48aa-8123-00aa00bb00cc", "person:4f2ac1d0-9b7e-48aa-8123-00aa00bb00cc"),
        ("card:0012 3457", "card:0012 3457"),
        (f" {FLAT}", FLAT),
    ],
)
def test_a_code_is_kept_as_readers_say_it(text: str, code: str) -> None:
    assert KINDS.read(text) == code


@pytest.mark.parametrize("kind", ["person", "household"])
def test_a_new_reference_is_one(kind: str) -> None:
    code = new_reference(kind)
    assert KINDS.read(code) == code
    assert new_reference(kind) != code


def test_what_leads_to_people_is_shown_masked() -> None:
    assert [KINDS.shown(each) for each in (CAR, PERSON, FLAT)] == ["plate:鲁B12**5", "person:4f***3", FLAT]
