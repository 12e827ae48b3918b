"""Histories are drawn: what a town may come to hear, each step with its chance, the same for the same seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from hub.model.records import OutcomeKind
from hub.model.values import Scalar
from tests.engine.histories import abroad
from tests.engine.histories.playing import LAST, Step
from tests.engine.histories.strangers import STRANGERS
from tests.engine.histories.town import (
    BEHIND_MS,
    DEVICES,
    DOORS,
    EYES,
    FACT,
    KINDS,
    LIFTS,
    NEXT_DOOR,
    PLACES,
    ROOMS,
    RULES,
)

Words = dict[str, Any]
RULE_NAMES = tuple(line.split()[1] for line in RULES.splitlines() if line.startswith("rule:"))
AREAS = ("@b1", "@b2", "@s1")
ROOM_SAYS = {"temperature": (-30.0, 10.0, 25.0, 35.0, 55.0, 65.0, 80.0), "humidity": (20.0, 60.0, 91.0, 95.0)}
DOOR_SAYS = {"door": ("open", "closed"), "lock": ("locked", "unlocked")}
LIFT_SAYS = {
    "ebike_present": (True, False), "entrapment_level": (True, False, False), "door": ("open", "closed"),
    "mode": ("normal", "inspection", "fire_operation"),
}  # fmt: skip
EYE_SAYS = {"ebike_present": (True, False), "armed": (True, False)}
SIGNALS = ("exit_button.pressed", "access.granted", "access.denied")


def draw(seed: int, steps: int) -> list[Step]:
    """Return the history of a seed."""
    chance = Random(seed)  # noqa: S311 -- a seeded generator is the point: the same history for the same seed
    weights = list(CHANCES.values())
    return [each(chance) for each in chance.choices(list(CHANCES), weights, k=steps)]


def _some(chance: Random, said: Mapping[str, tuple[Scalar, ...]]) -> dict[str, Scalar]:
    names = [name for name in said if chance.random() < 0.7] or [chance.choice([*said])]
    return {name: chance.choice(said[name]) for name in names}


def _device_says(chance: Random) -> Step:
    name = chance.choice((*DEVICES, *NEXT_DOOR))
    readings = [_reading(chance, name) for _ in range(chance.choice((1, 1, 1, 1, 2, 3)))]
    is_said = any("signals" in each for each in readings)
    as_class = "drill" if chance.random() < 0.05 else "signal" if is_said else "telemetry"
    times = chance.choice((12, 80)) if chance.random() < 0.06 else 1
    return Step("says", {"name": name, "readings": readings, "as_class": as_class, "times": times})


def _reading(chance: Random, name: str) -> Words:
    name = name.rpartition("/")[2]
    if name in (*LIFTS, *EYES):
        return {"values": _some(chance, LIFT_SAYS if name in LIFTS else EYE_SAYS)}
    if name in DOORS:
        return _of_a_door(chance)
    reading: Words = {"values": _some(chance, ROOM_SAYS)}
    if name in BEHIND_MS and chance.random() < 0.8:
        reading["ago_ms"] = BEHIND_MS[name] + chance.choice((0, 0, 0, 100, 2_000, 30_000, 70_000, -240_000))
    return reading


def _of_a_door(chance: Random) -> Words:
    reading: Words = {"values": _some(chance, DOOR_SAYS)}
    if chance.random() < 0.7:
        reading["part"] = chance.choice(("door-1", "door-2"))
    if chance.random() < 0.5:
        names = chance.sample(SIGNALS, chance.choice((1, 1, 2)))
        reading["signals"] = [{"name": name, "card": chance.choice(("1", "2"))} for name in names]
        reading["signals"] = [
            each if each["name"] != SIGNALS[0] else {"name": SIGNALS[0]} for each in reading["signals"]
        ]
    return reading


# ---------------------------------------------------------------------------------------------------- time and life


def _time_passes(chance: Random) -> Step:
    return Step("ticks", {"seconds": chance.choice((0.1, 1, 1, 3, 6, 11, 20, 40, 70, 130))})


def _our_clock_steps(chance: Random) -> Step:
    return Step("our_clock_steps", {"seconds": chance.choice((-600, -7, 7, 600))})


def _is_cut_off(chance: Random) -> Step:
    return Step("is_cut_off", {"again": chance.choice((0, 1, 3, LAST)), "lost": chance.choice((0, 0, 1, 2))})


def _begins_a_checkpoint(chance: Random) -> Step:
    return Step("begins_a_checkpoint", {"size": chance.choice((1, 400, 4_000, 1_000_000))})


# ---------------------------------------------------------------------------------------------------------- documents


def _device_moves(chance: Random) -> Step:
    place, building = chance.choice([(each, "b2" if each == "b2" else "b1") for each in PLACES])
    name = chance.choice((*DEVICES, *STRANGERS))
    return Step("is_changed", {"key": f"device/s1/{name}", "place": place, "building": building})


def _device_is_another_thing(chance: Random) -> Step:
    return Step("is_changed", {"key": f"device/s1/{chance.choice(DEVICES)}", "kind": chance.choice(KINDS)})


def _something_is_removed(chance: Random) -> Step:
    devices, places = (f"device/s1/{name}" for name in (*DEVICES, *STRANGERS)), (f"place/s1/{name}" for name in PLACES)
    rules = (f"rule/{name}" for name in RULE_NAMES)
    return Step("is_removed", {"key": chance.choice((*devices, *devices, *places, *rules, "off/s1/warmth"))})


def _device_is_barred(chance: Random) -> Step:
    name, state = chance.choice((*DEVICES, *STRANGERS)), chance.choice(("disabled", "retired"))
    return Step("is_barred", {"name": name, "state": state})


def _rule_is_revised(chance: Random) -> Step:
    words: Words = chance.choice((
        {"key": "rule/hot", "when": f"temperature > $limit - {chance.choice((10, 20))}"},
        {"key": "rule/hot", "for": chance.choice(("5s", "1m"))},
        {"key": "rule/two-hot", "when": f"hot >= {chance.choice((1, 3))}"},
        {"key": "rule/quiet", "params": {"limit": chance.choice(("30s", "5m"))}},
        {"key": "rule/hot", "for_each": {"place": "building"}},
        {"key": "rule/forced", "for_each": {"kind": ["access_controller"]}},
        {"key": f"rule/{chance.choice(RULE_NAMES)}", "version": f"{chance.randint(2, 9)}.0.0"},
    ))  # fmt: skip
    return Step("is_changed", words)


def _something_is_said_of_rules(chance: Random) -> Step:
    """Parameters, facts, lists, a scene that is off, a quota."""
    where: Words = chance.choice(({}, {"place": "b1"}, {"place": "b2"}, {"device": "env-1"}))
    until = f"2026-03-01T16:0{chance.randint(0, 9)}"
    fact = chance.choice((True, False, f"{until}/", f"/{until}"))
    quiet = {"rule": "quiet", "site": "s1", **where, "values": {"limit": chance.choice(("10s", "1m", "3m"))}}
    hot = {"rule": "hot", "site": "s1", **where, "values": {"limit": chance.choice((20.0, 60.0))}}
    which = chance.choice(("b1", "b2", "env-1"))
    return chance.choice((
        Step("is_put", {"key": f"params/quiet-{which}", "document": quiet}),
        Step("is_put", {"key": f"params/hot-{which}", "document": hot}),
        Step("is_changed", {"key": FACT, "facts": {"away": fact}}),
        Step("is_put", {"key": "list/s1/guests", "document": {"site": "s1", "list": "guests", "entries": {"1": fact}}}),
        Step("is_put", {"key": "off/s1/warmth", "document": {"site": "s1", "scene": "warmth"}}),
        Step("is_put", {"key": "quota/devices", "document": {"per_second": 0.2, "burst": chance.choice((2, 10))}}),
    ))  # fmt: skip


# ----------------------------------------------------------------------------------------------------------- people


def _something_is_tried(chance: Random) -> Step:
    what = chance.choice((*ROOMS, *AREAS))
    doubles, rules = chance.choice(("env-1", "env-1 env-2", "env-3")), chance.choice(("hot", "hot damp", "very-hot"))
    words: Words = chance.choice((
        {"verb": "test", "for": chance.choice(("30s", "5m"))}, {"verb": "end_test"}, {"verb": "end_drill"},
        {"verb": "drill", "for": "2m", "rules": rules}, {"verb": "drill", "for": "2m", "doubles": doubles},
        {"verb": "drill", "for": "2m", "rules": rules, "with_commands": True},
    ))  # fmt: skip
    return Step("is_asked", {"what": what, "reason": "a look", **words, **_at_a_site(chance)})


def _at_a_site(chance: Random) -> Words:
    return {"site": "s2"} if chance.random() < 0.1 else {}


def _command_is_asked(chance: Random) -> Step:
    command = chance.choice(("unlock", "lock", "hold_door", "release_door", "recall", "arm"))
    words: Words = {"verb": "command", "device": chance.choice((*DOORS, *LIFTS, *EYES)), "command": command}
    if chance.random() < 0.5:
        words["ttl"] = chance.choice(("5s", "30s"))
    if chance.random() < 0.3:
        words["part"] = "door-1"
    if chance.random() < 0.15:
        del words["device"]
        words["place"] = chance.choice(PLACES)
    return Step("is_asked", words | _at_a_site(chance))


def _state_is_desired(chance: Random) -> Step:
    value: Words = {"value": chance.choice((True, False))} if chance.random() < 0.8 else {}
    return Step("is_asked", {"verb": "desire", "device": EYES[0], "name": "armed", "reason": "a look", **value})


def _alarm_is_handled(chance: Random) -> Step:
    words: Words = chance.choice((
        {"verb": "ack"}, {"verb": "comment", "text": "seen"}, *[{"verb": "clear", "role": "security"}] * 2,
        *[{"verb": "shelve", "for": chance.choice(("0s", "1m", "5m"))}] * 2,
    ))  # fmt: skip
    return Step("is_asked_of_an_alarm", {"which": chance.randrange(60), **words})


def _second_person_agrees(chance: Random) -> Step:
    return Step("is_agreed_to", {"actor": chance.choice(("wang", "wang", "li"))})


# --------------------------------------------------------------------------------------------------------- commands


def _command_is_seen(chance: Random) -> Step:
    return Step("a_command_is", {"which": chance.randrange(LAST), "kind": chance.choice(list(OutcomeKind))})


def _command_is_answered(chance: Random) -> Step:
    state = chance.choice(({}, {"lock": "unlocked"}, {"lock": "locked"}))
    return Step("a_command_is_answered", {"which": chance.randrange(LAST), "ok": chance.random() < 0.7, "state": state})


def _just(what: str) -> Callable[[Random], Step]:
    return lambda _: Step(what)


CHANCES: Mapping[Callable[[Random], Step], int] = {
    _device_says: 40, _time_passes: 18, _our_clock_steps: 1, _is_cut_off: 2, _just("is_lost"): 2,
    _just("catches_up"): 3, _just("starts"): 1, _just("restarts"): 2, _begins_a_checkpoint: 2, _just("is_killed"): 1,
    _device_moves: 2, _device_is_another_thing: 2, _something_is_removed: 2, _device_is_barred: 1, _rule_is_revised: 2,
    _just("everything_is_as_it_was"): 2, _something_is_said_of_rules: 2, _something_is_tried: 6, _command_is_asked: 4,
    _state_is_desired: 2, _alarm_is_handled: 6, _second_person_agrees: 1, _command_is_seen: 6, _command_is_answered: 4,
    **abroad.CHANCES,
}  # fmt: skip
