"""The key of pseudonyms: out of the settings' secret, or of a file that only we may read, made once."""

from __future__ import annotations

import hashlib
import secrets
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from hub.config.settings import Settings
from hub.errors import ConfigError
from hub.rules.pseudonyms import DOCUMENT, KEY_BYTES, write_key


def secret_documents(settings: Settings) -> dict[str, bytes]:
    """Return the document with the key of pseudonyms."""
    return {DOCUMENT: write_key(key_of(settings.city.secret.get_secret_value(), settings.data_dir))}


def key_of(secret: str, directory: Path) -> bytes:
    """Return what makes pseudonyms: of the settings' ``secret``, or of a file that only we may read, made once."""
    if secret:
        return hashlib.blake2b(secret.encode(), digest_size=KEY_BYTES).digest()
    path = directory / "pseudonyms.key"
    if not path.exists():
        draft = directory / f"pseudonyms.{uuid4().hex}"
        draft.touch(mode=0o600)
        draft.write_bytes(secrets.token_bytes(KEY_BYTES))
        with suppress(FileExistsError):  # a hub and a city engine that begin at the same time take the same one
            path.hardlink_to(draft)
        draft.unlink()
    found = path.read_bytes()
    if len(found) != KEY_BYTES:
        hint = "restore it; without it cards and plates get other pseudonyms than before"
        raise ConfigError("key_damaged", f"{len(found)} bytes instead of {KEY_BYTES}", file=str(path), hint=hint)
    return found
