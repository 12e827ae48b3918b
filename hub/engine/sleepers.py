"""Devices that listen only after they spoke: what waits for them, how long, and what would come too late."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from hub.catalogue import Label
from hub.commands.arbitration import urgency
from hub.commands.life import OPEN, Command
from hub.commands.patience import Errand, wait_for
from hub.durations import nanoseconds, write_duration
from hub.engine.device import Device
from hub.engine.moment import Moment
from hub.engine.state import Clock
from hub.normalize.networks.network import Sleep

if TYPE_CHECKING:
    from hub.engine.sending import Wish


class Sleepers:
    """Knows who sleeps, and keeps the commands that wait for them; each is an entry of the state elsewhere."""

    def __init__(self, clock: Callable[[], Clock]) -> None:
        self._clock = clock
        self._waiting: dict[tuple[str, str], dict[str, Command]] = {}

    def put(self, command: Command) -> None:
        """Let ``command`` wait for its device."""
        self._waiting.setdefault((command.site, command.device), {})[command.id] = command

    def drop(self, command: Command) -> None:
        """Forget a command, which may never have waited."""
        whose = command.site, command.device
        there = self._waiting.get(whose)
        if there is not None and there.pop(command.id, None) is not None and not there:
            del self._waiting[whose]

    def of(self, device: Device) -> list[Command]:
        """Return what waits for ``device``, in the order in which it leaves. Nearly always nothing.

        The most urgent actuator comes first. On each the newest has the last word, for what leaves later undoes it.
        """
        there = self._waiting.get(device.identity) if self._waiting else None
        if not there:
            return []
        first: dict[str, tuple[int, int]] = {}
        for command in sorted(there.values(), key=urgency):
            first.setdefault(command.sets or command.id, urgency(command))
        return sorted(there.values(), key=lambda one: (first[one.sets or one.id], one.number))

    # ------------------------------------------------------------------------------------------------------ who sleeps

    def sleeps(self, device: Device, moment: Moment) -> bool:
        """Return whether ``device`` hears nothing now."""
        sleep = _sleep_of(device)
        return sleep is not None and not self._listens(device, sleep, moment)

    def _listens(self, device: Device, sleep: Sleep, moment: Moment) -> bool:
        clock, heard = self._clock(), device.state.heard_awake
        return bool(heard) and clock.blind_since is None and clock.awake(moment.t) - heard <= nanoseconds(sleep.listens)

    def expiry_ns(self, wish: Wish) -> int:
        """Return how long a command for ``wish`` is worth sending: to a sleeper, how long it may wait."""
        worth, device = wish.cause.expiry_ns, wish.device
        return worth if _sleep_of(device) is None else wait_for(_errand_of(wish), device.outfit.reach.habit) or worth

    def why_late(self, wish: Wish, moment: Moment) -> Label | None:
        """Return why ``wish`` would come too late; None when it would not.

        A hold must reach the device again and again: that it listens now is not enough.
        """
        sleep = _sleep_of(wish.device)
        if sleep is None:
            return None
        errand, habit = _errand_of(wish), wish.device.outfit.reach.habit
        if wait_for(errand, habit):
            return None
        if not errand.is_hold and self._listens(wish.device, sleep, moment):
            return None
        worth = write_duration(timedelta(microseconds=errand.worth_ns // 1_000))
        every = write_duration(timedelta(microseconds=habit.every_ns // 1_000)) if habit.every_ns else "?"
        return {
            "en": f"it listens only after it spoke, every {every}, and this is worth {worth}",
            "zh": f"设备只在上报之后接收命令，上报周期 {every}，而该命令的有效期只有 {worth}",
        }

    def is_needless(self, wish: Wish, last: Command, moment: Moment) -> bool:
        """Return whether renewing what ``last`` said is of no use now: it is on its way, or would come too late."""
        return self.sleeps(wish.device, moment) and (last.state in OPEN or self.why_late(wish, moment) is not None)


def whenever_it_speaks(late: Label) -> Label:
    """Return why an alarm's hold for the safety of life is refused, though it is wanted as long as that lasts."""
    return {
        "en": f"{late['en']}: it cannot be held, and is sent whenever the device has spoken while the alarm lasts",
        "zh": f"{late['zh']}；无法持续保持，报警期间设备每次上报后即下发",
    }


def seen_too_soon(because: Label) -> Label:
    """Return why what a person saw does not let pass what an interlock bars: it is over when the device listens."""
    return {
        "en": f"{because['en']}: it listens only after it spoke, and what was seen (--seen) is over by then",
        "zh": f"{because['zh']}；设备只在上报之后接收命令，现场所见（--seen）届时已失效",
    }


def _sleep_of(device: Device) -> Sleep | None:
    """Return when ``device`` listens; None: always, as its network says of it, or else the parameters of the source."""
    source = device.source
    if source is None or source.sleeps is None:
        return None
    said = {**source.params, **(device.state.seldom.names or {})}
    return None if any(said.get(name) in words for name, words in source.sleeps.unless.items()) else source.sleeps


def _errand_of(wish: Wish) -> Errand:
    device, action = wish.device, wish.action
    is_hold = device.is_hold(action.command)
    worth = wish.cause.expiry_ns
    if is_hold:
        worth = nanoseconds(action.ttl)
    elif action.until is not None:
        worth = device.outfit.reach.habit.gone_after_ns if action.at_most is None else nanoseconds(action.at_most)
    return Errand(action.priority.value, worth, is_hold, device.lets_go(action.command))
