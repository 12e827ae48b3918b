"""A community of ours and of three networks, without the rules and profiles that it has no use for."""

from __future__ import annotations

import orjson

from tests.engine.desk import COMMUNITY, device, documents

SOURCES = {
    f"source/{name}": orjson.dumps({"source": name, "network": name, "params": {}})
    for name in ("chirpstack", "zigbee2mqtt", "uhppoted", "raw")
}

FOREIGN = {
    "device/s1/far-1": orjson.dumps(
        {
            **orjson.loads(device("far-1", "smoke_sensor", "milesight/gs524n")["device/s1/far-1"]),
            "source": "chirpstack",
            "network_id": "24e124535b316056",
        }
    ),
    "device/s1/far-2": orjson.dumps(
        {
            **orjson.loads(device("far-2", "smoke_sensor")["device/s1/far-2"]),
            "source": "zigbee2mqtt",
            "network_id": "kitchen",
        }
    ),
    "device/s1/far-3": orjson.dumps(
        {
            **orjson.loads(device("far-3", "access_controller", "uhppoted/ut0311-l04")["device/s1/far-3"]),
            "source": "uhppoted",
            "network_id": "405419896",
            "params": {"card": 1},
        }
    ),
}

SHIPPED = documents(*COMMUNITY, SOURCES, FOREIGN)
# Rules and profiles of other kinds have nothing to say here, and every example would compile them anew.
KINDS = ("smoke_sensor", "access_controller")
MODELS = ("milesight/gs524n", "hikvision/access", "uhppoted/ut0311-l04")
OURS = {f"rule/{name}" for kind in KINDS for name in orjson.loads(SHIPPED[f"kind/{kind}"])["rules"]}
OURS |= {f"profile/{model}" for model in MODELS}
WANTED = {key: body for key, body in SHIPPED.items() if not key.startswith(("rule/", "profile/")) or key in OURS}
