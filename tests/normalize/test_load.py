"""Loading profiles: what does not fit its kind is an error with file, line and a hint; an installation overlays."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from hub.errors import ConfigError
from hub.normalize.compile import compile_profile
from hub.normalize.load import load_profiles
from hub.normalize.profile import Profile
from hub.yaml_documents import canonical_json

KIND = """\
kind: lamp
label: {en: Lamp}
properties:
  lit: {type: bool}
  power: {type: float, unit: V}
signals:
  button.pressed: {label: {en: Pressed}, data: {times: {type: int, unit: "1"}}}
"""
HEAD = """\
profile: acme/lamp
version: 1.0.0
kind: lamp
label: {en: Lamp}
payload: {format: json}
time: {from: none}
"""
BYTES = HEAD.replace("format: json", "format: bytes, length: 2")
ODD = HEAD.replace("format: json", "format: json, length: 3")
ZONE = HEAD.replace("from: none", "from: [{path: t, format: iso8601, zone: Mars/Base}]")
BYTE = "write at: 3, or 3 as a condition (3:u16le, 3[0,4])"
PATH = "write path: outer.inner, and a dot of a name twice: PM2..5; a name has no quote and no backslash"
ROW = "one of V, mV (UCUM); another is a row in hub/normalize/units.py"
LIT = "properties: {lit: {path: a}}\n"


def block(words: str) -> str:
    return HEAD.replace("{format: json}", f"\n  format: json\n  inside:\n    D: {{path: d, as: base64, {words}}}") + LIT


CUT = "records: {from: 1, size: 3}"
TWICE = LIT + "examples:\n  - name: x\n    source: y\n    payload: {hex: aa, text: b}\n"


def load(directory: Path, text: str) -> ConfigError:
    directory.joinpath("kind.yaml").write_text(KIND, encoding="utf-8")
    path = directory / "lamp.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_profiles([directory])
    assert caught.value.file == str(path)
    return caught.value


@pytest.mark.parametrize(
    ("text", "code", "line", "hint"),
    [
        (block(f"format: form, {CUT}"), "bad_document", 8, ""),
        (block(f"format: json, {CUT}"), "bad_document", 8, ""),
        (block("format: bytes, each: a"), "bad_document", 8, ""),
        (block("format: text, between: ';', each: a"), "bad_document", 8, ""),
        (block("format: json, between: ';'"), "bad_document", 8, ""),
        (HEAD + "properties:\n  litt: {path: a}\n", "unknown_property", 8, "did you mean 'lit'?"),
        (HEAD + "properties:\n  lit: {path: a, vaules: {1: true}}\n", "unknown_key", 8, "did you mean 'values'?"),
        (HEAD + "properties:\n  lit: {path: a, values: {1: maybe}}\n", "value_misfit", 8, ""),
        (HEAD + "properties:\n  lit: {path: a, scale: 2.0}\n", "not_a_number", 8, ""),
        (HEAD + "properties:\n  power:\n    path: a\n    unit: Cel\n", "unit_mismatch", 8, ""),
        (HEAD + "properties:\n  power: {path: a, unit: parsec}\n", "unknown_unit", 8, ROW),
        (HEAD + "properties:\n  power: {path: a.}\n", "bad_place", 8, PATH),
        (HEAD + "properties:\n  power: {path: 'a\"b'}\n", "bad_place", 8, PATH),
        (HEAD + "properties:\n  power: {at: 1}\n", "bad_place", 8, PATH),
        (HEAD + "properties:\n  lit: {path: a, values: {1: $on}}\n", "unknown_param", 8, "params: "),
        (HEAD + "signals:\n  button.presed: {}\n", "unknown_signal", 8, "did you mean 'button.pressed'?"),
        (HEAD + "signals:\n  button.pressed:\n    data: {x: {path: a}}\n", "unknown_field", 9, "known: times"),
        (HEAD + "signals: {button.pressed: {data: {times: {path: a, only: {b: 1}}}}}\n", "misplaced_only", 7, ""),
        (HEAD.replace("kind: lamp", "kind: lmap") + LIT, "unknown_kind", 3, "did you mean 'lamp'?"),
        (ZONE + LIT, "unknown_zone", 6, "an IANA name such as Asia/Shanghai, or site"),
        (HEAD.replace("time: {from: none}\n", "") + LIT, "bad_document", 1, ""),
        (HEAD, "bad_document", 1, ""),
        (HEAD + "identity: a\nproperties: {}\nversoin: 2\n", "unknown_key", 9, "did you mean 'version'?"),
        (HEAD + "messages:\n  - {match: {a: 1}}\n", "bad_document", 8, ""),
        (HEAD.replace("1.0.0", "1.0") + LIT, "bad_document", 2, ""),
        (BYTES + "properties:\n  power: {at: 1, as: u16le}\n", "beyond_end", 8, ""),
        (BYTES + "properties:\n  power: {at: 1, bits: [6, 4]}\n", "bad_bits", 8, ""),
        (BYTES + "properties:\n  power: {path: a}\n", "bad_place", 8, BYTE),
        (ODD + LIT, "bad_document", 5, ""),
        (HEAD + TWICE, "bad_document", 11, ""),
    ],
)  # fmt: skip
def test_an_error_names_file_line_and_hint(tmp_path: Path, text: str, code: str, line: int, hint: str) -> None:
    error = load(tmp_path, text)
    assert (error.code, error.line, error.hint) == (code, line, hint)


def test_two_kinds_that_disagree_are_told_with_file_and_line(tmp_path: Path) -> None:
    other = KIND.replace("kind: lamp", "kind: bell").replace("unit: V", "unit: mV")
    error = load(tmp_path, other)
    assert (error.code, error.line) == ("property_disagrees", 5)


def test_an_installation_replaces_a_profile_by_name_and_adds_its_own(tmp_path: Path) -> None:
    packaged, own = tmp_path / "packaged", tmp_path / "own"
    for directory in (packaged, own):
        directory.mkdir()
    (packaged / "kind.yaml").write_text(KIND, encoding="utf-8")
    (packaged / "lamp.yaml").write_text(HEAD + LIT, encoding="utf-8")
    text = HEAD.replace("1.0.0", "1.0.1") + "properties: {lit: {path: b}}\n"
    (own / "mine.yaml").write_text(f"{text}---\n{text.replace('acme/lamp', 'acme/lamp2')}", encoding="utf-8")
    catalogue, profiles = load_profiles([packaged, own])
    assert list(catalogue.kinds) == ["lamp"]
    assert {name: profile.version for name, profile in profiles.items()} == {
        "acme/lamp": "1.0.1",
        "acme/lamp2": "1.0.1",
    }


FRAGMENT = """\
fragment: acme/common
payload: {format: json}
properties:
  lit: {path: a}
  power: {path: p, unit: V}
"""
USING = HEAD.replace("payload: {format: json}\n", "use: [acme/common]\n")


def test_a_profile_takes_over_what_it_does_not_say_itself(tmp_path: Path) -> None:
    (tmp_path / "kind.yaml").write_text(KIND, encoding="utf-8")
    (tmp_path / "_common.yaml").write_text(FRAGMENT, encoding="utf-8")
    (tmp_path / "lamp.yaml").write_text(USING + "properties: {lit: {path: b, absent: x}}\n", encoding="utf-8")
    (_, profiles) = load_profiles([tmp_path])
    (whole,) = profiles.values()
    assert canonical_json(whole) == canonical_json(
        Profile.model_validate(
            {
                "profile": "acme/lamp",
                "version": "1.0.0",
                "kind": "lamp",
                "label": {"en": "Lamp"},
                "time": {"from": "none"},
                "payload": {"format": "json"},
                "properties": {"lit": {"path": "b", "absent": "x"}, "power": {"path": "p", "unit": "V"}},
            }
        )
    )


@pytest.mark.parametrize(
    ("fragment", "text", "code", "hint"),
    [
        (FRAGMENT, USING.replace("common", "comon"), "unknown_fragment", "did you mean 'acme/common'?"),
        (FRAGMENT.replace("lit", "litt"), USING, "unknown_property", "did you mean 'lit'?"),
        (FRAGMENT.replace("path: a", "pth: a"), USING, "unknown_key", ""),
        (FRAGMENT, USING.replace("[acme/common]", "acme/common"), "bad_document", ""),
    ],
)
def test_an_error_in_what_is_taken_over_points_at_the_profile_that_uses_it(
    tmp_path: Path, fragment: str, text: str, code: str, hint: str
) -> None:
    (tmp_path / "_common.yaml").write_text(fragment, encoding="utf-8")
    error = load(tmp_path, text)
    assert (error.code, error.line) == (code, 5)
    assert hint in error.hint


@pytest.mark.parametrize(
    ("words", "code", "line"),
    [
        ("store: {on_change: true, deadband: {power: 0.5}, at_least_every: 1m}\n", None, 0),
        ("store: {on_change: true, deadband: {lit: 0.5}}\n", "unknown_property", 7),
        ("store: {on_change: true, deadband: {watt: 0.5}}\n", "unknown_property", 7),
        ("store: {deadband: {power: 0.5}}\n", "bad_document", 7),
    ],
)
def test_what_need_not_be_stored_is_said_of_numbers(tmp_path: Path, words: str, code: str | None, line: int) -> None:
    if code is not None:
        error = load(tmp_path, HEAD + words + LIT)
        assert (error.code, error.line) == (code, line)
        return
    (tmp_path / "kind.yaml").write_text(KIND, encoding="utf-8")
    (tmp_path / "lamp.yaml").write_text(HEAD + words + LIT, encoding="utf-8")
    store = load_profiles([tmp_path])[1]["acme/lamp"].store
    assert store is not None
    assert (store.on_change, store.deadband, store.at_least_every) == (True, {"power": 0.5}, timedelta(minutes=1))


@pytest.mark.parametrize(
    "words",
    [
        "payload: {format: json, length: 3}",
        "payload: {format: bytes, each: a}",
        "payload: {format: text}",
        "payload: {format: xml, key_bytes: 3}",
        "properties: {lit: {path: a, split: ','}}",
        "properties: {lit: {path: a, else: true}}",
        "properties: {lit: {at: 1, as: ascii, bits: [0, 1]}}",
        "properties: {lit: {at: 1, as: u8, size: 2}}",
        "part: {name: '{}'}",
        "part: {path: a, name: '{}-{}'}",
        "part: {path: a}\nrepeat: {name: 'a-{}', times: 2}",
        "repeat: {name: 'a-{}', times: $n}",
        "flags: [{name: {path: a, values: {1: lit}}}]",
        "flags: [{list: {path: a}}]",
        "flags: [{bitmap: {path: a, values: {x: lit}}}]",
        "flags: [{list: {path: a, values: {1: power}}}]",
        "time: {from: [{path: t, format: stardate}]}",
        "commands: {fly: {text: x}}",
        "commands: {}\nreply: {id: a}",
    ],
)
def test_words_that_do_not_go_together_are_refused_with_their_line(tmp_path: Path, words: str) -> None:
    name = words.partition(":")[0]
    head = "".join(line for line in HEAD.splitlines(keepends=True) if not line.startswith(f"{name}:"))
    rest = "" if name == "properties" else LIT
    assert load(tmp_path, head + words + "\n" + rest).line


def test_a_dot_that_belongs_to_a_name_is_written_twice(tmp_path: Path) -> None:
    tmp_path.joinpath("kind.yaml").write_text(KIND, encoding="utf-8")
    tmp_path.joinpath("lamp.yaml").write_text(
        HEAD + "properties:\n  power: {path: a.P..W, unit: V}\n", encoding="utf-8"
    )
    catalogue, profiles = load_profiles([tmp_path])
    read = compile_profile(profiles["acme/lamp"], catalogue.kind("lamp"), {}, "UTC")
    (reading,) = read(b'{"a":{"P.W":5,"P":{"W":6}}}')
    assert reading.values == {"power": 5}
