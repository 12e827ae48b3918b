"""What a server asks in Retry-After: how long to leave it alone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from email.utils import parsedate_to_datetime

LONGEST = timedelta(minutes=5)


def retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """Return what is asked, in seconds or as a date by the server's own clock; at most 5 minutes."""
    asked = headers.get("Retry-After", "")
    try:
        if asked.isdigit():
            wish = timedelta(seconds=int(asked))
        else:
            wish = parsedate_to_datetime(asked) - parsedate_to_datetime(headers["Date"])
    except (ValueError, KeyError, OverflowError, TypeError):
        return None
    return min(max(wish, timedelta()), LONGEST)
