"""What a fault is: how it is done, what it may cost, what the hub must say of itself meanwhile."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from hub.beginning import Step

if TYPE_CHECKING:
    from tests.chaos.storm import Storm

DOWN = "down"
"""Nobody answers at /readyz: the hub does not run, or has only begun."""
STARTING = frozenset({DOWN, "not_running", "session_blind", "ownership_unconfirmed", "redis_unreachable"}) | {
    step.code for step in Step
}
"""What a hub may say while it starts, after whatever fault."""


class Loss(Enum):
    """What the broker may lose that it had acknowledged: mosquitto's PUBACK does not mean "on disk"."""

    NOTHING = "0"
    ACK_DELAY = "ack delay × rate"
    SINCE_SAVE = "2.2 s × rate"


class Copies(Enum):
    """What may be judged twice: a broker that forgot an ack, or that it ever sent, sends again without a mark."""

    NONE = "0"
    SINCE_SAVE = "since its save"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One row of the table.

    ``strike`` does it from beginning to end: when it returns, whatever was broken works again, and from then on the
    seconds of Liveness count. ``says``: codes that /readyz must show meanwhile, all of them; ``may_say``: others that
    it may. ``is_alone``: it measures, and needs the machine. ``is_long``: the tests leave it to campaigns.
    """

    name: str
    does: str
    strike: Callable[[Storm], Awaitable[None]]
    says: frozenset[str] = frozenset()
    may_say: frozenset[str] = frozenset()
    loss: Loss = Loss.NOTHING
    copies: Copies = Copies.NONE
    is_alone: bool = False
    is_long: bool = False
