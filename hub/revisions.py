"""What the hub works with: YAML and registry as one set of documents, checked before it becomes a revision."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec
import structlog

from hub.catalogue import Catalogue
from hub.engine.apply import Engine
from hub.engine.content import Content
from hub.engine.rows import DeviceRow, Document
from hub.engine.state import State
from hub.errors import ConfigError, CorruptError
from hub.model.records import NewRevision, Revision
from hub.normalize.load import NOUNS, profiles_of
from hub.normalize.networks.directory import DIRECTORY, MADE
from hub.normalize.networks.load import networks_of
from hub.rules.check import errors
from hub.rules.rule import Rule, write_rule
from hub.rules.scene import Scene, guarded, write_scene, wrong_with
from hub.yaml_documents import Document as YamlDocument
from hub.yaml_documents import Tree, canonical_json, load_tree, validate

log = structlog.get_logger(__name__)

_ENTRY = "document/"
REGISTERED = ("barred/", "device/", "list/", "off/", "params/", "place/", "secret/", "source/")
"""How the keys of documents begin that files have not, but for directories and what is made of them."""
_ROWS = msgspec.json.Decoder(DeviceRow)
RULE_NOUNS = frozenset({"rule", "scene"})
"""What the documents in directories of rules may be."""
UNREADABLE = (ConfigError, ValueError, msgspec.DecodeError)
"""What compiling a document may raise that was written for another version."""


def read_yaml(profile_directories: Sequence[Path], rule_directories: Sequence[Path]) -> dict[str, bytes]:
    """Return kinds, profiles, networks and rules as documents; later directories replace earlier ones by name.

    ConfigError with file, line and hint for the first thing that is wrong.
    """
    tree = load_tree(profile_directories, NOUNS)
    catalogue, profiles = profiles_of(tree)
    documents = {f"kind/{kind.kind}": canonical_json(kind) for kind in catalogue.kinds.values()}
    documents |= {f"profile/{profile.profile}": canonical_json(profile) for profile in profiles.values()}
    for network in networks_of(tree).values():
        documents[f"network/{network.network}"] = canonical_json(network)
    rules, scenes = read_scenes(rule_directories, catalogue)
    documents |= {f"rule/{name}": write_rule(rule) for name, rule in rules.items()}
    documents |= {f"scene/{name}": write_scene(scene) for name, scene in scenes.items()}
    return documents


def read_scenes(
    directories: Sequence[Path], catalogue: Catalogue | None = None
) -> tuple[dict[str, Rule], dict[str, Scene]]:
    """Return every rule and every scene by name, the scenes against the rules; ConfigError names the document.

    Without a catalogue nobody looks at what rules say of kinds: a quarter of the time.
    """
    tree = load_tree(directories, RULE_NOUNS)
    rules = _rules_of(tree, catalogue)
    scenes, refused = scenes_of(tree, rules)
    for error in refused.values():
        raise error
    return rules, scenes


def scenes_of(tree: Tree, rules: Mapping[str, Rule]) -> tuple[dict[str, Scene], dict[str, ConfigError]]:
    """Return every scene of ``tree`` by name, and of each that is wrong, what is wrong first."""
    scenes: dict[str, Scene] = {}
    refused: dict[str, ConfigError] = {}
    owners: dict[str, str] = {}
    for document in (each for each in tree.values() if each.noun == "scene"):
        try:
            scenes[document.name] = _scene_of(document, rules, owners)
        except ConfigError as error:
            refused[document.name] = error
    return scenes, refused


def _scene_of(document: YamlDocument, rules: Mapping[str, Rule], owners: dict[str, str]) -> Scene:
    """Return a scene that is right, noting in ``owners`` whose its rules are; ConfigError."""
    scene = validate(document, Scene)
    for path, message, hint in wrong_with(scene, rules):
        raise document.error("bad_scene", message, path=path, hint=hint)
    for index, name in enumerate(scene.rules):
        if owners.setdefault(name, scene.scene) != scene.scene:
            message = f"rule {name!r} is in scene {owners[name]!r} already: a rule has one switch"
            raise document.error("bad_scene", message, path=("rules", index))
    return guarded(scene, rules)


def _rules_of(tree: Tree, catalogue: Catalogue | None) -> dict[str, Rule]:
    rules: dict[str, Rule] = {}
    for document in (each for each in tree.values() if each.noun == "rule"):
        rule = validate(document, Rule)
        if catalogue is not None and (wrong := errors(rule, catalogue)):
            raise document.error(wrong[0].code, wrong[0].message, path=wrong[0].path, hint=wrong[0].hint)
        rules[rule.rule] = rule
    return rules


def revise(known: Mapping[str, bytes], wanted: Mapping[str, bytes], code: str) -> NewRevision | None:
    """Return what leads from ``known`` to ``wanted``; None when nothing changed.

    ConfigError when the engine could not work with ``wanted``: found here, on a scratch copy, before it is journaled.
    """
    note = differing(known, wanted, code)
    if note is None:
        return None
    put, removed = note.revision.put, note.revision.removed
    is_whole = any(not key.startswith(("barred/", "device/", "place/")) for key in [*put, *removed])
    tried = {key: body for key, body in wanted.items() if is_whole or key in put or not key.startswith("device/")}
    _try_out({key: body for key, body in tried.items() if not key.startswith("off/")})  # it may be switched on again
    return note


def differing(known: Mapping[str, bytes], wanted: Mapping[str, bytes], code: str) -> NewRevision | None:
    """Return what leads from ``known`` to ``wanted``, which nobody has tried yet; None when nothing changed."""
    put: dict[str, str] = {}
    bodies: dict[str, bytes] = {}
    for key in sorted(key for key, body in wanted.items() if known.get(key) != body):
        digest = hashlib.blake2b(wanted[key], digest_size=16).hexdigest()
        put[key], bodies[digest] = digest, wanted[key]
    removed = sorted(key for key in known if key not in wanted)
    return NewRevision(revision=Revision(code, put, removed), bodies=bodies) if put or removed else None


def restored(
    begin: Callable[[], Engine], entries: Sequence[tuple[str, bytes]], shipped: Mapping[str, bytes]
) -> tuple[Engine, dict[str, bytes]]:
    """Return an engine with the state of a checkpoint, and the documents in it that had to give way to our own.

    That happens when another version wrote what this one cannot read. The next revision is then the difference to the
    old documents, so that the journal tells of it. CorruptError for a damaged state, ConfigError when nothing fits.
    """
    engine = begin()
    try:
        engine.restore(entries)
    except CorruptError:
        raise
    except UNREADABLE as error:
        log.warning("documents_replaced", reason=str(error))
    else:
        return engine, {}
    documents = [each for each in entries if each[0].startswith(_ENTRY)]
    old = {key.removeprefix(_ENTRY): msgspec.msgpack.decode(body, type=Document).body for key, body in documents}
    ours = [(_ENTRY + key, msgspec.msgpack.encode(Document(body))) for key, body in _readable(old, shipped).items()]
    engine = begin()
    engine.restore([*(each for each in entries if not each[0].startswith(_ENTRY)), *ours])
    return engine, old


def _readable(known: Mapping[str, bytes], shipped: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return this version's kinds, profiles, networks and rules with the known devices.

    Rules that are gone and can be read stay: the next revision ends them as it ends any rule. So do directories of
    networks and the profiles made of them.
    """
    documents = {key: body for key, body in known.items() if key.startswith(REGISTERED)} | dict(shipped)
    _try_out(documents)
    for key in sorted(set(known) - set(documents)):
        if key.startswith(("rule/", DIRECTORY, MADE)):
            with suppress(*UNREADABLE):
                _try_out({**shipped, key: known[key]})
                documents[key] = known[key]
    return documents


def _try_out(documents: Mapping[str, bytes]) -> None:
    scratch = Content()
    scratch.documents = {key: Document(body) for key, body in _unlike(documents)}
    scratch.restore({}, State())


def _unlike(documents: Mapping[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """Yield the documents, but of devices that are compiled alike only the first: 100,000 of them would take a second.

    What a device works with comes of its kind, profile, parameters and zone; where there are parameters of rules, lists
    or facts, also of its place. Each device of a foreign network is tried, and each that has parameters of its own.
    """
    named = {f"device/{key.split('/')[1]}/{key.rpartition(':')[2]}" for key in documents if key.startswith("params/")}
    is_local = any(key.startswith(("params/", "list/")) or _has_facts(key, body) for key, body in documents.items())
    seen: set[tuple[object, ...]] = set()
    for key, body in documents.items():
        if key.startswith("device/"):
            row = _ROWS.decode(body)
            alone = key if row.source or key in named else ""
            place = (row.site, row.place) if is_local else ()
            look = (row.kind, row.profile, row.zone, tuple(sorted(row.params.items())), place, alone)
            if look in seen:
                continue
            seen.add(look)
        yield key, body


def _has_facts(key: str, body: bytes) -> bool:
    return key.startswith("place/") and b'"facts":{}' not in body
