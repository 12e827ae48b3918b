"""What a code is (plate:鲁B12345, household:4f…): its kinds, which of them lead to people, and what a link is."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from hub.errors import ConfigError
from hub.model.values import CodeForm
from hub.normalize.plates import plate_cn
from hub.veil import masked

PERSON, HOUSEHOLD, PLATE, DEVICE, PLACE = "person", "household", "plate", "device", "place"
STANDARD = {
    PERSON: CodeForm.REFERENCE,
    HOUSEHOLD: CodeForm.REFERENCE,
    PLATE: CodeForm.PLATE,
    DEVICE: CodeForm.DEVICE,
    PLACE: CodeForm.PLACE,
}
PERSONAL = frozenset({CodeForm.REFERENCE, CodeForm.PLATE, CodeForm.WORD})
"""Forms that lead to people: masked in the audit, and on the screen unless somebody asks, which the audit tells."""
# Hexadecimal with at least one letter: neither a name, nor a telephone number, nor that of an identity card fits.
_REFERENCE = re.compile(r"(?=.*[a-f])[0-9a-f]{4,}(?:-?[0-9a-f]{4,})*")
_LEAST_REFERENCE, _MOST_REFERENCE, _REFERENCE_BYTES = 16, 64, 10
_WORD_SIZE, _PLATE_SIZE = 64, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Two codes that belong together, from ``begins`` until ``ends``: days, both included, empty for always."""

    one: str
    other: str
    begins: str = ""
    ends: str = ""

    def holds(self, day: str) -> bool:
        """Return whether it holds on ``day``."""
        return self.begins <= day and (not self.ends or day <= self.ends)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A code that another one leads to: over which one, in how many steps, and how long the last step holds."""

    code: str
    steps: int
    via: str
    begins: str = ""
    ends: str = ""


class Kinds:
    """Which kinds of codes there are: the five, and those of the installation."""

    def __init__(self, more: Mapping[str, CodeForm] | None = None) -> None:
        self._forms = {**STANDARD, **(more or {})}

    def read(self, text: str) -> str:
        """Return a code as it is kept; ConfigError ``code_invalid``."""
        kind, colon, name = text.strip().partition(":")
        if not colon or kind not in self._forms:
            hint = f"KIND:NAME with one of {', '.join(self._forms)}"
            raise ConfigError("code_invalid", f"{text!r} is no code", hint=hint)
        form = self._forms[kind]
        name = plate_cn(name) if form is CodeForm.PLATE else name.strip()
        wrong = _wrong(form, name)
        if wrong:
            raise ConfigError("code_invalid", f"{kind}: {wrong}")
        return f"{kind}:{name}"

    def is_personal(self, code: str) -> bool:
        """Return whether it leads to a person, so that it is shown masked."""
        return self._forms.get(code.partition(":")[0], CodeForm.WORD) in PERSONAL

    def shown(self, code: str) -> str:
        """Return a code with what is personal masked."""
        kind, _, name = code.partition(":")
        return f"{kind}:{masked(name)}" if self.is_personal(code) else code


def new_reference(kind: str) -> str:
    """Return a code for a person or household that says nothing of them."""
    while True:
        name = secrets.token_hex(_REFERENCE_BYTES)
        if _REFERENCE.fullmatch(name):
            return f"{kind}:{name}"


def _wrong(form: CodeForm, name: str) -> str:
    match form:
        case CodeForm.REFERENCE:
            is_opaque = _REFERENCE.fullmatch(name) and _LEAST_REFERENCE <= len(name) <= _MOST_REFERENCE
            return "" if is_opaque else "no opaque reference: 16 to 64 of 0-9 a-f, as `hub codes new` makes"
        case CodeForm.PLATE:
            return "" if name.isalnum() and _PLATE_SIZE <= len(name) <= _WORD_SIZE else f"{name!r} is no plate"
        case CodeForm.DEVICE | CodeForm.PLACE:
            site, _, inner = name.partition("/")
            return "" if site and inner and "/" not in inner else f"{name!r} is no SITE/NAME"
        case CodeForm.WORD:
            return "" if name.isprintable() and 0 < len(name) <= _WORD_SIZE else f"{name!r}: 1 to 64 printable"
