"""An address in the settings that everybody may see, in listings, logs and complaints: no password is in it."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator


def refuse_login(address: str) -> str:
    """Return ``address``; ValueError for one with a user or a password in it."""
    if "@" in address:
        message = (
            'an address is no secret: user and password go into mqtt.passwords, or timeseries.token = "user:password"'
        )
        raise ValueError(message)
    return address


Address = Annotated[str, AfterValidator(refuse_login)]
"""A host, or a URL, that is shown to whoever asks; those that hold a password are ``SecretStr``."""
