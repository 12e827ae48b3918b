"""The JSON Schemas by which editors complete our files: they are the models', and every shipped file conforms."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hub.config.settings import packaged
from hub.ui.schemas import Noun, schema_of
from hub.yaml_documents import load_documents
from tests.house.rooms import HOUSE
from tests.ui.conftest import Cli
from tests.ui.profiles import Profiles


@pytest.fixture
def profiles(cli: Cli, tmp_path: Path) -> Profiles:
    return Profiles(cli, tmp_path)


@pytest.mark.parametrize(
    ("noun", "file"),
    [
        (Noun.PROFILE, "device_profiles"),
        (Noun.KIND, "device_profiles"),
        (Noun.NETWORK, "device_profiles"),
        (Noun.RULE, "rules"),
        (Noun.SCENE, "scenes"),
        (Noun.CITY_RULE, "city_rules"),
    ],
)
def test_the_published_schemas_are_those_of_the_models(profiles: Profiles, noun: Noun, file: str) -> None:
    published = (HOUSE / file / "schema" / f"{noun}.json").read_text(encoding="utf-8")
    assert published == schema_of(noun), f"hub profiles schema {noun} > {file}/schema/{noun}.json"
    assert profiles("schema", noun).out == published


def conforms(value: object, schema: dict[str, Any], whole: dict[str, Any]) -> bool:
    """Return whether a value fits a JSON Schema, of the words that ours use."""
    if "$ref" in schema:
        return conforms(value, whole["$defs"][schema["$ref"].rpartition("/")[2]], whole)
    choices = schema.get("anyOf") or schema.get("oneOf") or []
    return (
        (not choices or any(conforms(value, each, whole) for each in choices))
        and ("const" not in schema or value == schema["const"])
        and ("enum" not in schema or value in schema["enum"])
        and ("type" not in schema or TYPES[schema["type"]](value))
        and (not isinstance(value, str) or re.search(schema.get("pattern", ""), value) is not None)
        and (not isinstance(value, list) or all(conforms(each, schema.get("items", {}), whole) for each in value))
        and (not isinstance(value, dict) or fields_conform(value, schema, whole))
    )


def fields_conform(value: dict[str, object], schema: dict[str, Any], whole: dict[str, Any]) -> bool:
    if not {*schema.get("required", ())} <= value.keys():
        return False
    for key, inner in value.items():
        patterns = schema.get("patternProperties", {})
        words = schema.get("properties", {}).get(key) or next(
            (patterns[pattern] for pattern in patterns if re.search(pattern, key)),
            schema.get("additionalProperties", {}),
        )
        if words is False or (isinstance(words, dict) and not conforms(inner, words, whole)):
            return False
    return True


TYPES: dict[str, Callable[[object], bool]] = {
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}


@pytest.mark.parametrize("noun", list(Noun))
def test_every_shipped_file_conforms_to_the_schema_of_its_noun(noun: Noun) -> None:
    schema = json.loads(schema_of(noun))
    folders = (packaged("device_profiles"), packaged("rules"), packaged("scenes"), packaged("city_rules"))
    paths = [path for folder in folders for path in folder.rglob("*.yaml")]
    documents = [each for path in paths for each in load_documents(path) if each.noun == noun]
    assert documents
    assert [each.name for each in documents if not conforms(each.body, schema, schema)] == []


def test_a_misspelt_word_does_not_conform() -> None:
    schema = json.loads(schema_of(Noun.PROFILE))
    (path,) = packaged("device_profiles").rglob("gs524n.yaml")
    (document,) = load_documents(path)
    assert conforms(document.body, schema, schema)
    assert not conforms({**document.body, "liveliness": {}}, schema, schema)
    assert not conforms({**document.body, "payload": {"format": "bytes", "lenght": 6}}, schema, schema)
