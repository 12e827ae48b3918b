"""Channels, routes and templates as people write them: what overlays what, and what is refused, with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from hub.errors import ConfigError
from hub.model.effects import Transition
from hub.outward.wishes import read_wishes
from tests.house.rooms import HOUSE

DUTY = """
channel: duty
languages: zh
quiet: {from: "22:00", until: "07:00"}
---
route: fire
channels: duty
domains: [fire]
"""


def written(directory: Path, text: str) -> Path:
    (directory / "notify.yaml").write_text(text, encoding="utf-8")
    return directory


def test_without_documents_there_are_the_templates_that_ship() -> None:
    wishes = read_wishes(None, {})
    assert (set(wishes.templates), wishes.routes, dict(wishes.channels)) == ({"default", "short"}, [], {})


def test_an_address_comes_from_a_file_beside_its_document_or_from_the_settings(tmp_path: Path) -> None:
    (tmp_path / "desk.url").write_text("json://127.0.0.1/\n", encoding="utf-8")
    text = f"{DUTY}---\nchannel: desk\nurl_file: desk.url\n---\nchannel: nowhere\n"
    wishes = read_wishes(written(tmp_path, text), {"duty": SecretStr("tgram://secret")})
    found = {name: url.get_secret_value() for name, url in wishes.urls.items()}
    assert found == {"duty": "tgram://secret", "desk": "json://127.0.0.1/"}
    assert "secret" not in repr(wishes)


def test_a_template_of_the_installation_replaces_ours_by_name(tmp_path: Path) -> None:
    wishes = read_wishes(written(tmp_path, "template: default\nbody: {en: '{event}', zh: '{event}'}\n"), {})
    assert (wishes.templates["default"].body, wishes.templates["default"].title) == (
        {"en": "{event}", "zh": "{event}"},
        {},
    )


def test_the_example_of_the_readme_is_good(tmp_path: Path) -> None:
    text = (
        (HOUSE / "hub" / "outward" / "README.md")
        .read_text(encoding="utf-8")
        .partition("channel: duty ")[2]
        .partition("```")[0]
    )
    wishes = read_wishes(written(tmp_path, f"channel: duty {text}"), {})
    assert [(route.route, list(route.moves)[-1]) for route in wishes.routes] == [
        ("brigade", Transition.ESCALATED),
        ("fire-at-night", Transition.CLEARED),
    ]


@pytest.mark.parametrize(
    ("text", "code", "word"),
    [
        ("channel: duty\nlanguages: [fr]\n", "bad_document", "languages"),
        ("channel: duty\nqiuet: []\n", "unknown_key", "quiet"),
        ("channel: duty\n---\nroute: a\nchannels: dutty\n", "unknown_name", "duty"),
        (DUTY + "template: long\n", "unknown_name", "long"),
        (DUTY.replace("[fire]", "[smoke]"), "bad_document", "smoke"),
        (DUTY + "transitions: [raised, gone]\n", "bad_document", "transitions"),
        ("template: a\nbody: {en: x}\n", "bad_document", "both languages"),
        ("template: a\nbody: {en: '{who}', zh: x}\n", "bad_document", "who"),
        ("template: a\nbody: {en: '{time:%H:%M}', zh: x}\n", "bad_document", "format"),
        ("template: a\nbody: {en: x, zh: '{id!x}'}\n", "bad_document", "conversion"),
        ("template: a\nbody: {en: '{id:{where}}', zh: x}\n", "bad_document", "format"),
        ("channel: duty\nurl_file: nowhere.url\n", "url_unreadable", "nowhere.url"),
        ("chanel: duty\n", "unknown_document", "channel"),
    ],
)
def test_what_is_wrong_is_told_with_its_file(text: str, code: str, word: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        read_wishes(written(tmp_path, text), {})
    assert refused.value.code == code
    assert word in str(refused.value)
    assert str(tmp_path) in str(refused.value)
