"""What a database says when a person must mend something: no patience helps, and whoever waits hides it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from hub.errors import ConfigError, UnavailableError

_SAYS: Mapping[str, re.Pattern[str]] = {  # SQLite, which has no codes of its own here and speaks English alone
    "registry_not_writable": re.compile(r"unable to open database file|attempt to write a readonly database"),
}
_STATES: Mapping[str, str] = {  # https://www.postgresql.org/docs/current/errcodes-appendix.html
    "3D000": "registry_database_unknown",
    "28000": "registry_login_refused",  # no such role, or no entry in pg_hba.conf
    "28P01": "registry_login_refused",
    "42501": "registry_login_refused",  # not allowed to connect to this database
}
_HINTS: Mapping[str, str] = {
    "registry_not_writable": "let the user who runs the hub write the file and its directory",
    "registry_database_unknown": "name another one in registry.url, or let PostgreSQL make it: createdb NAME",
    "registry_login_refused": "mend user and password in registry.url, or let the server know them (pg_hba.conf)",
}


def refusal_of(error: UnavailableError, sqlstate: str = "") -> ConfigError | None:
    """Return what a person must mend, when that is why the registry could not be opened; None when it may be later.

    ``sqlstate`` is what a PostgreSQL said, whose words are in a language of its own (hub/registry/handshake.py).
    """
    code = next((code for code, says in _SAYS.items() if says.search(error.message)), _STATES.get(sqlstate))
    return None if code is None else ConfigError(code, error.message, hint=_HINTS[code], url=error.fields.get("url"))
