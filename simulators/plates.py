"""Plate cameras of Hikvision: EventNotificationAlert as XML, one for each passage (profile ``hikvision/anpr``)."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from random import Random
from uuid import UUID

from hub.model.values import TopicClass
from simulators.report import Report

CHINA = timezone(timedelta(hours=8))
CARS = 300
"""How many different cars a camera sees; the same ones again and again."""

_ALERT = """\
<EventNotificationAlert version="2.0" xmlns="http://www.isapi.org/ver20/XMLSchema"><ipAddress>172.20.16.40</ipAddress>\
<macAddress>44:a6:42:f3:2a:d7</macAddress><channelID>1</channelID><dateTime>{time}</dateTime>\
<activePostCount>1</activePostCount><eventType>ANPR</eventType><eventState>active</eventState>\
<ANPR><country>59</country><licensePlate>蓝鲁B{plate}</licensePlate><line>{line}</line><direction>forward</direction>\
<confidenceLevel>{confidence}</confidenceLevel><plateType>92TypeCivil</plateType><plateColor>blue</plateColor>\
<plateCharBelieve>99,99,99,99,97,99,99</plateCharBelieve><vehicleType>vehicle</vehicleType>\
<alarmDataType>0</alarmDataType><vehicleInfo><color>white</color><speed>{speed}</speed></vehicleInfo>\
<EntranceInfo><parkingID>P1</parkingID><gateID>G1</gateID><direction>{direction}</direction></EntranceInfo>\
<listType>white</listType></ANPR><UUID>{uuid}</UUID><picNum>0</picNum></EventNotificationAlert>"""


class PlateCamera:
    """One camera over two lanes: a different lane in and out."""

    def __init__(self, site: str, device: str, *, seed: int) -> None:
        self.site = site
        self.device = device
        self._random = Random(f"{seed}/{site}/{device}")

    def passage(self, now_ns: int) -> Report:
        """Let a car pass; ``now_ns`` is UTC, the camera shows China's time."""
        random = self._random
        line = random.randint(1, 2)
        moment = datetime.fromtimestamp(now_ns // 1_000_000 / 1e3, CHINA)
        alert = _ALERT.format(
            time=moment.isoformat(timespec="milliseconds"),
            plate=f"{random.randrange(CARS):05}",
            line=line,
            confidence=random.randint(90, 99),
            speed=random.randint(0, 15),
            direction="enter" if line == 1 else "leave",
            uuid=UUID(int=random.getrandbits(128), version=4),
        )
        return Report(
            site=self.site,
            device=self.device,
            topic_class=TopicClass.TELEMETRY,
            payload=alert.encode(),
            story="passage of a car",
        )
