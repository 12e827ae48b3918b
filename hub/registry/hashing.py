"""Secrets of 256 random bits, and the hashes that are all we keep of them, as mosquitto's password file wants them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets

SECRET_BYTES = 32
SALT_BYTES = 12

# Nobody guesses 256 random bits, so nothing is gained by hashing slowly; but at every reload mosquitto hashes the
# passwords of all who are connected: 9,000 of them held it up for 830 ms with 101 rounds, for 100 ms with one.
SECRET_ROUNDS = 1
# What mosquitto_passwd does by default, for passwords that a person may have chosen: those of the hub itself.
PASSWORD_ROUNDS = 101


def new_secret() -> str:
    """Return a password of 256 random bits, to be shown once."""
    return secrets.token_urlsafe(SECRET_BYTES)


def hash_secret(secret: str, *, rounds: int = SECRET_ROUNDS, salt: bytes | None = None) -> str:
    """Return ``$7$rounds$salt$hash``: PBKDF2 with SHA-512."""
    salt = secrets.token_bytes(SALT_BYTES) if salt is None else salt
    digest = hashlib.pbkdf2_hmac("sha512", secret.encode(), salt, rounds)
    return f"$7${rounds}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def matches(secret: str, password_hash: str) -> bool:
    """Return whether ``password_hash`` is one of ``secret``."""
    try:
        _, kind, rounds, salt, _ = password_hash.split("$")
        made = hash_secret(secret, rounds=int(rounds), salt=base64.b64decode(salt))
    except (ValueError, binascii.Error):
        return False
    return kind == "7" and hmac.compare_digest(made, password_hash)
