"""YAML documents: the core schema, overlays, and errors that say where and what to do."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict
from ruamel.yaml import YAML

from hub.config.settings import packaged
from hub.durations import Duration, read_duration, write_duration
from hub.errors import ConfigError
from hub.yaml_documents import load_documents, load_tree, validate


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    every: Duration
    limit: int = 0


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    thing: str
    inner: Inner | None = None
    many: dict[str, Inner] = {}


def written(directory: Path, text: str, name: str = "thing.yaml") -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / name
    path.write_text(text, encoding="utf-8")
    return path


def read_things(path: Path) -> list[Outer]:
    return [validate(document, Outer) for document in load_documents(path)]


def refusal(directory: Path, text: str) -> ConfigError:
    path = written(directory, text)
    with pytest.raises(ConfigError) as caught:
        read_things(path)
    assert caught.value.file == str(path)
    return caught.value


def shipped_files() -> list[Path]:
    return sorted([*packaged("device_profiles").rglob("*.yaml"), *packaged("rules").glob("*.yaml")])


def everything_of(path: Path) -> object:
    """Return bodies and lines of what is in a file, or how it is refused."""
    try:
        return [(document.body, document.lines) for document in load_documents(path)]
    except ConfigError as error:
        return error.code, error.line


def test_yaml_is_the_core_schema(tmp_path: Path) -> None:
    text = "{a: off, b: 12:30, c: 0175, d: 0x1b, e: 1e3, f: 2025-01-01, g: ~, h: true, i: '1', j: yes, k: 1.0.0, l: .5}"
    (document,) = load_documents(written(tmp_path, text))
    assert document.body == {
        "a": "off", "b": "12:30", "c": 175, "d": 27, "e": 1000.0, "f": "2025-01-01", "g": None,
        "h": True, "i": "1", "j": "yes", "k": "1.0.0", "l": 0.5,
    }  # fmt: skip


def test_keys_are_text_as_they_will_be_in_the_journal(tmp_path: Path) -> None:
    (document,) = load_documents(written(tmp_path, "{values: {0x1b: a, true: b, 1.5: c, off: d}}"))
    assert document.body == {"values": {"27": "a", "true": "b", "1.5": "c", "off": "d"}}


def test_a_file_holds_several_documents_and_empty_ones_do_not_count(tmp_path: Path) -> None:
    documents = load_documents(written(tmp_path, "# nothing\n---\nthing: a\n---\nthing: b\n---\n"))
    assert [(document.noun, document.name, document.lines[()]) for document in documents] == [
        ("thing", "a", 3),
        ("thing", "b", 5),
    ]


@pytest.mark.parametrize(
    ("text", "code", "line", "hint"),
    [
        ("thing: a\nthing: b\n", "duplicate_key", 2, "first on line 1"),
        ("thing: a\n1: x\n0x1: y\n", "duplicate_key", 3, "first on line 2"),
        ("thing: a\ninner:\n  evry: 1h\n", "unknown_key", 3, "did you mean 'every'?"),
        ("thing: a\nmany:\n  x:\n    every: 1h\n    limt: 1\n", "unknown_key", 5, "did you mean 'limit'?"),
        ("thing: a\nzzz: 1\n", "unknown_key", 2, "known here: inner, many, thing"),
        ("thing: a\ninner:\n  limit: 3\n", "missing_key", 2, ""),
        ("thing: a\ninner:\n  every: 1 hour\n", "bad_document", 3, ""),
        ("thing: a\ninner:\n  every: 1h\n  limit: '3'\n", "bad_document", 4, ""),
        ("thing: [1\nb: 2\n", "bad_yaml", 2, ""),
        ("thing: a\ninner: !!python/name:os.system\n", "bad_tag", 2, "quote the text"),
        ("thing: .nan\n", "bad_number", 1, "leave the bound out, or quote it"),
        (f"thing: a\nmany: {'9' * 5_000}\n", "bad_number", 2, "leave the bound out, or quote it"),
        ('thing: a\nmany: "\\ud83d"\n', "bad_text", 2, "write the character itself, not its \\u"),
        ("- thing\n", "bad_document", 1, ""),
        ("thing: &a [*a]\n", "too_deep", 1, "an anchor that contains itself?"),
        ("? [a]\n: b\n", "bad_key", 1, ""),
    ],
)
def test_an_error_names_file_line_and_hint(tmp_path: Path, text: str, code: str, line: int, hint: str) -> None:
    error = refusal(tmp_path, text)
    assert (error.code, error.line, error.hint) == (code, line, hint)


@pytest.mark.parametrize("text", ["[" * 50_000, "- " * 50_000 + "x", "{a: " * 50_000, "[" * 600 + "2021-09-29T05:56Z"])
def test_levels_without_end_are_refused_and_end_no_process(tmp_path: Path, text: str) -> None:
    """A file of a vendor's, and the hub that took it up was gone: a segmentation fault, and again at each start."""
    path = written(tmp_path, f"{'' if text[0] == '-' else 'thing: '}{text}")
    script = (
        "import sys\nfrom pathlib import Path\nfrom hub.errors import ConfigError\n"
        "from hub.yaml_documents import load_documents\n"
        "try:\n    load_documents(Path(sys.argv[1]))\nexcept ConfigError as error:\n    print(error.code)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip() in {"too_deep", "bad_yaml"}) == (0, True), done.stderr


def test_anchors_that_repeat_anchors_are_refused_before_they_fill_the_memory(tmp_path: Path) -> None:
    lines = [f"{each}: &{each} [{', '.join([f'*{below}'] * 9)}]" for below, each in pairwise("abcdefghi")]
    error = refusal(tmp_path, "thing: x\na: &a [1]\n" + "\n".join(lines))
    assert error.code == "too_long"


def test_an_error_counts_the_others(tmp_path: Path) -> None:
    error = refusal(tmp_path, "thing: a\nfoo: 1\nbar: 2\n")
    assert (error.line, error.message) == (2, "foo: unknown key 'foo' (and 1 more)")


def test_a_file_that_is_not_utf_8_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "thing.yaml"
    path.write_bytes(b"thing: \xff\n")
    with pytest.raises(ConfigError, match="unreadable_file"):
        load_documents(path)


def test_a_later_directory_replaces_documents_by_name(tmp_path: Path) -> None:
    written(tmp_path / "packaged", "thing: a\ncolour: red\n---\nthing: b\n")
    written(tmp_path / "own" / "deep", "thing: a\ncolour: blue\n", "other.yaml")
    tree = load_tree([tmp_path / "packaged", tmp_path / "own"], ["thing"])
    assert {key: document.body.get("colour") for key, document in tree.items()} == {
        ("thing", "a"): "blue",
        ("thing", "b"): None,
    }


def test_one_directory_may_not_name_a_thing_twice(tmp_path: Path) -> None:
    first = written(tmp_path, "thing: a\n", "1.yaml")
    written(tmp_path, "\nthing: a\n", "2.yaml")
    with pytest.raises(ConfigError) as caught:
        load_tree([tmp_path], ["thing"])
    assert (caught.value.code, caught.value.line) == ("duplicate_document", 2)
    assert caught.value.hint == f"the other one is in {first}:1"


def test_a_document_that_is_nothing_we_know_is_an_error(tmp_path: Path) -> None:
    written(tmp_path, "thng: a\n")
    with pytest.raises(ConfigError) as caught:
        load_tree([tmp_path], ["thing"])
    assert (caught.value.code, caught.value.hint) == ("unknown_document", "did you mean 'thing'?")


def test_a_missing_directory_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="missing_directory"):
        load_tree([tmp_path / "nowhere"], ["thing"])


@pytest.mark.parametrize(
    ("text", "seconds"), [("250ms", 0.25), ("30s", 30), ("1h30m", 5400), ("50h", 180_000), ("2d", 172_800), ("0s", 0)]
)
def test_a_duration_reads_as_people_write_it(text: str, seconds: float) -> None:
    assert read_duration(text) == timedelta(seconds=seconds)
    assert read_duration(write_duration(timedelta(seconds=seconds))) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "5", "h", "1 h", "30m1h", "-5s", "1.5h", 30, None, "５s1"])
def test_anything_else_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        read_duration(text)


TRICKY = (
    "{a: off, b: 12:30, c: 0175, d: 0x1b, e: 1e3, f: 2025-01-01, g: ~, h: true, i: '1', j: yes, k: 1.0.0, l: ''}",
    "{at: 2021-09-29T05:56:13Z}",
    '{"a":1, "b":[1,2], c:d: e}',
    "a: [1, # one\n    2]\nb: |\n  text\n\n  more\nc: >-\n  folded\n  text\n",
    "a: &one {x: 1}\nb: *one\n---\na: 'it''s'\nb: \"\\/\\u00e9\"\n",
    "? a\n: b\n? [c]\n",
    "a: plain\n  goes on\nb: 'quoted\n  goes on'\n",
    "a:\n- 1\n-  - 2\n   - 3\n",
    "x: !!str 1\ny: !own 2\n",
    "a: {b: ]}\nc: d",
)


@pytest.mark.parametrize("text", [*TRICKY, *(path.read_text(encoding="utf-8") for path in shipped_files())])
def test_whichever_parser_reads_a_text_it_says_the_same(tmp_path: Path, text: str) -> None:
    the_fast_one = everything_of(written(tmp_path, text))
    other_break = "\n#\x85"  # libyaml takes it for the end of a line, so that the parser in Python reads the text
    assert everything_of(written(tmp_path, text + other_break)) == the_fast_one


def test_what_we_ship_is_read_by_the_fast_parser() -> None:
    assert len([list(YAML(typ="safe").compose_all(path.read_text(encoding="utf-8"))) for path in shipped_files()]) > 40
    assert YAML(typ="safe").Parser is not YAML(typ="safe", pure=True).Parser
