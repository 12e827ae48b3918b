"""What every broker is told, and what is asked of it: who may come in, to which topics, and who no longer."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerUser:
    """One user and the topics that are its own; ``password_hash`` is empty for one who comes by certificate only."""

    user: str
    password_hash: str
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Roster:
    """Everybody who may come in, by user; ``revoked`` are certificates by number, with whose they were.

    ``next_end`` (wall ns) is when the next secret or certificate ends by itself, None when none does.
    """

    users: Mapping[str, BrokerUser]
    revoked: Mapping[str, str] = field(default_factory=dict)
    next_end: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """How a broker differs from what it should be: users by name, certificates by number, files by name.

    ``regranted`` are users whose topics differ. ``is_stale``: its files are right, and it works with older ones.
    ``needs_restart``: what differs is read at its start only.
    """

    added: tuple[str, ...] = ()
    rotated: tuple[str, ...] = ()
    regranted: tuple[str, ...] = ()
    revoked: tuple[str, ...] = ()
    certificates: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    is_stale: bool = False
    needs_restart: bool = False

    def __bool__(self) -> bool:
        """Whether anything differs."""
        return any((self.added, self.rotated, self.regranted, self.revoked, self.certificates, self.files)) or (
            self.is_stale
        )


class Broker(Protocol):
    """A broker that the registry keeps in step. All that differs is mended at once: thousands of users cost one reload.

    UnavailableError when it cannot be told now; ConfigError when a person must mend something.
    """

    async def list(self) -> Roster:
        """Return whom it knows now."""
        ...

    def mark(self) -> object:
        """Return what is another once somebody has changed what it knows; asked for each second."""
        ...

    async def drift(self, wanted: Roster) -> Drift:
        """Return how it differs from ``wanted``."""
        ...

    async def apply(self, wanted: Roster) -> Drift:
        """Add, rotate, regrant and revoke until it is as ``wanted``; whoever lost a secret or certificate is cut off.

        Return what differed. It is in force when this returns, where the broker runs.
        """
        ...

    async def revoke(self, users: Collection[str]) -> None:
        """Let ``users`` in no more and cut them off, at once: ``apply`` compares everything first.

        A certificate keeps out for good only after ``apply``.
        """
        ...

    async def kick(self, users: Collection[str]) -> None:
        """Cut ``users`` off; they may come again."""
        ...
