"""deploy/compose.yaml: held to what the hub wants of its servers. No container engine was there to run it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.house.rooms import HOUSE

FILE = HOUSE / "deploy" / "compose.yaml"
TEXT = FILE.read_text(encoding="utf-8")
DOCUMENT: dict[str, Any] = YAML(typ="safe").load(TEXT)
# Of the compose specification (compose-spec.io, 05-services.md); what is not here would be a slip of ours.
KEYS = {"network_mode", "restart", "init", "security_opt", "logging", "profiles", "image", "user", "pid", "command"}
KEYS |= {"volumes", "environment"}


def test_it_says_that_it_was_not_run() -> None:
    assert "Not run where it was written" in TEXT.replace("\n# ", " ")
    assert "Not run" in (HOUSE / "README.md").read_text("utf-8").partition("deploy/compose.yaml")[2][:400]


def test_it_has_both_brokers_of_which_one_starts_a_valkey_and_an_influxdb() -> None:
    services = DOCUMENT["services"]
    assert set(services) == {"mosquitto", "emqx", "valkey", "influxdb"}
    assert {name for name in services if "profiles" in services[name]} == {"emqx"}


@pytest.mark.parametrize("name", DOCUMENT["services"])
def test_a_service_is_pinned_comes_back_and_says_nothing_that_compose_does_not_know(name: str) -> None:
    service = DOCUMENT["services"][name]
    assert service.keys() <= KEYS
    assert re.fullmatch(r"[a-z/-]+:\d+\.\d+(\.\d+)?", service["image"])
    assert (service["restart"], service["network_mode"]) == ("always", "host")
    named = {volume.partition(":")[0] for volume in service["volumes"] if not volume.startswith("$")}
    assert named <= DOCUMENT["volumes"].keys()


def test_what_is_in_the_clear_listens_on_this_machine_only() -> None:
    environment = {
        name: value for each in DOCUMENT["services"].values() for name, value in each.get("environment", {}).items()
    }
    bound = [value for name, value in environment.items() if "BIND" in name]
    assert len(bound) == 2
    assert all(value.startswith("127.0.0.1:") for value in bound)


def test_it_reads_the_files_that_hub_init_writes_and_holds_no_secret_of_its_own() -> None:
    services = DOCUMENT["services"]
    assert services["mosquitto"]["command"][-1].endswith("/broker/mosquitto.conf")
    assert services["valkey"]["command"][-1] == "${HUB_DIR}/redis/redis.conf"
    secrets = {
        name: value for name, value in services["influxdb"]["environment"].items() if re.search("TOKEN|PASSWORD", name)
    }
    assert all(value.startswith("${") for value in secrets.values())
    for variable in set(re.findall(r"\$\{(\w+)", TEXT)):
        assert f"{variable}=" in TEXT.partition("\nname:")[0], variable
