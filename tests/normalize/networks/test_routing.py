"""All sources side by side: whose a topic is, who subscribes to what, and what may not be claimed twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.config.settings import packaged
from hub.errors import ConfigError
from hub.normalize.networks.load import load_networks
from hub.normalize.networks.network import SourceRow
from hub.normalize.networks.routing import Router, compile_router
from tests.normalize.networks.networks import network

NETWORKS = load_networks([packaged("device_profiles")])


def router(*rows: SourceRow) -> Router:
    return compile_router(rows, NETWORKS)


def refusal(*rows: SourceRow) -> str:
    with pytest.raises(ConfigError) as caught:
        router(*rows)
    return caught.value.code


def test_two_bridges_of_one_sort_are_told_apart() -> None:
    both = router(*(SourceRow(name, "zigbee2mqtt", {"base": name}) for name in ("z2m-b1", "z2m-b2")))
    found = [both.route(f"{base}/smoke") for base in ("z2m-b1", "z2m-b2", "z2m-b3")]
    assert [route and (route.stream.source, route.device) for route in found] == [
        ("z2m-b1", "smoke"),
        ("z2m-b2", "smoke"),
        None,
    ]


def test_a_topic_is_looked_up_once() -> None:
    one = router(SourceRow("lora", "chirpstack"))
    topic = "application/a/device/24e1/event/up"
    assert one.route(topic) is one.route(topic)


def test_each_session_hears_its_networks() -> None:
    both = router(SourceRow("doors", "uhppoted"), SourceRow("own", "raw"))
    assert both.filters("events") == ("uhppoted/gateway/events", "uhppoted/gateway/replies/hub")
    assert both.filters("telemetry") == ("vendor/+/+/up",)


def test_no_two_sources_may_hear_the_same_topics() -> None:
    assert refusal(SourceRow("a", "zigbee2mqtt"), SourceRow("b", "zigbee2mqtt")) == "overlapping_filters"


def test_no_source_may_hear_the_hubs_own_topics() -> None:
    assert refusal(SourceRow("a", "zigbee2mqtt", {"base": "hub"})) == "overlapping_filters"


def test_two_streams_of_a_network_may_not_overlap_either() -> None:
    streams = [{"filter": "n/{device}", "class": "telemetry"}, {"filter": "n/state", "class": "directory"}]
    with pytest.raises(ConfigError) as caught:
        compile_router([SourceRow("a", "test")], {"test": network(streams=streams)})
    assert caught.value.code == "overlapping_filters"


def test_a_source_of_no_known_network_is_refused() -> None:
    assert refusal(SourceRow("a", "sigfox")) == "unknown_network"


HEAD = """\
network: acme
version: 1.0.0
label: {en: Acme}
streams:
"""


def written(directory: Path, text: str) -> Path:
    (directory / "networks").mkdir(exist_ok=True)
    path = directory / "networks" / "acme.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        (HEAD + "  - filter: acme/x{y}/{device}\n    class: telemetry\n", "bad_filter", 5),
        (HEAD + "  - filter: acme/{device}\n    class: telemetry\n    port: a.\n", "bad_place", 5),
        (HEAD + "  - filter: acme/{device}\n    clas: telemetry\n", "unknown_key", 6),
        (HEAD + "  - {filter: acme/x, class: telemetry}\n", "bad_document", 5),
        (HEAD + "  - {filter: 'a/{device}', class: telemetry}\ndownlink: {topic: 'a/{x.y}'}\n", "bad_template", 6),
    ],
)
def test_an_error_names_file_and_line(tmp_path: Path, text: str, code: str, line: int) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_networks([tmp_path])
    assert (caught.value.file, caught.value.line, caught.value.code) == (str(path), line, code)


def test_an_installation_overlays_by_name(tmp_path: Path) -> None:
    written(tmp_path, HEAD.replace("acme", "raw") + "  - {filter: 'up/{site}/{device}', class: signal}\n")
    found = load_networks([packaged("device_profiles"), tmp_path, tmp_path / "networks"])
    assert sorted(found) == sorted(NETWORKS)
    assert [stream.filter for stream in found["raw"].streams] == ["up/{site}/{device}"]
