"""What is known of a hub that is well."""

from __future__ import annotations

from hub.ui.pages.readiness import Vitals

WELL = Vitals(
    is_running=True,
    blind_sessions={},
    unheard={"events": set()},
    downlink_away_seconds=None,
    downlink_error="",
    journal_error="",
    journal_forgets_from=None,
    still_stages={},
    is_redis_connected=True,
    redis_unsafe="",
    streams_behind_seconds=None,
    streams_error="",
    twins_behind_seconds=None,
    twins_error="",
    requests_refused_seconds=None,
    requests_error="",
    store_behind_seconds=None,
    store_error="",
    owned_seconds=0.4,
    broker_dropped=0,
    unkept_seconds=None,
    unkept_error="",
    outdated_seconds=None,
    outdated_error="",
    files_refused="",
    unsealed_seconds=None,
    unsealed_error="",
    forgot_seconds=None,
    forgotten="",
)
