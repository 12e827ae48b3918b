"""A dossier: lines that each hold the hash of the one before, and a seal at the end: none can be changed unseen."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from hub.errors import ConfigError

SEAL = "seal"
FIRST = "0" * 64
KEY = "dossier.key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """A dossier that nobody has changed: its lines without the seal, whose key sealed it (hex), and its digest."""

    lines: list[dict[str, object]]
    public_key: str
    digest: str


def sealed(pieces: Iterable[tuple[str, object]], key: Ed25519PrivateKey) -> bytes:
    """Return ``pieces`` (what, body) as a dossier: a JSON document a line, SHA-256 from line to line, Ed25519 over all.

    A line holds ``n``, ``previous`` (the SHA-256 of the line before, without its end), ``what`` and ``body``.
    """
    lines: list[bytes] = []
    previous = FIRST

    def add(what: str, body: object) -> None:
        nonlocal previous
        lines.append(orjson.dumps({"n": len(lines), "previous": previous, "what": what, "body": body}))
        previous = sha256(lines[-1]).hexdigest()

    for what, body in pieces:
        add(what, body)
    add(SEAL, {"public_key": public_key_of(key), "signature": key.sign(bytes.fromhex(previous)).hex()})
    return b"\n".join(lines) + b"\n"


def opened(data: bytes) -> Whole:
    """Return a dossier that is whole; ConfigError ``dossier_broken`` names the line that is not as it was written."""
    lines: list[dict[str, object]] = []
    previous = FIRST
    for number, text in enumerate(data.splitlines()):
        before = previous
        try:
            line = orjson.loads(text)
            is_next = (line["n"], line["previous"]) == (number, before)
            what, body = line["what"], line["body"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            raise _broken(number, "it is no line of a dossier") from None
        if not is_next:
            raise _broken(number, "a line before it was changed, taken out or put in")
        if what == SEAL:
            if number != data.count(b"\n") - 1:
                raise _broken(number, "something stands behind the seal")
            return Whole(lines=lines, public_key=_proven(body, before, number), digest=before)
        lines.append(line)
        previous = sha256(text).hexdigest()
    raise _broken(len(lines), "its seal is missing")


def _proven(body: object, digest: str, number: int) -> str:
    try:
        public, signature = (str(body[name]) for name in ("public_key", "signature"))  # type: ignore[index]
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(
            bytes.fromhex(signature), bytes.fromhex(digest)
        )
    except (KeyError, TypeError, ValueError, InvalidSignature):
        raise _broken(number, "the seal does not fit") from None
    return public


def _broken(number: int, why: str) -> ConfigError:
    hint = "it is not what was written: ask for another copy"
    return ConfigError("dossier_broken", why, line=number + 1, hint=hint)


def key_of(directory: Path) -> Ed25519PrivateKey:
    """Return the key that this installation seals with; made at first use, for its account's eyes only."""
    path = directory / KEY
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(path.read_text(encoding="ascii").strip()))
    key = Ed25519PrivateKey.generate()
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(key.private_bytes_raw().hex() + "\n")
        file.flush()
        os.fsync(file.fileno())
    return key


def public_key_of(key: Ed25519PrivateKey) -> str:
    """Return by whose key a dossier of this installation is sealed, to be written down elsewhere."""
    return key.public_key().public_bytes_raw().hex()
