"""What the hub works with: YAML and registry as one set of documents, checked before it becomes a revision."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from hub.catalogue import Catalogue
from hub.engine.content import Content
from hub.engine.state import Document
from hub.model import Revision
from hub.normalize.load import load_profiles
from hub.pipeline import NewRevision
from hub.rules.check import Weight, problems
from hub.rules.rule import Rule, write_rule
from hub.yaml_documents import Tree, canonical_json, load_tree, validate


def read_yaml(profile_directories: Sequence[Path], rule_directories: Sequence[Path]) -> dict[str, bytes]:
    """Return kinds, profiles and rules as documents; later directories replace earlier ones by name.

    ConfigError with file, line and hint for the first thing that is wrong.
    """
    catalogue, profiles = load_profiles(profile_directories)
    documents = {f"kind/{kind.kind}": canonical_json(kind) for kind in catalogue.kinds.values()}
    documents |= {f"profile/{profile.profile}": canonical_json(profile) for profile in profiles.values()}
    for rule in read_rules(rule_directories, catalogue).values():
        documents[f"rule/{rule.rule}"] = write_rule(rule)
    return documents


def read_rules(directories: Sequence[Path], catalogue: Catalogue) -> dict[str, Rule]:
    """Return every rule by name, checked against the kinds; ConfigError points at the document."""
    tree: Tree = load_tree(directories, {"rule"})
    rules: dict[str, Rule] = {}
    for document in tree.values():
        rule = validate(document, Rule)
        wrong = [each for each in problems(rule, catalogue) if each.weight is Weight.ERROR]
        if wrong:
            raise document.error(wrong[0].code, wrong[0].message, path=wrong[0].path, hint=wrong[0].hint)
        rules[rule.rule] = rule
    return rules


def revise(known: Mapping[str, bytes], wanted: Mapping[str, bytes], code: str) -> NewRevision | None:
    """Return what leads from ``known`` to ``wanted``; None when nothing changed.

    ConfigError when the engine could not work with ``wanted``: found here, on a scratch copy, before it is journaled.
    """
    put: dict[str, str] = {}
    bodies: dict[str, bytes] = {}
    for key, body in sorted(wanted.items()):
        if known.get(key) != body:
            digest = hashlib.blake2b(body, digest_size=16).hexdigest()
            put[key], bodies[digest] = digest, body
    removed = sorted(set(known) - set(wanted))
    if not put and not removed:
        return None
    is_whole = any(not key.startswith(("device/", "place/")) for key in [*put, *removed])
    _try_out({key: body for key, body in wanted.items() if is_whole or key in put or not key.startswith("device/")})
    return NewRevision(revision=Revision(code, put, removed), bodies=bodies)


def _try_out(documents: Mapping[str, bytes]) -> None:
    scratch = Content()
    scratch.documents = {key: Document(body) for key, body in documents.items()}
    scratch.restore({})
