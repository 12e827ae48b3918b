"""What a revision costs, counted: the work of what it names, however much else there is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import orjson
import pytest

from hub.engine import rows
from hub.engine.change import AT_ONCE
from hub.engine.hearing import Ear
from hub.engine.judging import Judge
from hub.engine.outfits import Outfits
from hub.engine.places import Place
from hub.engine.rulebook import Rulebook
from hub.model.heard import Publish
from hub.model.records import NewRevision, Record
from hub.revisions.revision import differing
from tests.counting import counted
from tests.engine.desk import Desk, device
from tests.engine.revised import (
    COLD,
    HOT,
    KINDS,
    ZONE,
    beginning,
    built_anew,
    looks,
    of_site,
    other_profile,
    params_of,
    place,
    rule,
)

HOMES = 400


def town() -> dict[str, bytes]:
    """Return a site with a zone in which many devices stand, each at a place of its own."""
    places = {f"place/s1/h{number}": place("s1", f"h{number}", "dwelling", "z1") for number in range(HOMES)}
    found = {**beginning(), "place/s1/z1": place("s1", "z1", "fire_zone", "s1"), **places, **rule(HOT), **rule(ZONE)}
    for number in range(HOMES):
        found |= device(f"d{number:03}", KINDS[number % 3], building=f"h{number}")
    return found


WATCHED = (
    (Outfits, "equip"), (Rulebook, "of"), (Rulebook, "has_turned"), (Place, "enter"), (Place, "leave"),
    (Judge, "watch"), (Ear, "_route"), (rows, "read_row"),
)  # fmt: skip


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count who is read, equipped and placed, of whom the rules and the topic are looked up, who is waited for."""
    counts: Counter[str] = Counter()
    for owner, name in WATCHED:
        counted(monkeypatch, owner, name, counts)
    return counts


def note_of(desk: Desk, more: Mapping[str, bytes], gone: str = "") -> NewRevision:
    """Return a revision that nobody has tried, for that is work too."""
    known = desk.engine.content.bodies()
    note = differing(known, {key: body for key, body in {**known, **more}.items() if key != gone}, "test")
    assert note is not None
    return note


NEW = device("new", "smoke_sensor", building="h7")

MOVED = {key: body.replace(b"h7", b"h8") for key, body in NEW.items()}


def test_a_revision_of_one_is_the_work_of_one_however_many_there_are(work: Counter[str]) -> None:
    desk = Desk(town())
    said = [Publish(f"hub/s1/d{number:03}/telemetry", b'{"values": {"humidity": 20.5}}') for number in range(HOMES)]
    desk.hear(*said)
    kind = len(range(2, HOMES, 3))
    for what, more, gone, found in (
        ("a device more", NEW, "", {"read_row": 1, "equip": 1, "of": 1, "enter": 1, "watch": 1}),
        ("it is elsewhere", MOVED, "", {"read_row": 1, "equip": 1, "of": 1, "leave": 1, "enter": 1}),
        ("it is gone", {}, "device/s1/new", {"leave": 1}),
        ("a place is another thing", {"place/s1/h3": place("s1", "h3", "gate", "z1")}, "",
         {"leave": 1, "of": 1, "enter": 1}),
        ("a rule", rule(HOT, when="temperature > $limit + 1"), "", {"of": kind}),
        ("what holds for a device", params_of("1", site="s1", device="d005"), "", {"of": 1, "watch": 1}),
        ("what holds at a place", params_of("2", site="s1", place="h8"), "", {"of": 1, "watch": 1}),
        ("what holds at a site", params_of("3", site="s1"), "", {"of": kind, "watch": kind - 2}),
        ("a list that a zone asks alone", of_site("list", "s1", "vip", entries={"A": True}), "", {"of": 1}),
        ("a profile", {"profile/milesight/gs524n": other_profile(1)}, "", {"equip": 1, "watch": 1}),
    ):  # fmt: skip
        note = note_of(desk, more, gone)
        work.clear()
        desk.say(note.revision, bodies=note.bodies)
        desk.hear(*said)
        assert dict(work) == found, what


def test_a_revision_of_many_devices_pauses_every_few_hundred_of_them(work: Counter[str]) -> None:
    desk = Desk(beginning())
    many = {key: body for number in range(2_000) for key, body in device(f"d{number}", KINDS[number % 3]).items()}
    note = note_of(desk, many)
    record = Record(len(desk.records) + 1, desk.t + 10, desk.wall, note.revision, (), note.bodies)
    most = 0
    work.clear()
    for _ in desk.engine.portions(record):
        most = max([most, *work.values()])
        work.clear()
    assert 0 < most <= AT_ONCE
    assert len([*desk.engine.content.devices()]) == 2_001


def test_devices_that_need_what_nobody_else_has_have_it_compiled_once_when_tried(
    monkeypatch: pytest.MonkeyPatch, work: Counter[str]
) -> None:
    desk = Desk(town())
    counted(monkeypatch, Outfits, "_make", work)
    many: dict[str, bytes] = {}
    for number in range(2 * AT_ONCE):
        ((key, body),) = device(f"d{number}", "smoke_sensor", "milesight/gs524n").items()
        many[key] = body.replace(b"Asia/Shanghai", b"Asia/Tokyo")
    work.clear()
    for _ in desk.engine.content.try_out(many):
        pass
    assert (work["equip"], work["_make"]) == (2 * AT_ONCE, 1)
    desk.revise(town() | many)
    assert work["_make"] == 2, "once more by the desk's own trial of everything, and not when they are taken"


def test_what_each_has_compiled_of_its_own_is_compiled_beforehand_with_a_pause_behind_each(
    monkeypatch: pytest.MonkeyPatch, work: Counter[str]
) -> None:
    desk = Desk(town())
    counted(monkeypatch, Rulebook, "_compiled", work)
    kind, own = range(2, HOMES, 3), dict[str, bytes]()
    for number in kind:
        words = {"rule": "hot", "site": "s1", "device": f"d{number:03}", "values": {"limit": number + 0.5}}
        own[f"params/s1/hot/device:d{number:03}"] = orjson.dumps(words)
    compiled = [work.pop("_compiled", 0) for _ in desk.engine.content.try_out(own)]
    assert (max(compiled), sum(compiled)) == (1, len(kind))
    note = note_of(desk, own)
    desk.say(note.revision, bodies=note.bodies)
    assert work["_compiled"] == 0, "what messages would wait for"
    assert looks(desk.engine.content) == looks(built_anew(desk.engine.content, desk.engine.state))


def test_a_window_that_opens_and_closes_each_day_has_the_rules_of_each_device_compiled_once(
    monkeypatch: pytest.MonkeyPatch, work: Counter[str]
) -> None:
    two = {**COLD, "rule": "two", "schedule": {"from": "17:00", "until": "19:00"}}
    cold, other = (
        rule({**each, "params": {"limit": 21.0}, "when": "temperature < $limit"}) for each in (COLD, two)
    )  # fmt: skip
    found = {**beginning(), **cold, **other}
    for number in range(10):
        found |= device(f"d{number}", "environment_sensor")
        for name in ("cold", "two"):
            own = {"rule": name, "site": "s1", "device": f"d{number}", "values": {"limit": number + 0.5}}
            found[f"params/s1/{name}/device:d{number}"] = orjson.dumps(own)
    desk = Desk(found)
    counted(monkeypatch, Rulebook, "_compiled", work)
    compiled = []
    for _ in range(3):
        work.clear()
        for _ in range(24):
            desk.tick(3_600)
        compiled.append(work["_compiled"])
    assert compiled == [20, 0, 0]  # at first what they are outside of their windows: 40 each day when nobody kept them
    assert looks(desk.engine.content) == looks(built_anew(desk.engine.content, desk.engine.state))
