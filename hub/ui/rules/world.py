"""What is installed, as the lints of rules want to know it: what profiles of each kind say, and what they can write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hub.normalize.downlinks import holes
from hub.normalize.profile import Profile
from hub.rules.lints import World
from hub.rules.rule import Rule


def world_of(profiles: Iterable[Profile], rules: Mapping[str, Rule]) -> World:
    """Return it; a kind of which one profile is native is left out, because its devices may say anything of it."""
    said: dict[str, frozenset[str]] = {}
    written: dict[str, frozenset[str]] = {}
    wanted: dict[tuple[str, str], dict[str, frozenset[str]]] = {}
    native: set[str] = set()
    for profile in profiles:
        if not profile.shapes:
            native.add(profile.kind)
        mine = {name for shape in profile.shapes for name in (*shape.names, *shape.signals)}
        said[profile.kind] = said.get(profile.kind, frozenset()) | mine
        for name, words in profile.commands.items():
            wanted.setdefault((profile.kind, name), {})[profile.profile] = holes(words) - profile.params.keys()
        written[profile.kind] = written.get(profile.kind, frozenset()) | profile.commands.keys()
    for kind in sorted(native):
        del said[kind], written[kind]
    return World(rules, said, written, wanted)
