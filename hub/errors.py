"""The error tree: what went wrong, whether it will ever work, and what to do now.

    HubError                     every error of ours; has a stable ``code`` and fields
    ├── PoisonError              never will work: the message becomes a dead letter, the next one passes
    ├── UnavailableError         not now: keep the work and retry; may carry ``retry_after``
    ├── ConfigError              a person must mend it: exit 2, names file and line
    │   └── CorruptError         a file on disk is not what was written: refuse loudly, never start empty
    ├── OwnershipLostError       another process owns the partition now: stop at once, write nothing more
    └── StoppedError             somebody asked us to stop before we had begun: leave in good order

They are caught in the hearing loop, the engine's step, the delivering loops and the user interface, nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from typing_extensions import override


class HubError(Exception):
    """Any error of the hub.

    ``code`` is stable snake_case for programs, ``message`` is for people, ``fields`` carry the facts.
    """

    def __init__(self, code: str, message: str = "", **fields: object) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.fields = fields

    @override
    def __str__(self) -> str:
        facts = " ".join(f"{name}={value!r}" for name, value in self.fields.items() if name != "path")
        return " ".join(part for part in (f"[{self.code}]", self.message, facts) if part)


class PoisonError(HubError):
    """The message can never be understood as it is."""


class UnavailableError(HubError):
    """A server cannot take the work now; ``retry_after`` is its own wish, when it told one."""

    def __init__(self, code: str, message: str = "", *, retry_after: timedelta | None = None, **fields: object) -> None:
        super().__init__(code, message, **fields)
        self.retry_after = retry_after


class ConfigError(HubError):
    """Settings, YAML or an installation that a person must mend.

    ``path`` among the fields is where in a document: its line says that to people.
    """

    def __init__(
        self,
        code: str,
        message: str = "",
        *,
        file: str | None = None,
        line: int | None = None,
        hint: str = "",
        **fields: object,
    ) -> None:
        super().__init__(code, message, **fields)
        self.file = file
        self.line = line
        self.hint = hint

    @override
    def __str__(self) -> str:
        place = "" if self.file is None else f"{self.file}:{'' if self.line is None else f'{self.line}:'} "
        hint = f" -- {self.hint}" if self.hint else ""
        return f"{place}{super().__str__()}{hint}"


class CorruptError(ConfigError):
    """A file of the hub is damaged, or does not belong to its neighbours."""


class OwnershipLostError(HubError):
    """Another process took this partition over: whatever we would write now is no longer ours to write."""


class StoppedError(HubError):
    """A person or a supervisor stopped the hub while it was opening; there is nothing to mend."""


def ours(raised: BaseException) -> Iterator[HubError]:
    """Yield our own errors in ``raised``, which may be a group of groups."""
    if isinstance(raised, BaseExceptionGroup):
        for inner in raised.exceptions:
            yield from ours(inner)
    elif isinstance(raised, HubError):
        yield raised
