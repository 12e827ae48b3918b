"""Device profiles and kinds from directories of YAML; the only place of this room that reads files."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path

from hub.catalogue import Catalogue, Kind
from hub.errors import ConfigError
from hub.normalize.compile import compile_downlinks, compile_profile, compile_reply
from hub.normalize.profile import Profile
from hub.yaml_documents import Document, Tree, load_tree, overlaid, validate

NOUNS = ("fragment", "kind", "network", "profile")
"""What lies in a directory of device profiles. A fragment holds words that several profiles ``use``; networks are read
in ``networks/load.py``."""


def load_profiles(directories: Sequence[Path]) -> tuple[Catalogue, Mapping[str, Profile]]:
    """Return the kinds and, by name, the profiles of ``directories``; a later one replaces by name.

    Every profile is compiled once, with its own params, so that what comes out of here works. Raises ConfigError
    with file, line and a hint.
    """
    return profiles_of(load_tree(directories, NOUNS))


def profiles_of(tree: Tree) -> tuple[Catalogue, Mapping[str, Profile]]:
    """Return the kinds and the profiles among the documents of ``tree``, as :func:`load_profiles` does."""
    kinds = {document.name: document for (noun, _), document in tree.items() if noun == "kind"}
    catalogue = _catalogue(kinds)
    fragments = {document.name: document for (noun, _), document in tree.items() if noun == "fragment"}
    profiles = {
        document.name: read_profile(whole(document, fragments), catalogue)
        for (noun, _), document in tree.items()
        if noun == "profile"
    }
    return catalogue, profiles


def _catalogue(documents: Mapping[str, Document]) -> Catalogue:
    kinds = [validate(document, Kind) for document in documents.values()]
    try:
        return Catalogue(kinds)
    except ConfigError as error:
        raise _located(documents[str(error.fields["kind"])], error) from error


def read_profile(document: Document, catalogue: Catalogue) -> Profile:
    """Return a profile that was compiled once, with its own params. Raises ConfigError."""
    profile = validate(document, Profile)
    for name, block in profile.payload.inside.items():
        if mistake := block.mistake():
            raise document.error("bad_document", mistake, path=("payload", "inside", name))
    try:
        kind = catalogue.kind(profile.kind)
        compile_profile(profile, kind, {}, "UTC")
        compile_downlinks(profile, kind, {})
        compile_reply(profile)
    except ConfigError as error:
        raise _located(document, error) from error
    return profile


def whole(document: Document, fragments: Mapping[str, Document]) -> Document:
    """Return a profile with the words of the fragments that it uses; its own win, and the first fragment's."""
    used = document.body.get("use", [])
    if not isinstance(used, list) or not all(isinstance(name, str) for name in used):
        raise document.error("bad_document", "use lists names of fragments", path=["use"])
    for name in used:
        if name not in fragments:
            close = difflib.get_close_matches(name, fragments, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(sorted(fragments)) or 'none'}"
            raise document.error("unknown_fragment", f"there is no fragment {name!r}", path=["use"], hint=hint)
        document = overlaid(document, fragments[name], at="use")
    return document


def _located(document: Document, error: ConfigError) -> ConfigError:
    path = error.fields.get("path", ())
    return document.error(error.code, error.message, path=path if isinstance(path, tuple) else (), hint=error.hint)
