"""A community that lives for weeks on a desk: what comes and goes there in a day, each day with other names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import orjson

from hub.model.heard import Publish
from hub.model.records import Control, Outcome, OutcomeKind, Revision, SessionLost
from tests.engine.desk import ALARM, NORMAL, SECOND, SESSIONS, START, Desk, barred, device, documents, native
from tests.engine.doubles import in_place, place
from tests.engine.foreign import DOORS, ZIGBEE, directed, foreign, listing, said

HOUR = 3_600
RULES = """
rule: card-denied
label: {en: A card is denied again and again, zh: 同一张卡多次被拒}
for_each: {value: card, of: access_controller, forget_after: 2h}
on_signal: access.denied
count: {at_least: 3, within: 10m}
raise: {event: access.card_denied, severity: medium}
clear: {absent_for: 10m}
---
rule: hot
label: {en: Hot, zh: 过热}
for_each: environment_sensor
params: {limit: 40.0}
facts: {away: false}
when: temperature > $limit
unless: $away
raise: {event: fire.hot, severity: high}
remind: {every: 10m}
do: [{command: unlock, args: {ttl: 30s}, to: {kind: access_controller, in: building}, until: cleared}]
---
rule: many-hot
label: {en: Many are hot, zh: 多处过热}
for_each: building
inputs:
  hot: {of: environment_sensor, where: temperature > 35, take: distinct(device), within: 5m}
  moves: {of: environment_sensor, take: changes(temperature), within: 1h}
when: hot >= 2 and moves >= 1
raise: {event: fire.many_hot, severity: critical}
---
rule: blocked
label: {en: Blocked, zh: 黑名单}
for_each: {kind: plate_reader, part: lane}
when: plate in list('block')
raise: {event: vehicle.blocked, severity: high}
"""
STAYING = (
    in_place(device("smoke-1", "smoke_sensor", "milesight/gs524n"), "z1"),
    in_place(device("smoke-2", "smoke_sensor", "milesight/gs524n"), "z1"),
    device("env-1", "environment_sensor"),
    device("env-2", "environment_sensor"),
    device("door-1", "access_controller"),
    device("lane-1", "plate_reader"),
    device("meter-1", "water_meter"),
    in_place(device("lift-1", "elevator"), "b1"),
    place("s1", "site"),
    place("z1", "fire_zone", "b1", "b1"),
    ZIGBEE,
    DOORS,
)


class Town:
    """A desk and its days; who comes, what is listed and what is asked for has another name each day.

    ``compiles``: rules, profiles and what a directory says change too, so that everything is compiled anew.
    """

    def __init__(self, rules: Path, *, compiles: bool = False) -> None:
        self._kept = documents(*STAYING, rules=[rules])
        self._compiles = compiles
        self._connection = 1
        self._asked = 0
        self.desk = Desk(self._documents(0))

    def live(self, day: int) -> None:
        """Live one day, and its night without anybody."""
        self._revise(self._documents(day))
        hours: dict[int, Callable[[], None]] = {
            3: partial(self._burn, f"smoke-of-{day}"),
            5: partial(self._get_hot, day),
            7: partial(self._ask, day),
            9: partial(self._try_out, day),
            11: self._lose_touch,
            13: partial(self._misspeak, day),
        }
        for hour in range(1, 17):
            self._speak(hour)
            self._pass_by(f"{day}-{hour}")
            hours.get(hour, lambda: None)()
            self.desk.tick(HOUR)
        for _ in range(8):
            self.desk.tick(HOUR)
        self.desk.engine.take_changed_twins()
        self.desk.write_down()

    def _revise(self, wanted: Mapping[str, bytes]) -> None:
        """Move to other documents without trying them out on the side first: that takes half of the time."""
        known = self.desk.engine.content.bodies()
        put = {key: key for key, body in wanted.items() if known.get(key) != body}
        self.desk.say(Revision("test", put, sorted(known.keys() - wanted.keys())), bodies=wanted)

    def _documents(self, day: int) -> dict[str, bytes]:
        """Return the documents of a day: who stands here since today, what is listed, what is so."""
        until = datetime.fromtimestamp(START / SECOND, UTC).date() + timedelta(days=day)
        house = orjson.loads(place("b1", "building", "s1", "b1")["place/s1/b1"])
        house["facts"] = {"away": f"2026-01-01/{until - timedelta(days=1)}"}
        listed = {"site": "s1", "list": "block", "entries": {f"A{day}": True, f"B{day}": f"2026-01-01/{until}"}}
        params = {"rule": "hot", "site": "s1", "device": "env-2", "values": {"limit": 30 + day / 10}}
        found = {
            **self._kept,
            **device(f"env-of-{day}", "environment_sensor"),
            **in_place(device(f"smoke-of-{day}", "smoke_sensor", "milesight/gs524n"), "z1"),
            **barred(device(f"smoke-of-{day - 1}", "smoke_sensor", "milesight/gs524n"), "retired"),
            **foreign(f"gate-{day}", "access_controller", "uhppoted/ut0311-l04", "doors", f"{day}", card=day),
            **foreign(f"kitchen-{day}", "smoke_sensor", "", "z2m", f"kitchen-{day}"),
            "place/s1/b1": orjson.dumps(house),
            "list/s1/block": orjson.dumps(listed),
            "params/env-2": orjson.dumps(params),
        }
        if self._compiles:
            rule = orjson.loads(self._kept["rule/blocked"])
            found |= {f"rule/blocked-{day}": orjson.dumps({**rule, "rule": f"blocked-{day}"})}
        return directed(found, listing(name=f"kitchen-{day}" if self._compiles else "kitchen"))

    # ------------------------------------------------------------------------------------------------- what is said

    def _hear(self, *messages: Publish) -> None:
        self.desk.hear(*messages, connection=self._connection, settled=1_000_000)

    def _speak(self, hour: int) -> None:
        now = self.desk.wall // 1_000_000
        for name in ("env-1", "env-2"):
            self._hear(native(name, {"t": now, "seq": hour, "values": {"temperature": 20.0 + hour % 3}}, "telemetry"))
        for name in ("smoke-1", "smoke-2"):
            self._hear(Publish(f"hub/s1/{name}/telemetry", bytes.fromhex(NORMAL)))
        self._hear(native("meter-1", {"values": {"valve": "open", "leak": False}}, "telemetry"))
        self._hear(native("lift-1", {"values": {"fault": False, "door": "closed"}}, "telemetry"))

    def _pass_by(self, name: str) -> None:
        """Let a plate that is listed, one that is not, and a card that has no right be read."""
        for plate in (f"A{name.partition('-')[0]}", f"P-{name}"):
            self._hear(native("lane-1", {"part": "lane-1", "values": {"plate": plate}}, "telemetry"))
        card = {"name": "access.denied", "card": name, "reason": "unknown_card"}
        for _ in range(3):
            self._hear(native("door-1", {"part": "door-1", "signals": [card]}))

    def _burn(self, name: str) -> None:
        """Let a detector that came today say that it burns, twice with the same packet, and be silent for ever."""
        for payload in (NORMAL, ALARM):
            self._hear(Publish(f"hub/s1/{name}/telemetry", bytes.fromhex(payload)))
        self._hear(Publish("hub/s1/smoke-1/telemetry", bytes.fromhex(ALARM)))
        self._order("ack", rule="smoke-alarm", key=f"s1/{name}")
        self._order("comment", rule="smoke-alarm", key=f"s1/{name}", text="on the way")
        self._order("shelve", **{"rule": "smoke-alarm", "key": f"s1/{name}", "for": "1h"})
        self.desk.tick(60)
        for each in (name, "smoke-1"):
            self._hear(Publish(f"hub/s1/{each}/telemetry", bytes.fromhex(NORMAL)))
        self.desk.tick(600)
        self._order("clear", rule="fire-confirmed", key="s1/@z1", role="security")

    def _get_hot(self, day: int) -> None:
        for temperature in (45, 20):
            for name in ("env-1", "env-2", f"env-of-{day}"):
                self._hear(native(name, {"values": {"temperature": temperature}}, "telemetry"))
            for effects in self.desk.effects[-4:]:
                for sent in effects.transmissions:
                    self.desk.say(Outcome(sent.command, OutcomeKind.SENT))
            self.desk.tick(600)

    def _misspeak(self, day: int) -> None:
        self._hear(Publish(f"nobody/knows/{day}", b"{}"), Publish(f"hub/s1/stranger-{day}/telemetry", b"{}"))
        self._hear(Publish("hub/s1/env-1/telemetry", b"{"), Publish(f"hub/s1/smoke-of-{day - 1}/telemetry", b"{}"))
        if self._compiles:  # a topic of a foreign network is remembered until then, a named number of them
            self._hear(said(f"zigbee2mqtt/kitchen-{day}", {"smoke": False}), said(f"zigbee2mqtt/other-{day}", {}))
        self._hear(Publish("hub/s1/door-1/availability", b"offline"), Publish("hub/s1/door-1/availability", b"online"))

    # ------------------------------------------------------------------------------------------------ what is asked

    def _order(self, verb: str, actor: str = "li", identity: str = "", **args: str) -> None:
        self._asked += 1
        words = Control("1-0", identity or f"id-{self._asked}", actor, verb, self.desk.wall + 30 * SECOND, {**args})
        self.desk.say(words)

    def _ask(self, day: int) -> None:
        self._order("command", site="s1", device="door-1", part=f"door-{day}", command="unlock", ttl="5s")
        self._order("command", identity=f"told-{day}", site="s1", device="meter-1", command="close_valve")
        self._hear(Publish("hub/s1/meter-1/response", orjson.dumps({"id": f"told-{day}", "ok": True})))
        self._order("command", identity=f"all-{day}", site="s1", place="b1", command="unlock")
        self._order("confirm", "wang", site="s1", request=f"all-{day}")
        self._order("command", site="s1", place="s1", command="unlock")
        self._order("desire", site="s1", device="meter-1", name="valve", value="closed", reason="winter")
        self.desk.tick(300)
        self._order("desire", site="s1", device="meter-1", name="valve", reason="spring")

    def _try_out(self, day: int) -> None:
        self._order("test", **{"site": "s1", "what": f"smoke-of-{day}", "for": "30m", "reason": "inspection"})
        doubled = {"what": "z1", "for": "5m", "reason": "fire drill", "doubles": "smoke-1 smoke-2"}
        self._order("drill", **{"site": "s1", **doubled})
        for name in ("smoke-1", "smoke-2"):
            self._hear(Publish(f"hub/s1/{name}/drill", bytes.fromhex(ALARM)))
        self.desk.tick(600)

    def _lose_touch(self) -> None:
        for session in SESSIONS:
            self.desk.say(SessionLost(session, self._connection, "test"))
        self.desk.tick(HOUR // 2)
        self._connection += 1
        self.desk.catch_up(self._connection)
