"""Days on which China works, in a year that nobody has announced yet."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from hub.rules.calendars import Day, Window, opening

ZONE = "Asia/Shanghai"


@pytest.mark.parametrize(
    ("day", "is_holiday"),
    [
        ("2090-01-02", False),  # a Monday
        ("2090-01-07", True),  # a Saturday
        ("2091-01-01", True),  # a Monday, and the first of the year
        ("2090-05-02", True),  # a Tuesday
        ("2090-10-03", True),  # a Tuesday
    ],
)
def test_before_a_year_is_announced_its_holidays_are_weekends_and_those_of_a_date(
    day: str, *, is_holiday: bool
) -> None:
    noon = round(datetime.fromisoformat(f"{day}T12:00").replace(tzinfo=ZoneInfo(ZONE)).timestamp()) * 10**9
    assert opening([Window(days=[Day.HOLIDAY])], noon, ZONE)[0] is is_holiday
    assert opening([Window(days=[Day.WORKDAY])], noon, ZONE)[0] is not is_holiday
