"""How long a minute, an hour, a day are, and where days begin in somebody's zone.

Moments and lengths are milliseconds, moments since 1970. No clock is read here: a moment is an argument.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta, tzinfo

SECOND_MS = 1000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
WEEK_MS = 7 * DAY_MS


def epoch_ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def midnight(day: date, zone: tzinfo) -> int:
    """When the day begins there; where clocks leave midnight out, its first moment."""
    return epoch_ms(datetime(day.year, day.month, day.day, tzinfo=zone))


def day_of(at: int, zone: tzinfo) -> date:
    return datetime.fromtimestamp(at / 1000, tz=zone).date()


def as_many_days_before(at: int, days: int, zone: tzinfo) -> int:
    """The same time by the clock, so many days earlier."""
    there = datetime.fromtimestamp(at / 1000, tz=zone)
    return epoch_ms((there.replace(tzinfo=None) - timedelta(days=days)).replace(tzinfo=zone))
