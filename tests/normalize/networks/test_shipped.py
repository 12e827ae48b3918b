"""Laws over every network that ships: examples with a source that hold, the way to the journal, a schema."""

from __future__ import annotations

import json

import pytest

from hub.config.settings import packaged
from hub.normalize.networks.envelope import EnvelopeClass
from hub.normalize.networks.examples import check_example
from hub.normalize.networks.load import load_networks
from hub.normalize.networks.network import Network, NetworkExample, SourceRow
from hub.normalize.networks.routing import compile_router
from hub.yaml_documents import canonical_json

NETWORKS = load_networks([packaged("device_profiles")])
EXAMPLES = [(name, example) for name, network in NETWORKS.items() for example in network.examples]


def test_the_four_networks_ship() -> None:
    assert sorted(NETWORKS) == ["chirpstack", "raw", "uhppoted", "zigbee2mqtt"]


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=[f"{name}: {each.name}" for name, each in EXAMPLES])
def test_an_example_holds(name: str, example: NetworkExample) -> None:
    assert check_example(NETWORKS[name], example) == []


@pytest.mark.parametrize("name", NETWORKS)
def test_every_class_of_a_network_is_seen_in_an_example(name: str) -> None:
    network = NETWORKS[name]
    seen = {example.class_ for example in network.examples}
    assert {stream.class_ for stream in network.streams} - seen == set()


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_shows_an_error_and_a_command(name: str) -> None:
    examples = NETWORKS[name].examples
    assert any(example.expect_error for example in examples)
    assert any(example.sends for example in examples)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_reads_back_from_the_journal_and_means_the_same(name: str) -> None:
    network = Network.model_validate_json(canonical_json(NETWORKS[name]))
    assert network == NETWORKS[name]
    assert [check_example(network, example) for example in network.examples] == [[]] * len(network.examples)


def test_all_networks_can_be_used_side_by_side() -> None:
    router = compile_router([SourceRow(name, name) for name in NETWORKS], NETWORKS)
    heard = [*router.filters("telemetry"), *router.filters("events")]
    assert len(heard) == sum(len(network.streams) for network in NETWORKS.values())


def test_editors_get_a_schema() -> None:
    schema = Network.model_json_schema()
    assert {"network", "streams", "downlink"} <= schema["properties"].keys()
    assert schema["additionalProperties"] is False
    assert json.loads(json.dumps(schema)) == schema


def test_an_example_that_does_not_hold_is_told_in_sentences() -> None:
    network = NETWORKS["raw"]
    example = network.examples[0]
    assert example.expect is not None
    wrong = example.model_copy(
        update={"class_": EnvelopeClass.SIGNAL, "expect": example.expect.model_copy(update={"device": "other"})}
    )
    assert check_example(network, wrong) == [
        "class: expected <EnvelopeClass.SIGNAL: 'signal'>, got <EnvelopeClass.TELEMETRY: 'telemetry'>",
        "device: expected 'other', got 'smoke-1'",
    ]
    elsewhere = example.model_copy(update={"topic": "elsewhere/smoke-1"})
    assert check_example(network, elsewhere) == ["no stream means 'elsewhere/smoke-1'"]
    no_error = network.examples[1].model_copy(update={"topic": "vendor/willow/smoke-1/up"})
    assert check_example(network, no_error)[0].startswith("error: expected bad_name, got Envelope")
