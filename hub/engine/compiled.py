"""What documents compile to; what is not touched is not compiled again."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import NamedTuple

from hub.catalogue import Catalogue, catalogue_of
from hub.engine.change import Touched
from hub.engine.circumstances import Circumstances
from hub.engine.meters import DOCUMENT as QUOTA
from hub.engine.meters import Quota, read_quota
from hub.engine.networks import Networks
from hub.engine.outfits import Outfits
from hub.engine.places import bodies_of
from hub.engine.rulebook import Rulebook
from hub.normalize.profile import Profile, profile_of
from hub.rules.pseudonyms import DOCUMENT, read_key
from hub.rules.states import CompiledRule


class Compiled(NamedTuple):
    """Kinds, profiles, outfits, networks, rules, quota of one set of documents, and the key of pseudonyms."""

    catalogue: Catalogue
    profiles: Mapping[str, Profile]
    outfits: Outfits
    networks: Networks
    rulebook: Rulebook
    secret: bytes
    quota: Quota

    @classmethod
    def of_nothing(cls, circumstances: Circumstances, compile_rule: Callable[..., CompiledRule]) -> Compiled:
        """Return what no documents compile to; ``compile_rule`` makes the rules of those that come."""
        kinds = Catalogue(())
        rulebook = Rulebook(kinds, circumstances, compile_rule)
        return cls(kinds, {}, Outfits({}, {}), Networks(), rulebook, read_key(None), Quota())

    def over(self, touched: Touched, bodies: Mapping[str, bytes]) -> Generator[None, None, Compiled]:
        """Return, a little at a time, what ``bodies`` compile to, of which some are ``touched``. ConfigError."""
        kinds = self.catalogue
        if touched.keys("kind"):
            kinds = catalogue_of(*bodies_of(bodies, "kind"))
            yield
        rulebook = yield from self.rulebook.heir(bodies, kinds)
        outfits, networks, names = self.outfits, self.networks, touched.names("profile")
        profiles = self._profiles(bodies, names) if names else self.profiles
        if touched.has_new_kinds:
            outfits = Outfits(kinds.kinds, profiles)
            yield
            networks = Networks(*(bodies_of(bodies, noun) for noun in ("network", "source", "directory")))
        elif names:
            outfits = outfits.heir(profiles, names)
        secret, quota = read_key(bodies.get(DOCUMENT)), read_quota(bodies.get(QUOTA))
        return Compiled(kinds, profiles, outfits, networks, rulebook, secret, quota)

    def _profiles(self, bodies: Mapping[str, bytes], names: set[str]) -> dict[str, Profile]:
        """Return the profiles, of which those ``names`` are others: to read one takes a millisecond."""
        found = {name: profile for name, profile in self.profiles.items() if name not in names}
        for name in sorted(names):
            body = bodies.get(f"profile/{name}")
            if body is not None:
                found[name] = profile_of(body)
        return found
