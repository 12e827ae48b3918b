"""Revisions touch only what they name: no order of them leaves anything that documents built anew would not have."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hub.engine.change import at_once
from hub.errors import ConfigError
from hub.model.heard import Publish
from tests.engine.desk import Desk, encoded
from tests.engine.foreign import foreign
from tests.engine.revised import (
    COLD,
    GUEST,
    HOT,
    KINDS,
    NAMES,
    PLACES,
    SITES,
    ZONE,
    beginning,
    body_of,
    built_anew,
    looks,
    of_site,
    other_profile,
    params_of,
    place,
    row_of,
    rule,
)

TYPES = ("building", "fire_zone", "gate", "dwelling")

SAID = (
    {"values": {"alarm": True}}, {"values": {"alarm": False, "door": "open"}}, {"values": {"temperature": 61.5}},
    {"values": {"door": "closed", "temperature": 20.5}},
    {"signals": [{"name": "access.denied", "card": "A"}], "part": "door-1"},
)  # fmt: skip

ENDS = "/2026-03-01T16:00:30+08:00"
"""START is 16:00 there: a fact or an entry that is over while it is played."""

NEVER = 2**63

LATER = "2026-03-01T16:00:10+08:00" + ENDS


def listed(site: str, place: str, said: object) -> dict[str, bytes]:
    """Return a list of a site, or of a place there."""
    words = {"site": site, "list": "vip", "place": place, "entries": {"A": said}}
    return {f"list/{site}/vip@{place}": orjson.dumps(words)}


@cache
def other_kind() -> bytes:
    return orjson.dumps({**orjson.loads(beginning()["kind/environment_sensor"]), "label": {"en": "Air", "zh": "空气"}})


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
