"""Who in the town of the histories does not speak our own words: behind two networks, and by the profile of a maker."""

from __future__ import annotations

from collections.abc import Mapping

from hub.yaml_documents import canonical_json
from tests.engine.desk import stands
from tests.engine.foreign import LORA, ZIGBEE, foreign
from tests.engine.sleepers import LATCH

GAS, BOLT, KITCHEN, GATE = "gas-1", "bolt-1", "kitchen", "gate-1"
"""The first two sleep: they listen only after they spoke."""
STRANGERS = (GAS, BOLT, KITCHEN, GATE)
EUIS = {GAS: "24e124ffffffff01", BOLT: "24e124ffffffff02"}
PROFILES = {GAS: "milesight/gs101", KITCHEN: "aqara/jy-gz-01aq", GATE: "hikvision/access"}
USED = (
    "kind/gas_detector", "network/chirpstack", "network/zigbee2mqtt", *(f"profile/{one}" for one in PROFILES.values()),
)  # fmt: skip
"""What they need of that which ships."""
DOCUMENTS: Mapping[str, bytes] = {
    **LORA, **ZIGBEE, "profile/test/model": canonical_json(LATCH),
    **foreign(GAS, "gas_detector", PROFILES[GAS], "lora", EUIS[GAS]),
    **foreign(BOLT, "access_controller", "test/model", "lora", EUIS[BOLT]),
    **foreign(KITCHEN, "smoke_sensor", PROFILES[KITCHEN], "z2m", "kitchen"),
    **stands(GATE, "access_controller", "f1", PROFILES[GATE]),
}  # fmt: skip
