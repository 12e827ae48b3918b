"""Payloads that were read before and tell no time, against the way of any message: the same effects and state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import orjson
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hub.engine import sparing
from hub.engine.hearing import Ear
from hub.engine.sparing import Sparing, Stored
from hub.model.heard import Publish
from hub.model.values import Values
from hub.normalize.profile import Store
from hub.sinks.timeseries.lines import WRITING, draw, encode
from tests.engine.conversations import RULES, Outcome, outcome_of, settle, upset
from tests.engine.desk import SECOND, Desk, device, documents

STORES: Mapping[str, Mapping[str, object]] = {
    "all": {},
    "changes": {"store": {"on_change": True, "at_least_every": "60s"}},
    "steps": {"store": {"on_change": True, "deadband": {"temperature": 1.5}}},
}
MORE_RULES = """\
rule: gone-quiet
label: {en: Gone quiet, zh: 失联}
for_each: environment_sensor
absent_for: 10m
raise: {event: device.gone_quiet, severity: low}
---
rule: somebody-rang
label: {en: Somebody rang, zh: 有人按铃}
for_each: access_controller
on_signal: doorbell.pressed
raise: {event: access.rang, severity: info}
"""
BELL = {
    "profile": "test/bell", "version": "1.0.0", "kind": "access_controller", "label": {"en": "bell"},
    "payload": {"format": "json"}, "time": {"from": "none"}, "properties": {"door": {"path": "d"}},
    "signals": {"doorbell.pressed": {"only": {"b": 1}}},
}  # fmt: skip
WORDS = (
    b'{"t":20.0,"h":50.0}', b'{"t":20,"h":50.0}', b'{"t":21.0,"h":50.0}', b'{"t":45.0,"h":50.0}', b'{"t":0.0,"h":50.0}',
    b'{"t":-0.0,"h":50.0}', b'{"t":21.0}', b'{"h":1000.0,"t":20.0}', b'{"h":"wet"}', b'{"x":1}', b'{"t":20.0,"h":50.0',
    b'{"t":20.0,"h":50.0,"p":"north"}', b'{"t":20.0,"h":50.0,"again":true}', b'{"t":20.0,"s":1}',
)  # fmt: skip
SAID = st.tuples(
    st.sampled_from([*STORES, "changes", "twice"]), st.sampled_from([*WORDS, *WORDS[:5], *WORDS[:5]]),
    st.sampled_from([0.5, 1, 1, 30, 61, 3_600]),
    st.sampled_from([None] * 16 + ["lose", "restart", "tick", "save", "blind", "retain", "back"]),
)  # fmt: skip
Said = tuple[str, bytes, float, str | None]


def _profile(name: str, words: Mapping[str, object]) -> dict[str, bytes]:
    properties = {"temperature": {"path": "t"}, "humidity": {"path": "h"}}
    found: dict[str, object] = {
        "profile": f"test/{name}", "version": "1.0.0", "kind": "environment_sensor", "label": {"en": name},
        "payload": {"format": "json"}, "time": {"from": "none"}, "backfill": {"path": "again", "is": [True]},
        "messages": [{"part": {"path": "p", "name": "{}"}, "properties": properties}], **words,
    }  # fmt: skip
    return {f"profile/test/{name}": orjson.dumps(found)}


@pytest.fixture(name="content", scope="module")
def _content(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    rules: Path = tmp_path_factory.mktemp("rules")
    (rules / "heat.yaml").write_text(f"{RULES}---\n{MORE_RULES}", encoding="utf-8")
    devices = [device(name, "environment_sensor", f"test/{name}") for name in STORES]
    found = documents(*devices, device("twice", "environment_sensor", "test/changes"), rules=[rules])
    for name, words in STORES.items():
        found |= _profile(name, words)
    found |= {**device("bell", "access_controller", "test/bell"), "profile/test/bell": orjson.dumps(BELL)}
    mine = ("kind/", "device/", "profile/test/", "rule/too-hot", "rule/gone-quiet", "rule/somebody-rang")
    return {key: body for key, body in found.items() if key.startswith(mine)}


def conversation(desk: Desk, words: Sequence[Said]) -> Iterator[Desk]:
    for who, payload, after, what in words:
        desk.wait(after)
        if what == "back":  # our own clock
            desk.wall -= 90 * SECOND
        desk = upset(desk, what)
        desk.hear(Publish(f"hub/s1/{who}/telemetry", payload, retain=what == "retain"))
        settle(desk, what)
        yield desk


def outcome(words: Sequence[Said], content: dict[str, bytes]) -> Outcome:
    desk = Desk(content)
    return outcome_of(desk, conversation(desk, words))


COLD, WARM, HOT = (("changes", payload, 1.0, None) for payload in (WORDS[0], WORDS[2], WORDS[3]))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(words=[COLD, WARM, COLD, WARM, COLD, WARM])
@example(words=[*[COLD, WARM] * 3, ("changes", WORDS[0], 61.0, None), WARM, COLD])
@example(words=[*[COLD, WARM] * 3, ("changes", WORDS[0], 1.0, "back"), WARM, COLD])
@example(words=[*[COLD, HOT] * 3, ("twice", WORDS[3], 1.0, None), ("twice", WORDS[0], 1.0, "save"), HOT, COLD])
@example(words=[*[COLD, WARM] * 2, ("changes", WORDS[2], 1.0, "retain"), ("changes", WORDS[0], 1.0, "blind"), WARM])
@example(words=[*[COLD, WARM] * 2, ("changes", WORDS[6], 1.0, None), ("changes", WORDS[6], 1.0, None), COLD, WARM])
@example(words=[COLD, *[("changes", WORDS[12], 1.0, None)] * 3, *[("changes", WORDS[7], 1.0, None)] * 3])
@example(words=[COLD, COLD, ("changes", WORDS[0], 3_600.0, "tick"), COLD])
@example(words=[*[("bell", b'{"d":"open","b":1}', 1.0, None)] * 3, *[("bell", b'{"d":"open"}', 1.0, None)] * 3])
@given(words=st.lists(SAID, min_size=1, max_size=40))
def test_what_was_said_before_ends_as_what_is_said_for_the_first_time(
    words: list[Said], content: dict[str, bytes]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sparing, "STEPS", 6)  # so that they are forgotten now and then
        known = outcome(words, content)
        patch.setattr(Ear, "_take_known", lambda *_: False)
        assert outcome(words, content) == known


def taken(words: Sequence[Said], content: dict[str, bytes]) -> list[bool]:
    """Return of each message of devices that have spoken whether it went the way of what is known."""
    found: list[bool] = []
    real = Ear._take_known  # noqa: SLF001 -- which way it took shows nowhere else

    def take(*given: object) -> bool:
        found.append(real(*given))  # type: ignore[arg-type] # handed through as it came
        return found[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ear, "_take_known", take)
        outcome(words, content)
    return found


def test_a_payload_that_comes_again_goes_the_way_of_what_is_known(content: dict[str, bytes]) -> None:
    fresh, other = (("changes", payload, 1.0, None) for payload in (b'{"t":2.5,"h":3.5}', b'{"t":3.5,"h":3.5}'))
    assert taken([fresh, other, fresh, other], content) == [False, True, True]
    assert taken([COLD, COLD, ("changes", WORDS[0], 1.0, "retain"), COLD], content) == [True, False, True]
    twice = ("twice", WORDS[0], 1.0, None)
    assert taken([COLD, COLD, twice, twice], content) == [True, True]
    part = ("changes", WORDS[11], 1.0, None)
    assert taken([COLD, part, part], content) == [False, False]


def test_what_may_show_that_a_command_was_done_is_no_usual_word(content: dict[str, bytes]) -> None:
    *_, desk = conversation(Desk(content), [COLD, COLD])
    found = desk.engine.content.find("s1", "changes")
    assert found is not None
    message, ear = Publish("hub/s1/changes/telemetry", WORDS[0]), desk.engine._ear  # noqa: SLF001 -- as above
    assert ear._take_known(found, message, 0)  # noqa: SLF001 -- as above
    found.is_awaited = True
    assert not ear._take_known(found, message, 0)  # noqa: SLF001 -- as above


def test_what_is_known_becomes_the_lines_of_the_points_that_it_would(content: dict[str, bytes]) -> None:
    words = [(who, payload, 1.0, None) for who in STORES for payload in (*WORDS[:6], *WORDS[:6], *WORDS[:2])]
    one, other = Desk(content), Desk(content, WRITING)
    for desk in (one, other):
        assert [*conversation(desk, words)][-1] is desk
    assert [each.lines for each in other.effects] == [encode(each.points) for each in one.effects]
    assert other.engine.state.ledger == one.engine.state.ledger


@example([(1, 0), (2, 4), (3, 0), (9, 4), (5, 0)], False, None)  # noqa: FBT003 -- drawn
@example([(1, 0), (2, 4), (3, 6), (4, 4), (5, 6)], False, 0.1)  # noqa: FBT003 -- drawn
@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 9)), max_size=30), st.booleans(), st.sampled_from([0.1, None])
)
def test_a_step_between_known_values_is_what_a_look_at_each_finds(
    said: list[tuple[int, int]],
    renews: bool,  # noqa: FBT001 -- drawn
    band: float | None,
) -> None:
    every, bands = {"at_least_every": "5s"} if renews else {}, {} if band is None else {"deadband": {"speed": band}}
    words = Store.model_validate({"on_change": True, **every, **bands})
    pool: list[Values] = [{"speed": speed, "up": up} for speed in (0.0, -0.0, 0.07, 0.12) for up in (True, False)]
    pool += [{"up": True}, {"up": True, "speed": 0.0}]
    short, long, one, other = Stored(), Stored(), Sparing(words), Sparing(words)
    for seconds, number in said:
        values, time = pool[number], seconds * SECOND
        step = one.step(values, time, short, draw)
        kept = one.spare(values, time, short) if step is None else step.kept
        assert step is None or step.drawn == draw(kept)
        assert repr(kept) == repr(other.spare(dict(values), time, long))
        assert repr(short) == repr(long)
