"""Kinds, profiles, networks, rules and scenes as documents: what ships, and what the installation has over it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import structlog

from hub.catalogue import Catalogue, Kind
from hub.config.settings import Settings, packaged
from hub.errors import ConfigError, HubError
from hub.journal.neighbours import journal_path
from hub.normalize.load import NOUNS, load_profiles, profiles_of
from hub.normalize.networks.load import networks_of
from hub.rules.check import errors
from hub.rules.rule import Rule, write_rule
from hub.rules.scene import Scene, guarded, write_scene, wrong_with
from hub.yaml_documents import Document as YamlDocument
from hub.yaml_documents import Tree, canonical_json, load_tree, validate

RULE_NOUNS = frozenset({"rule", "scene"})
"""What the documents in directories of rules may be."""

log = structlog.get_logger(__name__)


def read_content(settings: Settings) -> dict[str, bytes]:
    """Return kinds, profiles and rules: what ships with the hub, overlaid by the installation's.

    Whatever goes wrong is a ConfigError: a bug in what reads files costs what they say, never the hub.
    """
    try:
        return read_yaml(profile_layers(settings.profiles_dir), rule_layers(settings.rules_dir))
    except HubError:
        raise
    except Exception as error:
        hint = "hub profiles check and hub rules check read the same files"
        raise ConfigError("files_unreadable", f"{type(error).__name__}: {error}"[:500], hint=hint) from error


def read_at_start(settings: Settings) -> dict[str, bytes] | ConfigError:
    """Return what :func:`read_content` does, or why that was refused.

    It is raised only where no hub was at work before: else a file that somebody has half written at night, when the
    machine is started again, would silence every detector. Who was at work goes on with what it had.
    """
    try:
        return read_content(settings)
    except ConfigError as error:
        if not journal_path(settings.files_dir).exists():
            raise
        log.error("files_refused", reason=str(error))  # noqa: TRY400 -- the reason is all
        return error


def read_profiles(settings: Settings) -> dict[str, bytes]:
    """Return kinds and profiles alone: a quarter of the time."""
    return read_yaml(profile_layers(settings.profiles_dir), [])


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


@cache
def shipped_kinds() -> Sequence[Kind]:
    """Return the kinds that ship: what they mark as personal stays so where an installation's forgot the mark."""
    return list(load_profiles([packaged("device_profiles") / "kinds"])[0].kinds.values())


def profile_layers(own: Path | None) -> list[Path]:
    """Return where kinds, profiles and networks are: what ships, and the installation's ``own`` over it."""
    return [packaged("device_profiles"), *_overlay(own)]


def rule_layers(own: Path | None) -> list[Path]:
    """Return where rules and scenes are: what ships, and the installation's ``own`` over it."""
    return [packaged("rules"), packaged("scenes"), *_overlay(own)]


def _overlay(directory: Path | None) -> list[Path]:
    return [] if directory is None else [directory]
