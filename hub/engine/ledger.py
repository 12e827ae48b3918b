"""The ledger: where every message went, in counts that survive a kill."""

from __future__ import annotations

import msgspec


class Ledger(msgspec.Struct):
    """Where every message went: ``heard = live + late + backfill + duplicate + dead_lettered + refused``.

    Below those: what devices' own counters tell (``missed``, ``repeated_sequence``, ``reordered``), what came again
    (``repeated``), what a profile's ``store`` left out (``unstored``), readings over the quota of their device that are
    no point (``thinned``), values that were too many (``forgotten``), and counts by session, code, severity, state and
    rule: what it raised (``fired``), what explains it (``inhibited``).
    """

    heard: int = 0
    live: int = 0
    late: int = 0
    backfill: int = 0
    duplicate: int = 0
    dead_lettered: int = 0
    refused: int = 0
    replayed: int = 0
    repeated: int = 0
    missed: int = 0
    repeated_sequence: int = 0
    reordered: int = 0
    points: int = 0
    unstored: int = 0
    thinned: int = 0
    events: int = 0
    sessions: dict[str, int] = {}
    dead_letter_codes: dict[str, int] = {}
    refused_codes: dict[str, int] = {}
    severities: dict[str, int] = {}
    commands: dict[str, int] = {}
    failed_rules: dict[str, int] = {}
    inhibited: dict[str, int] = {}
    fired: dict[str, int] = {}
    forgotten: dict[str, int] = {}

    @property
    def applied(self) -> int:
        """Return how many messages were understood."""
        return self.live + self.late + self.backfill

    @property
    def is_balanced(self) -> bool:
        """True when every message heard has exactly one end."""
        return self.heard == self.applied + self.duplicate + self.dead_lettered + self.refused
