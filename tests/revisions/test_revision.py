"""Revisions: what YAML and registry say is checked before it is journaled."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from hub.engine.device import Device
from hub.engine.outfits import Outfits
from hub.errors import ConfigError
from hub.revisions.revision import revise
from tests.engine.desk import COMMUNITY, Desk, device, documents

WANTED = documents(*COMMUNITY)


def test_nothing_new_is_no_revision() -> None:
    assert revise(WANTED, dict(WANTED), "1") is None


def test_a_revision_carries_only_what_changed() -> None:
    note = revise(WANTED, WANTED | device("new", "smoke_sensor"), "1")
    assert note is not None
    assert list(note.revision.put) == ["device/s1/new"]
    assert list(note.bodies) == list(note.revision.put.values())


def test_what_is_gone_is_removed() -> None:
    smaller = {key: body for key, body in WANTED.items() if key != "device/s1/door-1"}
    note = revise(WANTED, smaller, "1")
    assert note is not None
    assert list(note.revision.removed) == ["device/s1/door-1"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (device("new", "no_such_kind"), "unknown_kind"),
        (device("new", "smoke_sensor", "nobody/nothing"), "unknown_profile"),
    ],
)
def test_a_device_that_the_engine_could_not_work_with_is_refused(change: dict[str, bytes], code: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        revise(WANTED, WANTED | change, "1")
    assert refusal.value.code == code


def place(name: str, facts: dict[str, object]) -> dict[str, bytes]:
    row = {"site": "s1", "place": name, "type": "building", "parent": "s1", "building": name, "zone": "Asia/Shanghai"}
    return {f"place/s1/{name}": orjson.dumps({**row, "label": {}, "facts": facts}, option=orjson.OPT_SORT_KEYS)}


def gates(count: int, **where: str) -> dict[str, bytes]:
    """Return devices that are alike."""
    return {key: body for n in range(count) for key, body in device(f"z-{n}", "access_controller", **where).items()}


def controller(name: str, doors: object) -> dict[str, bytes]:
    """Return a device whose profile asks how many doors it has."""
    ((key, body),) = device(name, "access_controller", "zkteco/c3-400").items()
    return {key: orjson.dumps({**orjson.loads(body), "params": {"doors": doors}}, option=orjson.OPT_SORT_KEYS)}


@pytest.mark.parametrize("odd", [1.0, True])
def test_what_python_takes_for_one_is_not_alike(odd: object) -> None:
    """Nobody looked at 1.0 beside 1, and the engine made one outfit for both; without the 1 no hub started again."""
    assert revise(WANTED, WANTED | controller("a-1", 1), "1") is not None
    with pytest.raises(ConfigError) as refusal:
        revise(WANTED, WANTED | controller("a-1", 1) | controller("z-1", odd), "1")
    assert refusal.value.code == "value_misfit"


PARAMS = b'{"rule":"door-held-open","site":"s1","device":"z-7","values":{"no":1}}'


@pytest.mark.parametrize(
    ("odd", "code"),
    [
        (device("zz-9", "access_controller", "nobody/nothing"), "unknown_profile"),
        (device("zz-9", "access_controller", building="b2") | place("b2", {"free_exit": "soon"}), "bad_fact"),
        (device("zz-9", "access_controller", building="b2") | place("b2", {"free_exit": "/9999-12-31"}), "bad_fact"),
        ({"params/s1/door-held-open/device:z-7": PARAMS}, "bad_params"),
    ],
    ids=("profile", "fact of its place", "fact until the last day there is", "parameter of its own"),
)  # fmt: skip
def test_the_odd_one_among_many_alike_is_still_found(odd: dict[str, bytes], code: str) -> None:
    wanted = WANTED | gates(10)
    assert revise(WANTED, wanted, "1") is not None
    with pytest.raises(ConfigError) as refusal:
        revise(WANTED, wanted | odd, "1")
    assert refusal.value.code == code


def test_what_does_not_fit_is_refused_also_while_its_scene_is_off() -> None:
    off = {"off/s1/access": b'{"site":"s1","scene":"access"}'}
    assert revise(WANTED, WANTED | off, "1") is not None
    with pytest.raises(ConfigError) as refusal:
        revise(WANTED | off, WANTED | off | gates(10) | {"params/s1/door-held-open/device:z-7": PARAMS}, "1")
    assert refusal.value.code == "bad_params"


def test_many_alike_are_compiled_once_when_they_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    equipped: list[str] = []
    equip = Outfits.equip

    def counted(self: Outfits, each: Device) -> None:
        equipped.append(each.key)
        equip(self, each)

    monkeypatch.setattr(Outfits, "equip", counted)
    revise(WANTED, WANTED | gates(200), "1")
    assert len(equipped) <= len(COMMUNITY) + 1


def test_a_profile_that_devices_still_need_cannot_go() -> None:
    without = {key: body for key, body in WANTED.items() if key != "profile/milesight/gs524n"}
    with pytest.raises(ConfigError) as refusal:
        revise(WANTED, without, "1")
    assert refusal.value.code == "unknown_profile"


RULE = "rule: odd\nfor_each: {kind}\nwhen: {when}\nraise: {{event: fire.odd, severity: low}}\n{more}"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ({"when": "statu == 'alarm'"}, "bad_expression"),
        ({"when": "status == 'alrm'"}, "bad_expression"),
        ({"kind": "smok_sensor"}, "unknown_kind"),
        ({"more": "do: [{command: fly}]"}, "unknown_command"),
    ],
)
def test_a_rule_that_cannot_work_names_its_file(tmp_path: Path, words: dict[str, str], code: str) -> None:
    usual = {"kind": "smoke_sensor", "when": "status == 'alarm'", "more": ""}
    (tmp_path / "r.yaml").write_text(RULE.format(**usual | words), encoding="utf-8")
    with pytest.raises(ConfigError) as refusal:
        documents(rules=[tmp_path])
    assert refusal.value.code == code
    assert refusal.value.file == str(tmp_path / "r.yaml")


def test_a_desk_works_with_what_was_accepted() -> None:
    desk = Desk(WANTED)
    assert desk.engine.content.bodies() == WANTED
