"""The JSON Schemas of our YAML, made from the models that read it, so that editors complete and check."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import orjson
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema
from typing_extensions import override

from hub.catalogue import Kind
from hub.city.rule import CityRule
from hub.normalize.networks.network import Network
from hub.normalize.profile import Profile
from hub.rules.rule import Rule
from hub.rules.scene import Scene


class Noun(StrEnum):
    """What there are schemas of."""

    PROFILE = "profile"
    KIND = "kind"
    NETWORK = "network"
    RULE = "rule"
    SCENE = "scene"
    CITY_RULE = "city_rule"


_MODELS: Mapping[Noun, type[BaseModel]] = {
    Noun.PROFILE: Profile,
    Noun.KIND: Kind,
    Noun.NETWORK: Network,
    Noun.RULE: Rule,
    Noun.SCENE: Scene,
    Noun.CITY_RULE: CityRule,
}


class _AsWritten(GenerateJsonSchema):
    """Schemas of what people may write: where a model makes a list of one thing, that thing alone, too."""

    @override
    def function_before_schema(self, schema: core_schema.BeforeValidatorFunctionSchema) -> JsonSchemaValue:
        inner = super().function_before_schema(schema)
        if inner.get("type") != "array" or "items" not in inner:
            return inner
        return {"anyOf": [inner["items"], inner]}

    @override
    def timedelta_schema(self, schema: core_schema.TimedeltaSchema) -> JsonSchemaValue:
        return {"type": "string", "pattern": r"^\d", "description": "250ms, 30s, 5m, 1h30m, 2d"}


class _Rules(_AsWritten):
    """Schemas of rules, where a parameter may stand for a duration or a number."""

    @override
    def timedelta_schema(self, schema: core_schema.TimedeltaSchema) -> JsonSchemaValue:
        return {**super().timedelta_schema(schema), "pattern": r"^[\d$]"}

    @override
    def int_schema(self, schema: core_schema.IntSchema) -> JsonSchemaValue:
        return {"anyOf": [super().int_schema(schema), {"type": "string", "pattern": r"^\$"}]}

    @override
    def float_schema(self, schema: core_schema.FloatSchema) -> JsonSchemaValue:
        return {"anyOf": [super().float_schema(schema), {"type": "string", "pattern": r"^\$"}]}


def schema_of(noun: Noun) -> str:
    """Return the JSON Schema of a document of ours, as text."""
    generator = _Rules if noun is Noun.RULE else _AsWritten
    schema = _MODELS[noun].model_json_schema(by_alias=True, schema_generator=generator)
    if noun is Noun.PROFILE:
        # Words that a fragment may bring are not missing in the profile that uses it.
        schema["properties"]["use"] = {"type": "array", "items": {"type": "string"}}
        schema["anyOf"] = [{"required": ["use"]}, {"required": schema.pop("required")}]
        schema["required"] = ["profile"]
        del schema["$defs"]["Payload"]["required"]
    if noun is Noun.RULE:
        schema["properties"]["for_each"] = {"anyOf": [{"type": "string"}, schema["properties"]["for_each"]]}
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return orjson.dumps(schema, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE).decode()
