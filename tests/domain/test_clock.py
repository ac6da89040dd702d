"""Days begin where the clock says, whatever was done to it."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from ctserver.domain.clock import HOUR_MS, as_many_days_before, midnight


def test_a_day_with_a_change_of_clocks_is_shorter_or_longer() -> None:
    london = ZoneInfo("Europe/London")
    lengths = [
        midnight(day + timedelta(days=1), london) - midnight(day, london)
        for day in (date(2026, 3, 28), date(2026, 3, 29), date(2026, 10, 25))
    ]
    assert lengths == [24 * HOUR_MS, 23 * HOUR_MS, 25 * HOUR_MS]


def test_days_before_it_is_the_same_time_by_the_clock() -> None:
    zone = ZoneInfo("Europe/London")  # the clocks go forward on 29 March 2026
    at = datetime(2026, 3, 30, 15, 20, tzinfo=zone)
    before = as_many_days_before(int(at.timestamp() * 1000), 7, zone)
    assert datetime.fromtimestamp(before / 1000, tz=zone) == datetime(2026, 3, 23, 15, 20, tzinfo=zone)
