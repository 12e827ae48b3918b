"""What simulators say is understood: each report under the profile that its device names in the registry."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from hub.normalize.compile import compile_profile
from hub.normalize.encode import encode_command
from simulators.access import AccessController
from simulators.community import Community, Size
from tests.clocks import START_NS
from tests.shipped import profiles as shipped_profiles


def test_every_report_of_a_community_is_understood() -> None:
    community = Community(seed=1, size=Size(dwellings=20, gates=2))
    catalogue, profiles = shipped_profiles()
    handlers = {
        device.id: compile_profile(
            profiles[device.profile], catalogue.kinds[device.kind], device.params, community.site.zone
        )
        for device in community.devices()
    }
    heard: Counter[str] = Counter()
    for _, act in community.traffic(rate=20, duration=timedelta(minutes=1)):
        for report in act(START_NS):
            for reading in handlers[report.device](report.payload):
                heard.update(signal.name for signal in reading.signals)
                heard.update(f"{name}={value}" for name, value in reading.values.items() if name in {"door", "status"})
                assert not reading.bad
    assert heard["status=alarm"] > 0
    assert heard["status=normal"] > heard["status=alarm"]
    assert heard["access.granted"] > heard["access.denied"] > 5
    assert heard["door.forced"] == 1
    assert heard["door=open"] == heard["access.granted"] + heard["door.forced"]


def test_a_gate_obeys_the_command_as_the_hub_encodes_it() -> None:
    expires_at = START_NS // 1_000_000 + 10_000
    command = encode_command(
        id="c-1", command="unlock", part="door-2", args={"for": timedelta(seconds=5)}, expires_at=expires_at
    )
    gate = AccessController("s1", "gate-1", seed=1)
    answer = gate.obey(command, START_NS)
    assert answer.response == b'{"id":"c-1","ok":true}'
    assert len(answer.reports) == 3
