"""What a database says when a person must mend something: no patience helps, and whoever waits hides it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from hub.errors import ConfigError, UnavailableError

# psycopg keeps nothing but the words of a connection that failed, in the language of the server: of PostgreSQL 15 and
# of its Chinese translation. In any other language the server counts as away, which is told with its own words.
_SAYS: Mapping[str, re.Pattern[str]] = {
    "registry_not_writable": re.compile(r"unable to open database file|attempt to write a readonly database"),
    "registry_database_unknown": re.compile(r'database ".*" does not exist|数据库 ".*" 不存在'),
    "registry_login_refused": re.compile(
        r'password authentication failed|no password supplied|role ".*" does not exist|no pg_hba\.conf entry'
        r'|permission denied for database|Password 认证失败|角色 ".*" 不存在|pg_hba\.conf 记录|访问数据库".*"的权限不够'
    ),
}
_HINTS: Mapping[str, str] = {
    "registry_not_writable": "let the user who runs the hub write the file and its directory",
    "registry_database_unknown": "name another one in registry.url, or let PostgreSQL make it: createdb NAME",
    "registry_login_refused": "mend user and password in registry.url, or let the server know them (pg_hba.conf)",
}


def refusal_of(error: UnavailableError) -> ConfigError | None:
    """Return what a person must mend, when that is why the registry could not be opened; None when it may be later."""
    code = next((code for code, says in _SAYS.items() if says.search(error.message)), None)
    return None if code is None else ConfigError(code, error.message, hint=_HINTS[code], url=error.fields.get("url"))
