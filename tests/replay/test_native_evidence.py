"""The evidence of a device without a profile: its native payload is read as any other."""

from __future__ import annotations

from hub.authoring.trace import Sent, trace
from hub.config.settings import packaged
from hub.normalize.profile import Profile
from hub.replay.evidence import NATIVE
from hub.ui.profiles.shelf import Shelf


def test_a_native_payload_is_read_by_what_stands_for_the_profile_of_a_device_that_has_none() -> None:
    kind = Shelf([packaged("device_profiles") / "kinds"]).catalogue.kind("smoke_sensor")
    profile = Profile.model_validate({**NATIVE, "kind": kind.kind})
    (reading,) = trace(profile, kind, Sent(payload=b'{"values": {"battery": 50}}')).readings
    assert reading.values == {"battery": 50.0}
