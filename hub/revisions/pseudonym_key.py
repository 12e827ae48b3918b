"""The key of pseudonyms: out of the settings' secret, or of a file that only we may read, made once."""

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path

from hub.config.settings import Settings
from hub.errors import ConfigError
from hub.rules.pseudonyms import DOCUMENT, KEY_BYTES, write_key
from hub.whole import make_once


def secret_documents(settings: Settings) -> dict[str, bytes]:
    """Return the document with the key of pseudonyms."""
    return {DOCUMENT: write_key(key_of(settings.city.secret.get_secret_value(), settings.data_dir))}


def key_of(secret: str, directory: Path) -> bytes:
    """Return what makes pseudonyms: of the settings' ``secret``, or of a file that only we may read, made once."""
    if secret:
        return hashlib.blake2b(secret.encode(), digest_size=KEY_BYTES).digest()
    path = directory / "pseudonyms.key"
    if not path.exists():
        make_once(path, lambda: secrets.token_bytes(KEY_BYTES))
    found = path.read_bytes()
    if len(found) != KEY_BYTES:
        hint = "restore it; without it cards and plates get other pseudonyms than before"
        raise ConfigError("key_damaged", f"{len(found)} bytes instead of {KEY_BYTES}", file=str(path), hint=hint)
    return found
