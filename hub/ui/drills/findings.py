"""What a drill has shown: each hop in ms from the first word of the cause, and a verdict for each question asked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import msgspec

from hub import __version__
from hub.engine.rows import DOUBLE
from hub.model.effects import Event, Transition, Twin
from hub.ui.drills.cause import Zone
from hub.ui.drills.course import Course

LINKAGE_MS: Final = 3_000.0
"""A linkage controller starts what it controls within 3 s of the alarm (GB 16806, from memory, not looked up)."""
SILENT_NS: Final = 50 * 3_600_000_000_000
"""As in the rule `detector-silent`: two daily reports were missed."""
HOPS: Final = ("published", "puback", "heard", "judged", "stream", "wire", "delivered", "answered", "verified")
_ANSWERS: Final = {"command.executed": "answered", "command.rejected": "answered", "command.verified": "verified"}
_ENDS: Final = ("executed", "verified", "let_go")


class Verdict(StrEnum):
    """How a question was answered; ``open``: nobody could tell."""

    PASS = "pass"  # noqa: S105 -- a verdict
    FAIL = "fail"
    OPEN = "open"


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """A question of an inspector and its answer."""

    name: str
    verdict: Verdict
    detail: str = ""


class Row(msgspec.Struct, kw_only=True):
    """What a detector said or a device was told: ``hops`` in ms by name, ``outcome`` is how it ended."""

    device: str
    what: str
    outcome: str = ""
    detail: str = ""
    id: str = ""
    hops: dict[str, float] = {}


class Detector(msgspec.Struct, frozen=True, kw_only=True):
    """A detector of the zone as it really is: when it was last heard itself (wall ns; 0: never, or it is disabled)."""

    device: str
    kind: str
    profile: str
    heard_at: int
    availability: str
    is_silent: bool
    was_played: bool


class Findings(msgspec.Struct, kw_only=True):
    """The report as a document: everything that its pages say, with the times of the ``time_zone`` of its site."""

    site: str
    place: str
    label: dict[str, str]
    time_zone: str
    started_at: int
    ended_at: int
    actors: str
    reason: str
    with_actuators: bool
    overridden_by: str
    rule: str
    event: str
    version: str = __version__
    cause: list[Row] = []
    fire: dict[str, float] = {}
    commands: list[Row] = []
    detectors: list[Detector] = []
    checks: list[Check] = []

    @property
    def has_passed(self) -> bool:
        """True when no question was answered with no."""
        return all(check.verdict is not Verdict.FAIL for check in self.checks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Who asked for a drill, why, of which zone; ``twins`` are those of its site."""

    zone: Zone
    actors: str
    reason: str
    twins: Sequence[Twin] = field(default_factory=tuple)


def findings(course: Course, asked: Asked) -> Findings:
    """Return what ``course`` has shown."""
    confirmed = course.confirmed
    found = Findings(
        site=course.site, place=course.place, label=asked.zone.place.label, time_zone=asked.zone.place.zone,
        started_at=course.started_at, ended_at=course.ended_at,
        actors=asked.actors, reason=asked.reason, with_actuators=course.with_actuators,
        overridden_by=course.overridden_by, rule=_rule(confirmed), event=confirmed[1].id if confirmed else "",
        cause=list(_cause(course)), commands=_commands(course), fire=_fire(course),
        detectors=list(_detectors(course, asked)),
    )  # fmt: skip
    found.checks = [*_of_the_chain(found), *_of_devices(course, found), *_of_the_drill(course, found)]
    return found


def _rule(confirmed: tuple[int, Event] | None) -> str:
    return f"{confirmed[1].rule} {confirmed[1].rule_version}" if confirmed else ""


def _ms(course: Course, moment: int) -> float:
    zero = course.spoken[0].published_at if course.spoken else course.started_at
    return round((moment - zero) / 1e6, 1)


def _written(milliseconds: int) -> int:
    """Return the middle of a stream's millisecond in ns."""
    return milliseconds * 1_000_000 + 500_000


# ------------------------------------------------------------------------------------------------------------- the rows


def _cause(course: Course) -> Iterator[Row]:
    for spoken in course.spoken:
        name = spoken.speaker.device
        hops = {"published": _ms(course, spoken.published_at), "puback": _ms(course, spoken.puback_at)}
        if name in course.heard:
            hops["heard"] = _ms(course, course.heard[name])
        own = next((entry for entry in course.events if _is_alarm_of(entry[1], f"{course.site}/{name}{DOUBLE}")), None)
        if own is not None:
            hops["stream"] = _ms(course, _written(own[0]))
        payload = spoken.speaker.payload.hex() if spoken.speaker.profile else spoken.speaker.payload.decode()
        source = spoken.speaker.source
        yield Row(
            device=name, what=spoken.speaker.profile or "native", hops=hops, detail=f"{payload} ({source})",
            outcome=own[1].name if own is not None else "", id=own[1].id if own is not None else "",
        )  # fmt: skip


def _is_alarm_of(event: Event, key: str) -> bool:
    return event.key.partition("#")[0] == key and event.transition is Transition.RAISED


def _fire(course: Course) -> dict[str, float]:
    """Return when it was judged (at the latest: the first that is seen of it), and told."""
    if course.confirmed is None:
        return {}
    told = _ms(course, _written(course.confirmed[0]))
    first = min([told, *(_ms(course, moment) for moment in course.sent.values())])
    return {"judged": first, "stream": told}


def _commands(course: Course) -> list[Row]:
    rows: dict[str, Row] = {}
    for written, event in course.commands():
        identity, what = str(event.data.get("id", "")), event.name.removeprefix("command.")
        row = rows.setdefault(
            identity, Row(device=event.device, what=str(event.data.get("command", "")), id=identity, hops={})
        )
        row.outcome = what if what != "rehearsed" else str(event.data.get("would", what))
        row.detail = str(event.data.get("detail", ""))
        if event.name in _ANSWERS:
            row.hops[_ANSWERS[event.name]] = _ms(course, event.time)
        row.hops.setdefault("stream", _ms(course, _written(written)))
    for identity, moment in course.sent.items():
        row = rows.setdefault(identity, Row(device="?", what="?", id=identity, outcome="unanswered", hops={}))
        row.hops["wire"] = _ms(course, moment)
        for hop, seen in (("delivered", course.delivered.get(identity)), ("answered", course.answered(identity))):
            if seen is not None:
                row.hops[hop] = _ms(course, seen)
    return sorted(rows.values(), key=lambda row: (min(row.hops.values(), default=0.0), row.device, row.what))


def _detectors(course: Course, asked: Asked) -> Iterator[Detector]:
    twins = {twin.name.partition("#")[0]: twin for twin in asked.twins}
    played = {one.speaker.device for one in course.spoken}
    for row in asked.zone.detectors:
        twin = twins.get(row.device)
        heard_at = 0 if twin is None else twin.heard_at
        yield Detector(
            device=row.device, kind=row.kind, profile=row.profile, heard_at=heard_at,
            availability="unknown" if twin is None else twin.availability,
            is_silent=course.started_at - heard_at > SILENT_NS, was_played=row.device in played,
        )  # fmt: skip
    for row in asked.zone.disabled:
        yield Detector(
            device=row.device, kind=row.kind, profile=row.profile, heard_at=0, availability="disabled",
            is_silent=True, was_played=False,
        )  # fmt: skip


# ----------------------------------------------------------------------------------------------------------- the checks


def _of_the_chain(found: Findings) -> Iterator[Check]:
    heard = sum("heard" in row.hops for row in found.cause)
    yield _check("heard", holds=heard == len(found.cause) > 0, detail=f"{heard}/{len(found.cause)}")
    told = sum(bool(row.outcome) for row in found.cause)
    yield _check("prealarm", holds=told == len(found.cause) > 0, detail=f"{told}/{len(found.cause)}")
    yield _check("confirmed", holds=bool(found.event), detail=found.rule)
    last = max((row.hops["published"] for row in found.cause), default=0.0)
    first = min((row.hops["wire"] for row in found.commands if "wire" in row.hops), default=found.fire.get("stream"))
    took = None if first is None else first - last
    is_quick = took is not None and took <= LINKAGE_MS
    yield _check("linkage", holds=is_quick, detail="" if took is None else f"{took:.0f} ms ≤ {LINKAGE_MS:.0f} ms")


def _of_devices(course: Course, found: Findings) -> Iterator[Check]:
    mine = [row for row in found.commands if not _lets_go(row)]
    if not found.with_actuators:
        barred = [row for row in mine if row.outcome != "sent"]
        yield _check("decided", holds=bool(mine) and not barred, detail=_named(barred) or f"{len(mine)}")
    else:
        silent = [row for row in mine if row.outcome not in (*_ENDS, "unverified")]
        yield _check("answered", holds=bool(mine) and not silent, detail=_named(silent) or f"{len(mine)}/{len(mine)}")
        lied = [row for row in mine if row.outcome == "unverified"]
        unseen = [row for row in mine if row.outcome == "executed"]
        verdict = Verdict.FAIL if lied else Verdict.OPEN if unseen or not mine else Verdict.PASS
        yield Check(name="verified", verdict=verdict, detail=_named([*lied, *unseen]))
        # of its tries the last counts; "~": of a hold that waits, and may hold again
        last = {(row.device, re.split("[.~]", row.id)[0]): row for row in found.commands if _lets_go(row)}
        kept = [row for row in last.values() if row.outcome not in _ENDS]
        held = ", ".join(filter(None, (_named(kept), *sorted(course.still_held()))))
        yield _check("released", holds=not held, detail=held)
    gone = [each.device for each in found.detectors if each.is_silent]
    yield _check("detectors", holds=not gone, detail=", ".join(gone) or f"{len(found.detectors)}")


def _of_the_drill(course: Course, found: Findings) -> Iterator[Check]:
    mine = [event for _, event in course.events if course.is_mine(event) and event.rule]
    real = [event for event in mine if not event.drill and not event.name.startswith("command.")]
    yield _check("apart", holds=not real, detail=", ".join(sorted({event.name for event in real})))
    yield _check("undisturbed", holds=not found.overridden_by, detail=found.overridden_by)
    left = ", ".join(sorted({alarm.name for alarm in course.remaining}))
    yield _check("over", holds=not left and course.ended_at > 0, detail=left)


def _check(name: str, *, holds: bool, detail: str = "") -> Check:
    return Check(name=name, verdict=Verdict.PASS if holds else Verdict.FAIL, detail=detail)


def _lets_go(row: Row) -> bool:
    return row.what.startswith("release_") or row.what == "lock"


def _named(rows: Sequence[Row]) -> str:
    return ", ".join(f"{row.device} {row.what}: {row.outcome}" for row in rows)


def plain(found: Findings) -> Mapping[str, object]:
    """Return it for a program."""
    return {**msgspec.to_builtins(found), "passed": found.has_passed}
