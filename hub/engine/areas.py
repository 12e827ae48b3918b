"""Commands to many devices at once, and drills that send some: they wait until a second person has agreed."""

from __future__ import annotations

from hub.engine.clearing import Refusal
from hub.engine.content import Content
from hub.engine.device import Device
from hub.engine.moment import Moment, Output
from hub.engine.state import State, Wanted
from hub.model.effects import Event, Transition
from hub.model.records import Control
from hub.model.values import Scalar, Severity
from hub.rules.timers import TimerClass, Timers

AGREE_NS = 300_000_000_000
"""How long a second person has (five minutes): who has not agreed by then is asked anew."""
WANTED = "wanted"
DRILL = "what"
"""The word of what a drill is of, which a command to a place has not."""
MOST = 100
"""How many may wait at once."""
_LABELS = {
    "requested": {"en": "A second person must agree", "zh": "等待第二人确认"},
    "confirmed": {"en": "A second person agreed", "zh": "第二人已确认"},
    "unconfirmed": {"en": "Nobody agreed in time", "zh": "无人确认，已过期"},
    "cancelled": {"en": "Taken back before a second person agreed", "zh": "第二人确认前已撤回"},
}


class Areas:
    """What waits for a second person, by the id of its request; each is an entry of the state."""

    def __init__(self, state: State, content: Content, timers: Timers, output: Output) -> None:
        self._state = state
        self.content = content
        self._timers = timers
        self._output = output
        self._wanted: dict[str, Wanted] = {}

    def restore(self, wanted: Wanted) -> None:
        """Take an entry of a checkpoint."""
        self._wanted[wanted.id] = wanted
        self._timers.set(TimerClass.RUNNING, wanted.until_t, WANTED, wanted.id)

    def targets(self, site: str, place: str, command: str) -> list[Device] | None:
        """Return the devices at a place and below that can be told ``command``, by key; None: no such place."""
        found = self.content.place(site, place)
        if found is None:
            return None
        there = [one for one in self.content.devices_of(site) if not one.is_double]
        return [one for one in there if found.key in self.content.around(one) and one.can(command)]

    def ask(self, control: Control, words: dict[str, Scalar], moment: Moment) -> Refusal | None:
        """Let ``control`` wait for a second person; ``words`` are told too."""
        if len(self._wanted) >= MOST:
            return Refusal("too_many_requests", f"{MOST} wait for a second person; they end within five minutes")
        wanted = Wanted(id=control.id, actor=control.actor, args=dict(control.args), until_t=moment.t + AGREE_NS)
        self._state.touch(f"wanted/{wanted.id}", wanted)
        self.restore(wanted)
        self._tell(wanted, "requested", {**words, "until": (moment.at + AGREE_NS) // 10**6}, moment)
        return None

    def agree(self, control: Control, moment: Moment) -> Wanted | Refusal:
        """Return what ``control`` agrees to, which waits no longer; or why not."""
        wanted = self._wanted.get(str(control.args.get("request", "")))
        if wanted is None:
            return Refusal("no_such_request", "it was agreed to, nobody did in time, or it never was")
        if wanted.actor == control.actor:
            return Refusal("same_person", f"{control.actor} asked for it: somebody else must agree")
        self._forget(wanted)
        self._tell(wanted, "confirmed", {"by": control.actor}, moment)
        return wanted

    def waiting(self) -> list[Wanted]:
        """Return what waits for a second person, in the order in which it will be given up."""
        return sorted(self._wanted.values(), key=lambda wanted: (wanted.until_t, wanted.id))

    def cancel(self, identity: str, words: dict[str, Scalar], moment: Moment) -> bool:
        """Let nobody agree to it any more; False when nothing of that id waits."""
        wanted = self._wanted.get(identity)
        if wanted is not None:
            self._forget(wanted)
            self._tell(wanted, "cancelled", words, moment)
        return wanted is not None

    def ripen(self, owner: str, identity: str, moment: Moment) -> None:
        """End what nobody agreed to in time."""
        wanted = self._wanted.get(identity) if owner == WANTED else None
        if wanted is not None:
            self._forget(wanted)
            self._tell(wanted, "unconfirmed", {}, moment)

    def _forget(self, wanted: Wanted) -> None:
        del self._wanted[wanted.id]
        self._state.remove(f"wanted/{wanted.id}")
        self._timers.drop(TimerClass.RUNNING, WANTED, wanted.id)

    def _tell(self, wanted: Wanted, what: str, words: dict[str, Scalar], moment: Moment) -> None:
        site, place = str(wanted.args.get("site", "")), str(wanted.args.get("place") or wanted.args.get(DRILL, ""))
        place = place.removeprefix("@")
        data: dict[str, Scalar] = {"command": wanted.args.get("command", "drill"), "id": wanted.id, "place": place}
        data |= words
        self._output.event(
            Event(
                id=self._output.event_id("command", f"{wanted.id} {what}", moment.t, 1), name=f"command.{what}",
                severity=Severity.MEDIUM, transition=Transition.OCCURRED, time=moment.at, key=f"{site}/@{place}",
                rule=f"operator {wanted.actor}", rule_version="", site=site, label=_LABELS[what], data=data,
                causes=(moment.cause,),
            )
        )  # fmt: skip
