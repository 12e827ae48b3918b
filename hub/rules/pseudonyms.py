"""Pseudonyms: what stands for a card or a plate wherever it leaves the engine; pure."""

from __future__ import annotations

import hashlib
import json

from hub.model.values import Scalar

KEY_BYTES = 32
DOCUMENT = "secret/pseudonyms"
"""The document of the content that holds the key: it lives as long as the installation."""
NO_KEY = bytes(KEY_BYTES)
"""Where nobody gave a key (a test, a recording): pseudonyms are the same every time, and protect nobody."""


def write_key(key: bytes) -> bytes:
    """Return the body of the document, canonical JSON."""
    return json.dumps({"key": key.hex()}).encode()


def read_key(body: bytes | None) -> bytes:
    """Return the key of the document's body."""
    return NO_KEY if body is None else bytes.fromhex(json.loads(body)["key"])


def pseudonym(field: str, value: Scalar, key: bytes) -> str:
    """Return what stands for ``value`` of ``field``: BLAKE2b-128 under ``key``, which nobody can try values against."""
    return hashlib.blake2b(f"{field}\0{value}".encode(), key=key, digest_size=16).hexdigest()
