"""What tests of the doctor look at: scenes of settings, and one area of the table examined."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from typing_extensions import override

from hub.clock import Clock, SystemClock
from hub.config.settings import Settings
from hub.ui.doctor.findings import Grade, Scene, Verdict, examine
from hub.ui.doctor.table import AREAS

GOOD, WEAK, BAD, UNSEEN = Grade.GOOD, Grade.WEAK, Grade.BAD, Grade.UNSEEN


class ShiftedClock(SystemClock):
    """The time of a machine whose clock is wrong by some seconds."""

    def __init__(self, seconds: float) -> None:
        self._shift_ns = round(seconds * 1e9)

    @override
    def wall_ns(self) -> int:
        """Return the wrong time."""
        return super().wall_ns() + self._shift_ns


def scene(
    settings: Settings, *, conf: Path | None = None, file: Path | None = None, clock: Clock | None = None
) -> Scene:
    return Scene(settings=settings, settings_file=file, mosquitto_conf=conf, clock=clock or SystemClock())


async def examined(area: str, scene: Scene) -> dict[str, Verdict]:
    """Return what every check of an area came to."""
    (row,) = [each for each in AREAS if each.name == area]
    return {each.name: each.verdict for each in await examine(row, scene)}


def grades(found: dict[str, Verdict]) -> dict[str, Grade]:
    return {name: verdict.grade for name, verdict in found.items()}


def settings_of(directory: Path, **sections: Any) -> Settings:  # noqa: ANN401 -- whatever a setting is
    """Return settings that say nothing but that."""
    return Settings(data_dir=directory / "data", **sections)
