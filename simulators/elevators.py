"""Elevators behind retrofit gateways that post their whole state as JSON (profile ``elevator_gateway/info``)."""

from __future__ import annotations

from random import Random

import orjson

from hub.model.values import TopicClass
from simulators.report import Report

FLOORS = 6
STOPPED, UP, DOWN = 0, 1, 2
CLOSED, OPEN = 0, 1


class Elevator:
    """One car that goes from floor to floor: closed and moving, then open at its floor, with or without passengers."""

    def __init__(self, site: str, device: str, *, seed: int) -> None:
        self.site = site
        self.device = device
        self._random = Random(f"{seed}/{site}/{device}")
        self._floor = self._random.randint(1, FLOORS)
        self._goal = self._floor
        self._is_occupied = False

    def report(self) -> Report:
        """Say the next state of a ride."""
        direction, door = STOPPED, CLOSED
        if self._floor == self._goal:
            door = OPEN
            self._is_occupied = self._random.choice((False, True))
            self._goal = self._random.randint(1, FLOORS)
        else:
            direction = UP if self._goal > self._floor else DOWN
            self._floor += 1 if direction == UP else -1
        data = {
            "direction": direction,
            "inposition": int(direction == STOPPED),
            "floor": self._floor,
            "door": door,
            "haspeople": int(self._is_occupied),
            "reparing": 0,
            "inmaintenance": 0,
            "fault": [],
        }
        payload = orjson.dumps({"type": "info", "data": data})
        return Report(
            site=self.site,
            device=self.device,
            topic_class=TopicClass.TELEMETRY,
            payload=payload,
            story="elevator state",
        )
