"""A dossier: lines that each hold the hash of the one before, and a seal at the end: none can be changed unseen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from hub.errors import ConfigError
from hub.whole import make_once

SEAL = "seal"
FIRST = "0" * 64
KEY = "dossier.key"
FOLDER = "dossiers"
"""Where in its data directory the hub itself keeps what it seals."""


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
        lines.append(_line(len(lines), previous, what, body))
        previous = sha256(lines[-1]).hexdigest()

    for what, body in pieces:
        add(what, body)
    signature = key.sign(bytes.fromhex(previous))
    lines.append(_seal(len(lines), previous, public_key_of(key), signature.hex()))
    return b"\n".join(lines) + b"\n"


def _line(number: int, previous: str, what: str, body: object) -> bytes:
    return orjson.dumps({"n": number, "previous": previous, "what": what, "body": body})


def _seal(number: int, previous: str, public_key: str, signature: str) -> bytes:
    return _line(number, previous, SEAL, {"public_key": public_key, "signature": signature})


def opened(data: bytes) -> Whole:
    """Return a dossier that is whole; ConfigError ``dossier_broken`` names the line that is not as it was written.

    No hash covers the seal, so it must be the bytes that we would write, and the last. Only its line end may be gone.
    """
    lines: list[dict[str, object]] = []
    previous = FIRST
    texts = data.removesuffix(b"\n").split(b"\n")
    for number, text in enumerate(texts):
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
            public_key, seal = _proven(body, before, number)
            if text != seal:
                raise _broken(number, "something was put into the seal")
            if number != len(texts) - 1:
                raise _broken(number, "something stands behind the seal")
            return Whole(lines=lines, public_key=public_key, digest=before)
        lines.append(line)
        previous = sha256(text).hexdigest()
    raise _broken(len(lines), "its seal is missing")


def _proven(body: object, digest: str, number: int) -> tuple[str, bytes]:
    """Return whose key it is (hex), and the line that we would have written."""
    try:
        public, signature = (bytes.fromhex(str(body[name])) for name in ("public_key", "signature"))  # type: ignore[index]
        Ed25519PublicKey.from_public_bytes(public).verify(signature, bytes.fromhex(digest))
    except (KeyError, TypeError, ValueError, InvalidSignature):
        raise _broken(number, "the seal does not fit") from None
    return public.hex(), _seal(number, digest, public.hex(), signature.hex())


def _broken(number: int, why: str) -> ConfigError:
    hint = "it is not what was written: ask for another copy"
    return ConfigError("dossier_broken", why, line=number + 1, hint=hint)


def key_of(directory: Path) -> Ed25519PrivateKey:
    """Return the key that this installation seals with; made at first use, for its account's eyes only.

    ConfigError ``key_damaged`` when there is one that is none.
    """
    path = directory / KEY
    if not path.exists():
        make_once(path, lambda: Ed25519PrivateKey.generate().private_bytes_raw().hex() + "\n")
    try:
        return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(path.read_text(encoding="ascii").strip()))
    except ValueError:
        hint = "restore it from a backup --with-secrets; without it the next dossier is sealed by another key"
        raise ConfigError("key_damaged", "it holds no key", file=str(path), hint=hint) from None


def public_key_of(key: Ed25519PrivateKey) -> str:
    """Return by whose key a dossier of this installation is sealed, to be written down elsewhere."""
    return key.public_key().public_bytes_raw().hex()
