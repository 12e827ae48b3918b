"""YAML documents with their lines: read, overlaid and validated; every error names file, line and a hint."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, get_args

import msgspec
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.resolver import VersionedResolver
from ruamel.yaml.tag import Tag
from typing_extensions import override

from hub.errors import ConfigError

M = TypeVar("M", bound=BaseModel)
Place = tuple[str | int, ...]
Tree = dict[tuple[str, str], "Document"]

# Aliases count as what they repeat: nine lines of nine are 400 million values. 20,000 levels would end the process, for
# libyaml goes down them in C.
_MAX_DEPTH, _MAX_PLACES, _FEW_LEVELS, _MOST_DIGITS = 32, 100_000, 5_000, 40
_NULLS = {"", "~", "null", "Null", "NULL"}
_BOOLS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
# Timestamps and merge keys are plain text here, also where a document says what they are.
_RESOLVED = ("map", "seq", "str", "int", "float", "bool", "null", "timestamp", "merge", "value")
_TAGS = {f"tag:yaml.org,2002:{name}" for name in _RESOLVED}
_TAG_OF: Mapping[object, Tag] = {
    ScalarNode: VersionedResolver.DEFAULT_SCALAR_TAG,
    SequenceNode: VersionedResolver.DEFAULT_SEQUENCE_TAG,
    MappingNode: VersionedResolver.DEFAULT_MAPPING_TAG,
}
_SURROGATE = re.compile("[\ud800-\udfff]")
_OTHER_BREAKS = re.compile("[\x85\u2028\u2029]")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One YAML document in JSON's terms (text keys, no NaN), and the line of each of its places.

    Its first key says what it is and its name: ``profile: milesight/gs524n``.
    """

    file: str
    body: dict[str, object]
    lines: Mapping[Place, int]

    @property
    def noun(self) -> str:
        """What it is, such as ``profile``, ``kind`` or ``rule``."""
        return next(iter(self.body))

    @property
    def name(self) -> str:
        """What it is called; unique per noun."""
        return str(self.body[self.noun])

    def place(self, path: Sequence[object]) -> Place:
        """Return the deepest place of the document on the way of ``path``; steps unknown to it are left out."""
        found: Place = ()
        for step in path:
            if isinstance(step, str | int) and (*found, step) in self.lines:
                found = (*found, step)
        return found

    def error(self, code: str, message: str, *, path: Sequence[object] = (), hint: str = "") -> ConfigError:
        """Return (not raise) the error that points at ``path``."""
        place = self.place(path)
        where = ".".join(str(step) for step in place)
        text = f"{where}: {message}" if where else message
        return ConfigError(code, text, file=self.file, line=self.lines[place], hint=hint)


class _Reader:
    """One document's nodes to plain values, noting where each began."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.lines: dict[Place, int] = {}

    def read(self, node: Node, place: Place = ()) -> object:
        self.lines.setdefault(place, node.start_mark.line + 1)
        if len(place) > _MAX_DEPTH:
            raise self.error("too_deep", f"more than {_MAX_DEPTH} levels", node, "an anchor that contains itself?")
        if len(self.lines) > _MAX_PLACES:
            raise self.error("too_long", f"more than {_MAX_PLACES} values", node, "anchors that repeat anchors?")
        if str(node.tag) not in _TAGS:
            raise self.error("bad_tag", f"tags such as {node.tag} are not used here", node, "quote the text")
        match node:
            case MappingNode():
                return self._mapping(node, place)
            case SequenceNode():
                return [self.read(child, (*place, index)) for index, child in enumerate(node.value)]
            case _:
                return self._scalar(node)

    def error(self, code: str, message: str, node: Node, hint: str = "") -> ConfigError:
        return ConfigError(code, message, file=self.file, line=node.start_mark.line + 1, hint=hint)

    def _mapping(self, node: MappingNode, place: Place) -> dict[str, object]:
        body: dict[str, object] = {}
        for key_node, child in node.value:
            key = self._key(key_node)
            if key in body:
                first = self.lines[(*place, key)]
                raise self.error("duplicate_key", f"{key!r} is written twice", key_node, f"first on line {first}")
            self.lines[(*place, key)] = key_node.start_mark.line + 1
            body[key] = self.read(child, (*place, key))
        return body

    def _key(self, node: Node) -> str:
        """Keys are text, as in JSON, so that a document is the same after the journal: 0x1b is "27", true is "true"."""
        if not isinstance(node, ScalarNode):
            raise self.error("bad_key", "a key must be a scalar", node)
        value = self._scalar(node)
        return value if isinstance(value, str) else msgspec.json.encode(value).decode()

    def _scalar(self, node: Node) -> object:
        text = str(node.value)
        if not text.isascii() and _SURROGATE.search(text):
            raise self.error("bad_text", "half a character", node, "write the character itself, not its \\u")
        if not isinstance(node, ScalarNode) or node.style:
            return text
        if _NOT_FINITE.fullmatch(text) or (len(text) > _MOST_DIGITS and _INT.fullmatch(text)):
            raise self.error("bad_number", f"{text[:99]} is no usable number", node, "leave the bound out, or quote it")
        return _plain(text)


def _plain(text: str) -> object:
    """Resolve an unquoted scalar by the YAML 1.2 core schema: ``off`` and ``12:30`` are text, 0175 is 175."""
    if text in _NULLS:
        return None
    if text in _BOOLS:
        return _BOOLS[text]
    if _INT.fullmatch(text):
        return int(text, 0) if text[:2] in {"0x", "0o"} else int(text)
    if _FLOAT.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    return text


class _Untyped(VersionedResolver):
    """Gives no plain scalar a type: :func:`_plain` does, and looking for one was a quarter of the reading."""

    @override
    def resolve(self, kind: object, value: object, implicit: object) -> Tag:
        return _TAG_OF[kind]


def _composed(text: str) -> list[Node]:
    """Return the nodes of the documents, from libyaml where it is installed: a quarter of the time, and YAML 1.1 only.

    What it refuses (``2021-09-29T05:56Z`` unquoted inside braces), or what it breaks into other lines, the parser in
    Python reads, which also words the errors.
    """
    if not _OTHER_BREAKS.search(text):
        with suppress(YAMLError):
            return _nodes(text, pure=False)
    return _nodes(text, pure=True)


def _nodes(text: str, *, pure: bool) -> list[Node]:
    """Return the nodes; RecursionError for too many levels."""
    if sum(map(text.count, "[{-?")) > _FEW_LEVELS:  # so many by indentation would be a file of 100 MB
        depth = 0
        for event in _parser(pure=pure).parse(text):
            depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
            if depth > _MAX_DEPTH:
                raise RecursionError
    return list(_parser(pure=pure).compose_all(text))


def _parser(*, pure: bool) -> YAML:
    parser = YAML(typ="safe", pure=pure)
    parser.Resolver = _Untyped
    return parser


def load_documents(path: Path) -> list[Document]:
    """Read every document of one file; empty ones are left out. Raises ConfigError."""
    try:
        text = path.read_text(encoding="utf-8")
        nodes = _composed(text)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("unreadable_file", str(error), file=str(path)) from error
    except YAMLError as error:
        line = mark.line + 1 if (mark := getattr(error, "problem_mark", None)) else None
        raise ConfigError("bad_yaml", str(getattr(error, "problem", error)), file=str(path), line=line) from error
    except RecursionError as error:
        raise ConfigError("too_deep", f"more than {_MAX_DEPTH} levels", file=str(path)) from error
    documents = []
    for node in nodes:
        reader = _Reader(str(path))
        body = reader.read(node)
        if body is None:
            continue
        if not isinstance(body, dict) or not body:
            raise reader.error("bad_document", "a document is a mapping: key: value", node)
        documents.append(Document(file=str(path), body=body, lines=reader.lines))
    return documents


def load_tree(directories: Sequence[Path], nouns: Collection[str]) -> Tree:
    """Read every ``*.yaml`` below the directories, by (noun, name) in order of file names.

    A later directory replaces documents of an earlier one by name; the same name twice in one directory is an error.
    """
    tree: Tree = {}
    for directory in directories:
        if not directory.is_dir():
            raise ConfigError("missing_directory", "there is no such directory", file=str(directory))
        layer: Tree = {}
        for path in sorted(directory.rglob("*.yaml")):
            for document in load_documents(path):
                _add(layer, document, nouns)
        tree |= layer
    return tree


def overlaid(document: Document, below: Document, *, at: str) -> Document:
    """Return ``document`` over the words of ``below``, mappings joined key by key; without its key ``at``.

    Errors about words that came from below point at ``at``, which named them.
    """
    words = {key: value for key, value in below.body.items() if key != below.noun}
    body = _joined({key: value for key, value in document.body.items() if key != at}, words)
    line = document.lines[document.place((at,))]
    lines = {**{place: line for place in below.lines if place}, **document.lines}
    return Document(file=document.file, body={document.noun: document.name, **body}, lines=lines)


def _joined(above: Mapping[str, object], below: Mapping[str, object]) -> dict[str, object]:
    joined: dict[str, object] = {**below, **above}
    for key in above.keys() & below.keys():
        upper, lower = above[key], below[key]
        if isinstance(upper, dict) and isinstance(lower, dict):
            joined[key] = _joined(upper, lower)
    return joined


def _add(layer: Tree, document: Document, nouns: Collection[str]) -> None:
    if document.noun not in nouns:
        hint = _suggest(document.noun, nouns) or f"begin with one of: {', '.join(sorted(nouns))}"
        raise document.error("unknown_document", f"unknown noun {document.noun!r}", path=[document.noun], hint=hint)
    first = layer.setdefault((document.noun, document.name), document)
    if first is not document:
        message = f"{document.noun} {document.name} exists already"
        hint = f"the other one is in {first.file}:{first.lines[()]}"
        raise document.error("duplicate_document", message, path=[document.noun], hint=hint)


def validate(document: Document, model: type[M]) -> M:
    """Return the document as ``model``; ConfigError points at the first place that is wrong, and counts the others.

    It goes through JSON, in strict mode, because that is how the journal will hand the same document to the engine.
    """
    try:
        return model.model_validate_json(msgspec.json.encode(document.body), strict=True)
    except ValidationError as error:
        problems = _sorted(document, error)
        raise _problem(document, model, problems[0], len(problems) - 1) from error


def mistakes(document: Document, model: type[M]) -> list[ConfigError]:
    """Return everything that ``validate`` finds wrong, in the same order."""
    try:
        model.model_validate_json(msgspec.json.encode(document.body), strict=True)
    except ValidationError as error:
        return [_problem(document, model, each, 0) for each in _sorted(document, error)]
    return []


def _sorted(document: Document, error: ValidationError) -> list[ErrorDetails]:
    # A misspelt key first: it is why another one is missing.
    return sorted(
        error.errors(include_url=False),
        key=lambda each: (each["type"] != "extra_forbidden", document.lines[document.place(each["loc"])]),
    )


def _problem(document: Document, model: type[BaseModel], first: ErrorDetails, others: int) -> ConfigError:
    message, hint, code = first["msg"].removeprefix("Value error, "), "", "bad_document"
    if first["type"] == "extra_forbidden":
        key, known = str(first["loc"][-1]), _names(model, first["loc"][:-1])
        code, message = "unknown_key", f"unknown key {key!r}"
        hint = _suggest(key, known) or f"known here: {', '.join(known)}"
    elif first["type"] == "missing":
        code, message = "missing_key", f"{first['loc'][-1]!r} is missing"
    if others:
        message += f" (and {others} more)"
    return document.error(code, message, path=first["loc"], hint=hint)


def _suggest(word: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {close[0]!r}?" if close else ""


def _names(model: type[BaseModel], path: Sequence[object]) -> list[str]:
    """Return the keys that the models at ``path`` know; steps that are keys of a mapping or of a union stay put."""
    models: set[type[BaseModel]] = {model}
    for step in path:
        fields = [field for each in models for name, field in each.model_fields.items() if step in {name, field.alias}]
        models = {found for field in fields for found in _models(field.annotation)} or models
    return sorted({field.alias or name for each in models for name, field in each.model_fields.items()})


def _models(annotation: object) -> set[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {annotation}
    return {model for argument in get_args(annotation) for model in _models(argument)}


def canonical_json(model: BaseModel) -> bytes:
    """Return the one JSON form of a document that goes to the journal; ``validate``'s models read it back equal."""
    return msgspec.json.encode(model.model_dump(mode="json", by_alias=True, exclude_defaults=True))
