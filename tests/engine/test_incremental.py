"""Revisions touch only what they name: no order of them leaves anything that documents built anew would not have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import cache
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hub.engine import rows
from hub.engine.change import AT_ONCE, at_once
from hub.engine.content import Content
from hub.engine.device import Device
from hub.engine.hearing import Ear
from hub.engine.judging import Judge
from hub.engine.known import DeviceState
from hub.engine.outfits import Outfits
from hub.engine.places import Place
from hub.engine.rows import Document
from hub.engine.rulebook import Rulebook
from hub.engine.state import State
from hub.errors import ConfigError
from hub.model.heard import Publish
from hub.model.records import NewRevision, Record
from hub.revisions.revision import differing
from tests.counting import counted
from tests.engine.desk import Desk, device, documents, encoded
from tests.engine.foreign import RAW, foreign

SITES, PLACES, NAMES = ("s1", "s2"), ("b1", "z1", "g1"), ("a", "b", "c", "d")
TYPES = ("building", "fire_zone", "gate", "dwelling")
KINDS = ("smoke_sensor", "access_controller", "environment_sensor")
SAID = (
    {"values": {"alarm": True}}, {"values": {"alarm": False, "door": "open"}}, {"values": {"temperature": 61.5}},
    {"values": {"door": "closed", "temperature": 20.5}},
    {"signals": [{"name": "access.denied", "card": "A"}], "part": "door-1"},
)  # fmt: skip
HOT = {
    "rule": "hot", "version": "1.0.0", "for_each": "environment_sensor", "params": {"limit": 50.0},
    "facts": {"free_exit": False}, "when": "temperature > $limit", "unless": "$free_exit",
    "raise": {"event": "fire.hot", "severity": "high"},
}  # fmt: skip
COLD = {
    "rule": "cold", "version": "1.0.0", "for_each": "environment_sensor", "when": "temperature < 21",
    "schedule": {"from": "16:01", "until": "18:00"},
    "raise": {"event": "device.cold", "severity": "low"},
}  # fmt: skip
GUEST = {
    "rule": "guest", "version": "1.0.0", "for_each": "access_controller", "on_signal": "access.denied",
    "where": "card in list('vip')", "raise": {"event": "access.guest", "severity": "low"},
}  # fmt: skip
ZONE = {
    "rule": "zone", "version": "1.0.0", "for_each": "fire_zone",
    "inputs": {"alarming": {"of": ["smoke_sensor"], "where": "alarm", "take": "distinct(device)", "within": "180s"}},
    "when": "alarming >= 1", "raise": {"event": "fire.zone", "severity": "high"},
}  # fmt: skip
ENDS = "/2026-03-01T16:00:30+08:00"
"""START is 16:00 there: a fact or an entry that is over while it is played."""
NEVER = 2**63
LATER = "2026-03-01T16:00:10+08:00" + ENDS


@cache
def beginning() -> dict[str, bytes]:
    found = documents(RAW, foreign("cam-1", "smoke_sensor", "milesight/gs524n", "raw", "cam-1"))
    wanted = ("kind/", "rule/door-held", "rule/smoke-alarm", "rule/device-offline", "rule/fire-", "source/", "device/")
    used = ("profile/milesight/gs524n", "network/raw")
    found = {key: body for key, body in found.items() if key.startswith((*wanted, *used))}
    return {**found, **{f"place/{site}/{site}": place(site, site, "site", "") for site in SITES}}


def place(site: str, name: str, kind: str, parent: str, **facts: object) -> bytes:
    row = {
        "site": site, "place": name, "type": kind, "parent": parent, "building": "b1" if name == "b1" else "",
        "zone": "Asia/Shanghai", "label": {}, "facts": facts,
    }  # fmt: skip
    return orjson.dumps(row, option=orjson.OPT_SORT_KEYS)


def row_of(site: str, name: str, kind: str, at: str, profile: str) -> dict[str, bytes]:
    ((key, body),) = device(name, kind, profile, building=at, site=site).items()
    return {key: body}


def body_of(site: str, name: str) -> bytes:
    (body,) = device(name, KINDS[0], site=site).values()
    return body


def rule(words: Mapping[str, object], **more: object) -> dict[str, bytes]:
    return {f"rule/{words['rule']}": orjson.dumps({**words, **more})}


def of_site(noun: str, site: str, name: str, **more: object) -> dict[str, bytes]:
    """Return what parameters of a rule are at a site, who is on a list of it, or that a scene is off there."""
    what = {"params": "rule", "list": "list", "off": "scene"}[noun]
    return {f"{noun}/{site}/{name}": orjson.dumps({"site": site, what: name, **more})}


def listed(site: str, place: str, said: object) -> dict[str, bytes]:
    """Return a list of a site, or of a place there."""
    words = {"site": site, "list": "vip", "place": place, "entries": {"A": said}}
    return {f"list/{site}/vip@{place}": orjson.dumps(words)}


def params_of(name: str, **where: str) -> dict[str, bytes]:
    """Return other parameters of HOT for whom they are: a profile, a place and what is below it, a device, anybody."""
    return {f"params/{name}": orjson.dumps({"rule": "hot", "values": {"limit": 30 + len(name)}, **where})}


@cache
def other_kind() -> bytes:
    return orjson.dumps({**orjson.loads(beginning()["kind/environment_sensor"]), "label": {"en": "Air", "zh": "空气"}})


@cache
def other_profile(number: int) -> bytes:
    return orjson.dumps({**orjson.loads(beginning()["profile/milesight/gs524n"]), "version": f"{number}.9.0"})


where, who = st.sampled_from(SITES), st.sampled_from(NAMES)
put = st.one_of(
    st.builds(row_of, where, who, st.sampled_from(KINDS), st.sampled_from((*PLACES, "s1")), st.just("")),
    st.builds(row_of, where, who, st.just("smoke_sensor"), st.sampled_from(PLACES), st.just("milesight/gs524n")),
    st.builds(
        lambda name, network_id: foreign(name, "smoke_sensor", "milesight/gs524n", "raw", network_id),
        who, st.sampled_from(("cam-1", "cam-2")),
    ),
    st.builds(
        lambda site, name, kind, parent, facts: {f"place/{site}/{name}": place(site, name, kind, parent, **facts)},
        where, st.sampled_from(PLACES), st.sampled_from(TYPES), st.sampled_from(("s1", *PLACES)),
        st.sampled_from(({}, {"free_exit": True}, {"free_exit": ENDS}, {"free_exit": LATER})),
    ),
    st.sampled_from((rule(HOT), rule(HOT, when="temperature > $limit + 5"), rule(ZONE), rule(ZONE, version="2.0.0"))),
    st.sampled_from((rule(COLD), rule(COLD, version="2.0.0"), rule(GUEST), rule(HOT, for_each="smoke_sensor"))),
    st.builds(lambda site, number: of_site("params", site, "hot", values={"limit": number}), where, st.just(40)),
    st.builds(listed, where, st.just(""), st.sampled_from((True, ENDS))),
    st.builds(listed, where, st.sampled_from(PLACES), st.just(True)),  # noqa: FBT003 -- what an entry says
    st.builds(
        lambda site, name: params_of(f"{site}/hot/{name}", site=site, place=name), where, st.sampled_from(PLACES)
    ),
    st.builds(lambda site, name: params_of(f"{site}/hot/device:{name}", site=site, device=name), where, who),
    st.sampled_from((params_of("hot"), params_of("hot/profile:x", profile="milesight/gs524n"))),
    st.just({"kind/environment_sensor": other_kind()}),
    st.just({"scene/warm": orjson.dumps({"scene": "warm", "rules": ["hot", "smoke-alarm"]})}),
    st.builds(lambda site: of_site("off", site, "warm"), where),
    st.builds(lambda number: {"profile/milesight/gs524n": other_profile(number)}, st.integers(1, 2)),
    st.builds(lambda site, name: {f"barred/{site}/{name}": body_of(site, name)}, where, who),
)  # fmt: skip


step = st.one_of(
    st.tuples(st.just("put"), st.lists(put, min_size=1, max_size=3)),
    st.tuples(st.just("remove"), st.lists(st.integers(0, 40), min_size=1, max_size=2)),
    st.tuples(st.just("say"), st.tuples(where, who, st.sampled_from(SAID))),
    st.tuples(st.just("wait"), st.sampled_from((1, 20, 400))),
    st.tuples(st.just("look aside"), st.just(0)),
)
MAY_GO = (
    "barred/", "device/", "kind/env", "list/", "off/", "params/", "place/s1/b", "place/s1/z", "place/s2/", "rule/",
    "scene/",
)  # fmt: skip


class Life:
    """A community whose documents change; now and then somebody puts a checkpoint aside, from which it goes on too."""

    def __init__(self) -> None:
        self.desk = Desk(beginning())
        self.wanted = dict(beginning())
        self.aside: list[tuple[Desk, int]] = []

    def step(self, what: str, words: Any) -> None:  # noqa: ANN401 -- as drawn
        match what:
            case "put":
                self._revise({key: body for each in words for key, body in each.items()})
            case "remove":
                known = sorted(key for key in self.wanted if key.startswith(MAY_GO))
                self._revise({}, {known[number % len(known)] for number in words} if known else set())
            case "say":
                site, name, payload = words
                topic = f"hub/{site}/{name}/{'signal' if 'signals' in payload else 'telemetry'}"
                self.desk.hear(Publish(topic, orjson.dumps(payload)))
            case "wait":
                self.desk.tick(words)
            case _:
                self.aside.append((self.desk.restart(), len(self.desk.records)))

    def _revise(self, more: Mapping[str, bytes], gone: frozenset[str] | set[str] = frozenset()) -> None:
        wanted = {key: body for key, body in {**self.wanted, **more}.items() if key not in gone}
        if wanted == self.wanted:
            return
        try:
            self._try_out(wanted)
        except ConfigError:  # nobody would journal that
            with pytest.raises(ConfigError):
                self.desk.revise(wanted)
        else:
            self.desk.revise(wanted)
            self.wanted = wanted

    def _try_out(self, wanted: Mapping[str, bytes]) -> None:
        """Find out beforehand what that comes to, as a hub does and a replay never."""
        put = {key: body for key, body in wanted.items() if self.wanted.get(key) != body}
        at_once(self.desk.engine.content.try_out(put, {key for key in self.wanted if key not in wanted}))


def looks(content: Content) -> dict[str, object]:
    """Return what an engine works with, as words: what is not the same object is the same word for word."""
    devices = list(content.devices())
    found: dict[str, object] = {each.key: _look(each) for each in devices}
    found |= {key: _look_of_place(each) for key, each in content.stands.places.items()}
    found |= {f"of {site}": [each.key for each in content.devices_of(site)] for site in SITES}
    called = {name: content.of_network("raw", name) for name in ("cam-1", "cam-2")}
    found |= {f"called {name}": None if each is None else each.key for name, each in called.items()}
    return found | {"rules": sorted(content.rules), "bodies": dict(content.bodies())}


def _look(device: Device) -> tuple[object, ...]:
    row, outfit = device.row, device.outfit
    profile = None if not device.profile else outfit.reach
    return row, _words(device), [each.key for each in device.places], device.called, outfit.guards.keys(), profile


def _look_of_place(place: Place) -> tuple[object, ...]:
    there = {kind: [each.key for each in devices] for kind, devices in sorted(place.by_kind.items())}
    return place.row, _words(place), there, place._idle  # noqa: SLF001 -- what never begins there shows nowhere else


def _words(subject: Device | Place) -> list[tuple[object, ...]]:
    rules = subject.rules.by_name.values()
    waking = [rule.name for rule in subject.rules._waking]  # noqa: SLF001 -- as above
    return [(rule.rule, rule.lists, rule.is_open) for rule in rules] + [tuple(waking)]


def built_anew(content: Content, state: State) -> Content:
    fresh = Content()
    bodies = content.bodies()
    fresh.documents = {key: Document(bodies[key]) for key in bodies}
    states = {f"device/{each.key}": each.state for each in content.devices()}
    copies = State()
    copies.clock = state.clock
    fresh.restore({key: DeviceState(each.heard_awake) for key, each in states.items()}, copies)
    return fresh


NESTED = [
    (
        "put",
        [{"place/s1/z1": place("s1", "z1", "fire_zone", "s1"), "place/s1/b1": place("s1", "b1", "building", "z1")}],
    ),
    ("put", [row_of("s1", "a", KINDS[0], "b1", ""), rule(ZONE)]),
    ("put", [{"place/s1/z1": place("s1", "z1", "gate", "s1")}]),
]
"""A device below a place that rules are for, which then is no such place any more."""
ENDING: list[tuple[str, Any]] = [
    ("put", [{"place/s1/b1": place("s1", "b1", "building", "s1", free_exit=ENDS)}, rule(HOT), rule(GUEST)]),
    ("put", [row_of("s1", "a", "environment_sensor", "b1", ""), row_of("s1", "b", "access_controller", "b1", "")]),
    ("put", [of_site("list", "s1", "vip", entries={"A": ENDS})]),
    ("put", [rule(COLD)]),
    ("wait", 1),
    ("wait", 400),
]
"""What ends by itself, with a revision of other rules before it does: what it comes to is then not asked again."""


@settings(deadline=None, max_examples=12)
@example(played=NESTED)
@example(played=ENDING)
@given(played=st.lists(step, max_size=25))
def test_what_revisions_leave_is_what_their_documents_built_anew_would_be(played: list[tuple[str, Any]]) -> None:
    life = Life()
    for what, words in played:
        life.step(what, words)
        if what in {"put", "remove", "wait"}:
            content = life.desk.engine.content
            anew = built_anew(content, life.desk.engine.state)
            assert looks(content) == looks(anew)
            assert (content.changes_at or NEVER) <= (anew.changes_at or NEVER), (
                "of a rule that went it may look once more"
            )


@settings(deadline=None, max_examples=12)
@given(st.lists(step, max_size=25))
def test_whoever_was_killed_at_any_point_and_goes_on_from_a_checkpoint_comes_to_the_same(
    played: list[tuple[str, Any]],
) -> None:
    life = Life()
    for what, words in played:
        life.step(what, words)
    for desk, begins in life.aside:
        effects = [desk.engine.apply(record) for record in life.desk.records[begins:]]
        assert encoded(effects) == encoded(life.desk.effects[begins:])
        desk.write_down()
        life.desk.write_down()
        assert desk.checkpoint == life.desk.checkpoint


# ------------------------------------------------------------------------------------------------------ work, counted

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
