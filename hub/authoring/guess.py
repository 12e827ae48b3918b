"""Which profiles understand a payload that nobody has named, best first, and what speaks for each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hub.authoring.anatomy import Anatomy, Section
from hub.authoring.marks import Mark, Use
from hub.authoring.trace import Sent, Trace, trace
from hub.catalogue import Catalogue
from hub.errors import PoisonError
from hub.normalize.compile import compile_profile
from hub.normalize.examples import example_bytes
from hub.normalize.handler import ProfileHandler
from hub.normalize.payload import Format
from hub.normalize.profile import Profile

_SAYS = (Use.PROPERTY, Use.FLAG, Use.SIGNAL)
# A checksum is worth most: one payload in 256 has it by chance. What was measured: tests/normalize/test_guess.py.
_FRAME, _LIKENESS, _MATCH, _READ, _FIT, _PARTIAL = 3.0, 2.0, 1.0, 1.0, 1.0, -1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """How well one profile understands a payload.

    ``fits`` of ``says`` values are within their ranges; ``read`` of ``size`` bytes or leaves became something;
    ``likeness`` is that to the profile's most similar example, 0 to 1. ``error`` is why it does not decode at all.
    """

    profile: str
    kind: str
    fits: int = 0
    says: int = 0
    read: int = 0
    size: int = 0
    frame: str = ""
    is_matched: bool = False
    is_partial: bool = False
    likeness: float = 0.0
    error: PoisonError | None = None

    @property
    def score(self) -> float:
        """The higher the better; comparable for one payload only."""
        if self.error is not None:
            return -1.0
        return (
            _FRAME * bool(self.frame)
            + _LIKENESS * self.likeness
            + _MATCH * self.is_matched
            + _READ * self.read / max(1, self.size)
            + _FIT * (self.fits - (self.says - self.fits)) / max(1, self.says)
            + _PARTIAL * self.is_partial
        )


def guesses(profiles: Iterable[Profile], catalogue: Catalogue, sent: Sent) -> list[Guess]:
    """Return every profile with what speaks for it, best first; those that do not decode the payload last."""
    found = [
        _guess(profile, catalogue, Sent(payload=sent.payload, port=sent.port, zone=sent.zone))
        for profile in profiles
        if profile.payload.format is not Format.NATIVE
    ]
    return sorted(found, key=lambda guess: (-guess.score, guess.profile))


def _guess(profile: Profile, catalogue: Catalogue, sent: Sent) -> Guess:
    kind = catalogue.kind(profile.kind)
    handler = compile_profile(profile, kind, sent.params, sent.zone)
    try:  # most profiles are told apart by this alone, and a trace costs a hundred times as much
        readings = handler(sent.payload, sent.port)  # type: ignore[call-arg] # no native ones here
    except PoisonError as error:
        return Guess(profile=profile.profile, kind=profile.kind, error=error)
    seen = trace(profile, kind, sent)
    said = {(mark.reading, mark.name) for mark in seen.marks if mark.use in _SAYS}
    wrong = {(mark.reading, mark.name) for mark in seen.marks if mark.is_wrong}
    read, size = _read(seen)
    return Guess(
        profile=profile.profile,
        kind=profile.kind,
        fits=len(said - wrong),
        says=len(said),
        read=read,
        size=size,
        frame=_frame(profile),
        is_matched=any(mark.name == "match" and isinstance(mark.raw, str) for mark in seen.marks),
        is_partial=seen.is_partial,
        likeness=_likeness(profile, handler, sent.payload) if readings else 0.0,
    )  # fmt: skip


def _frame(profile: Profile) -> str:
    """Return what the frame of a payload proved, now that it decodes."""
    words = profile.payload
    if words.check is not None:
        return "checksum ok"
    return "frame ok" if words.starts or words.ends else ""


def _read(seen: Trace) -> tuple[int, int]:
    """Return how many bytes or leaves became something, and of how many."""
    read = size = 0
    for section in seen.sections:
        mine = [mark for mark in seen.marks if mark.extent.section == section.name]
        read += len(covered(section, mine))
        size += len(section.data) if section.leaves is None else len(section.leaves)
    return read, size


def covered(section: Section, marks: Iterable[Mark]) -> set[int] | set[str]:
    """Return the offsets, or the paths of the leaves, that became something."""
    if section.leaves is None:
        return {offset for mark in marks for offset in range(*mark.extent.bytes)}
    return {path for mark in marks for path in mark.extent.paths}


def _likeness(profile: Profile, handler: object, payload: bytes) -> float:
    places = list(handler.uses) if isinstance(handler, ProfileHandler) else []
    own = _signature(Anatomy(profile.payload, payload, places).whole)
    best = 0.0
    for example in profile.examples:
        try:
            other = _signature(Anatomy(profile.payload, example_bytes(example), places).whole)
        except PoisonError:
            continue
        best = max(best, len(own & other) / max(1, len(own | other)))
    return best


def _signature(section: Section) -> frozenset[object]:
    """Return what payloads of one model have in common: names of leaves, keys of channels, bytes where they stand."""
    if section.leaves is not None:
        return frozenset((leaf.steps, type(leaf.raw).__name__) for leaf in section.leaves)
    keys = [section.data[slice(*extent.bytes)] for extent in section.channel_keys()]
    return frozenset(keys) or frozenset([len(section.data), *enumerate(section.data)])


def sentence(guess: Guess) -> str:
    """Return what speaks for a profile: ``6 of 6 fit, checksum ok``."""
    if guess.error is not None:
        return f"does not decode: {guess.error}"
    words: Sequence[str] = [
        f"{guess.fits} of {guess.says} fit",
        guess.frame,
        "its message matches" if guess.is_matched else "",
        f"{guess.size - guess.read} of {guess.size} unread" if guess.read < guess.size else "all read",
        "a part unread" if guess.is_partial else "",
        f"{guess.likeness:.0%} like an example",
    ]
    return ", ".join(word for word in words if word)
