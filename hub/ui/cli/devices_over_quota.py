"""``hub devices over-quota``: which devices say more than they may, and what that costs them."""

from __future__ import annotations

import msgspec
import typer

from hub.engine.meters import Meters
from hub.journal.state_file import read_entry
from hub.ui.cli.dead_letters import state_file_of
from hub.ui.desk.desk import AsJson, desk_of
from hub.ui.printing import say_listing
from hub.ui.words import moment


def over_quota(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List devices that say more than limits.quota_per_second, as of the last saved state (30 s old at most).

    All that they say is judged; thinned readings are no points, refused messages no dead letters.
    """
    entry = read_entry(state_file_of(desk_of(context)), "meters")
    meters = Meters() if entry is None else msgspec.msgpack.decode(entry, type=Meters)
    found = {key: meter for key, meter in sorted(meters.by_device.items()) if meter.over_since}
    say_listing(
        (
            {"device": key, "since": meter.over_since, "thinned": meter.thinned, "refused": meter.refused}
            for key, meter in found.items()
        ),
        ("device", "since", "thinned", "refused"),
        ((key, moment(meter.over_since), str(meter.thinned), str(meter.refused)) for key, meter in found.items()),
        empty="no device says more than it may",
        as_json=as_json,
    )
