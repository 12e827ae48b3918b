"""The page for all workers: every reason and every number with its partition."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest

from hub.metrics import Metrics
from hub.services.workers import Worker
from hub.ui.pages.workers import Place, Together, reasons_of

READY = b'{"ready":true,"reasons":[]}'
BLIND = b'{"ready":false,"reasons":[{"code":"session_blind","detail":"events: not everything"}]}'


def place(fate: str = "") -> Place:
    return Place("east", Worker(name="worker-2", command=[], fate=fate), 1)


def heard(count: int) -> str:
    metrics = Metrics()
    metrics.read("hub_messages_heard_total", lambda: {"events": count})
    metrics.read("hub_journal_size_bytes", lambda: count * 1_000)
    return metrics.text().decode()


def test_each_number_of_each_partition_is_told_and_each_metric_is_declared_once() -> None:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Together({"main": heard(7), "east": heard(9)}))
    text = generate_latest(registry).decode()
    assert [line for line in text.splitlines() if line[0] != "#"] == [
        'hub_messages_heard_total{partition="main",session="events"} 7.0',
        'hub_messages_heard_total{partition="east",session="events"} 9.0',
        'hub_journal_size_bytes{partition="main"} 7000.0',
        'hub_journal_size_bytes{partition="east"} 9000.0',
    ]
    assert text.count("# TYPE hub_messages_heard_total counter") == 1


def test_a_partition_has_no_reason_while_its_worker_has_none() -> None:
    assert reasons_of(place(), (200, READY)) == []


def test_what_a_worker_says_against_itself_is_told_with_its_partition() -> None:
    assert reasons_of(place(), (503, BLIND)) == [
        {"code": "session_blind", "detail": "events: not everything", "partition": "east"}
    ]


def test_a_worker_that_died_is_down_until_the_next_one_answers() -> None:
    (reason,) = reasons_of(place("ended by SIGKILL"), (0, b""))
    assert (reason["code"], reason["partition"]) == ("worker_down", "east")
    assert "ended by SIGKILL" in reason["detail"]


def test_one_that_lives_and_does_not_answer_is_silent() -> None:
    (reason,) = reasons_of(place(), (0, b""))
    assert reason["code"] == "worker_silent"
