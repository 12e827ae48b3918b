"""The invariants notice: evidence in which everything holds, spoiled in one way each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import pytest

from hub.journal.outbox import MEMORY_BYTES
from tests.chaos.evidence import Acting, Evidence, Vital
from tests.chaos.faults.fault import Copies, Fault, Loss
from tests.chaos.faults.table import FAULTS, ROWS
from tests.chaos.invariants import INVARIANTS, broken
from tests.chaos.storm import Storm


async def nothing(_storm: Storm) -> None:
    """Do nothing."""


FAULT = Fault(name="none", does="nothing", strike=nothing, says=frozenset({"down"}), may_say=frozenset({"not_running"}))
ALL = frozenset(range(1, 101))
LEDGER = {
    "hub_messages_heard_total": 104.0,
    "hub_messages_applied_total": 101.0,
    "hub_messages_deduplicated_total": 1.0,
    "hub_messages_dead_lettered_total": 1.0,
    "hub_messages_refused_total": 1.0,
    "hub_points_derived_total": 95.0,
    "hub_points_written_total": 95.0,
}
ENDED: dict[str, list[str]] = {"a": ["superseded"], "b": ["executed", "verified"], "c": ["timeout"]}
SOUND = Evidence(
    fault=FAULT,
    rate=100,
    ack_delay_seconds=0.05,
    acked=ALL,
    tried=ALL | {101},
    heard=ALL,
    judged=Counter(ALL),
    stored=Counter(ALL),
    inversions=(),
    told={"access": ["a", "b"], "fire": ["c"]},
    expected={"access": ["a", "b"], "fire": ["c"]},
    stored_events=Counter("abc"),
    ledger=LEDGER,
    checkpoint=7,
    differing=(),
    said=frozenset({"down"}),
    liveness_seconds=1.0,
    vital=Vital(),
    ends=ENDED,
    acting=Acting(wanted={"c": "timeout"}, release_seconds=3.9),
)

SPOILED: Mapping[str, tuple[str, Evidence]] = {
    "a message that was PUBACKed is nowhere": (
        "Conservation",
        replace(SOUND, heard=ALL - {7}, judged=Counter(ALL - {7})),
    ),
    "a message that was heard came to nothing": ("Conservation", replace(SOUND, judged=Counter(ALL - {7}))),
    "a point is not in the store": ("Conservation", replace(SOUND, stored=Counter(ALL - {7}))),
    "a point was invented": ("Conservation", replace(SOUND, stored=Counter(ALL | {999}), judged=Counter(ALL | {999}))),
    "the ledger lacks a message": (
        "Conservation",
        replace(SOUND, ledger=LEDGER | {"hub_messages_applied_total": 100.0}),
    ),
    "the ledger lacks a point": ("Conservation", replace(SOUND, ledger=LEDGER | {"hub_points_written_total": 94.0})),
    "a message was judged twice": ("Once", replace(SOUND, judged=Counter(ALL) + Counter([7]))),
    "a point is there twice": ("Once", replace(SOUND, stored=Counter(ALL) + Counter([7]))),
    "an event is in the stream twice": ("Once", replace(SOUND, told={"access": ["a", "b", "a"], "fire": ["c"]})),
    "an event is in the store twice": ("Once", replace(SOUND, stored_events=Counter("abca"))),
    "a later message came first": ("Order", replace(SOUND, inversions=(7,))),
    "a later event came first": ("Order", replace(SOUND, told={"access": ["b", "a"], "fire": ["c"]})),
    "a rule stands elsewhere": ("State", replace(SOUND, differing=("rule/x",))),
    "nothing was compared": ("State", replace(SOUND, checkpoint=0)),
    "an event is missing": ("State", replace(SOUND, told={"access": ["a", "b"]})),
    "an event was invented": ("State", replace(SOUND, expected={"access": ["a", "b"]})),
    "it took too long": ("Liveness", replace(SOUND, liveness_seconds=5.1)),
    "the memory grew": ("Bounded", replace(SOUND, vital=Vital(memory_grown_bytes=MEMORY_BYTES + 1))),
    "the outbox grew": ("Bounded", replace(SOUND, vital=Vital(outbox_bytes=MEMORY_BYTES + 1))),
    "the journal grew": ("Bounded", replace(SOUND, vital=Vital(journal_bytes=2**30))),
    "it does not catch up": ("Bounded", replace(SOUND, vital=Vital(lag_records=1_000))),
    "it does not deliver": ("Bounded", replace(SOUND, vital=Vital(waiting_records=1_000))),
    "a command ended twice": ("Acting", replace(SOUND, ends=ENDED | {"b": ["timeout", "executed"]})),
    "a command ended otherwise": ("Acting", replace(SOUND, ends=ENDED | {"c": ["executed"]})),
    "a command never ended": ("Acting", replace(SOUND, acting=Acting(wanted={"d": "failed"}))),
    "a release came late": ("Acting", replace(SOUND, acting=Acting(release_seconds=4.1))),
    "an escape door was let go": ("Acting", replace(SOUND, acting=Acting(let_go=["exit"]))),
    "an escape door was forgotten": ("Acting", replace(SOUND, acting=Acting(forgotten=["exit"]))),
    "it kept silent": ("Honest", replace(SOUND, said=frozenset())),
    "it named what was not": ("Honest", replace(SOUND, said=frozenset({"down", "redis_unreachable"}))),
}


def test_sound_evidence_breaks_nothing() -> None:
    assert broken(SOUND) == []


@pytest.mark.parametrize("spoiled", SPOILED)
def test_what_is_spoiled_breaks_its_invariant_by_name(spoiled: str) -> None:
    name, evidence = SPOILED[spoiled]
    assert name in {line.partition(":")[0] for line in broken(evidence)}


def test_every_invariant_is_broken_by_something() -> None:
    assert {name for name, _ in SPOILED.values()} == set(INVARIANTS)


@pytest.mark.parametrize(("loss", "allowed"), [(Loss.NOTHING, 0), (Loss.ACK_DELAY, 5), (Loss.SINCE_SAVE, 220)])
def test_a_broker_may_lose_its_bound_and_not_one_more(loss: Loss, allowed: int) -> None:
    fault = replace(FAULT, loss=loss)
    for lost in (allowed, allowed + 1):
        heard = frozenset(range(lost + 1, 301))
        all_sent = frozenset(range(1, 301))
        found = replace(
            SOUND,
            fault=fault,
            acked=all_sent,
            tried=all_sent,
            heard=heard,
            judged=Counter(heard),
            stored=Counter(heard),
        )
        assert len(found.lost) == lost
        assert bool(broken(found)) == (lost > allowed)


def test_a_broker_that_was_killed_loses_only_what_it_had_not_saved() -> None:
    heard = ALL - {99, 100}
    fault = replace(FAULT, loss=Loss.SINCE_SAVE)
    found = replace(SOUND, fault=fault, heard=heard, judged=Counter(heard), stored=Counter(heard))
    assert broken(replace(found, losable=frozenset({98, 99, 100}))) == []
    (line,) = broken(replace(found, losable=frozenset({100})))
    assert line.startswith("Conservation: never heard, though in the broker's last save")
    assert line.endswith("[(99, 99)]")


def test_the_lost_are_told_as_ranges_beside_both_bounds() -> None:
    heard = ALL - {7, 8, 9, 50}
    (line, *_) = broken(replace(SOUND, heard=heard, judged=Counter(heard), stored=Counter(heard)))
    assert "[(7, 9), (50, 50)]" in line
    assert "lost 4; bounds: hub up 5 (50 ms × 100/s), hub down 220 (2.2 s × 100/s)" in line


def test_what_was_lost_before_is_not_told_again() -> None:
    heard = ALL - {7}
    found = replace(SOUND, heard=heard, judged=Counter(heard), stored=Counter(heard), forgiven=frozenset({7}))
    assert broken(found) == []


def test_an_old_snapshot_doubles_only_what_came_after_it() -> None:
    fault = replace(FAULT, copies=Copies.SINCE_SAVE)
    twice = Counter(ALL) + Counter([7, 8])
    found = replace(SOUND, fault=fault, judged=twice, stored=twice, copies_allowed=frozenset({7, 8}))
    assert broken(found) == []
    assert broken(replace(found, copies_allowed=frozenset({7}))) == ["Once: had their effect twice: [(8, 8)]"]


def test_what_may_tell_of_a_busy_machine_alone_is_not_named_wrongly() -> None:
    said = SOUND.said | {"ownership_unconfirmed"}
    assert broken(replace(SOUND, said=said, unsure=frozenset({"ownership_unconfirmed"}))) == []
    assert broken(replace(SOUND, said=said))[0].startswith("Honest: /readyz said ['ownership_unconfirmed']")


def test_faults_have_names_of_their_own() -> None:
    assert len(FAULTS) == len(ROWS)
