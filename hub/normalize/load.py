"""Device profiles and kinds from directories of YAML; the only place of this room that reads files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from hub.catalogue import Catalogue, Kind
from hub.errors import ConfigError
from hub.normalize.compile import compile_profile
from hub.normalize.profile import Profile
from hub.yaml_documents import Document, load_tree, validate

NOUNS = ("kind", "profile")


def load_profiles(directories: Sequence[Path]) -> tuple[Catalogue, Mapping[str, Profile]]:
    """Return the kinds and, by name, the profiles of ``directories``; a later one replaces by name.

    Every profile is compiled once, with its own params, so that what comes out of here works. Raises ConfigError
    with file, line and a hint.
    """
    tree = load_tree(directories, NOUNS)
    kinds = {document.name: document for (noun, _), document in tree.items() if noun == "kind"}
    catalogue = _catalogue(kinds)
    profiles = {
        document.name: _profile(document, catalogue) for (noun, _), document in tree.items() if noun == "profile"
    }
    return catalogue, profiles


def _catalogue(documents: Mapping[str, Document]) -> Catalogue:
    kinds = [validate(document, Kind) for document in documents.values()]
    try:
        return Catalogue(kinds)
    except ConfigError as error:
        raise _located(documents[str(error.fields["kind"])], error) from error


def _profile(document: Document, catalogue: Catalogue) -> Profile:
    profile = validate(document, Profile)
    try:
        compile_profile(profile, catalogue.kind(profile.kind), {}, "UTC")
    except ConfigError as error:
        raise _located(document, error) from error
    return profile


def _located(document: Document, error: ConfigError) -> ConfigError:
    path = error.fields.get("path", ())
    return document.error(error.code, error.message, path=path if isinstance(path, tuple) else (), hint=error.hint)
