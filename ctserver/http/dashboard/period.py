"""Spans of time as an address names them, in the reader's zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from ctserver.domain.clock import as_many_days_before, day_of, midnight
from ctserver.domain.report import Span
from ctserver.domain.words import N_
from ctserver.language import zone

PERIODS = {
    "today": N_("Today"),
    "yesterday": N_("Yesterday"),
    "7d": N_("7 days"),
    "30d": N_("30 days"),
    "month": N_("This month"),
    "90d": N_("90 days"),
    "12m": N_("12 months"),
}
_DAYS = {"7d": 7, "30d": 30, "90d": 90}


@dataclass(frozen=True, slots=True)
class Period:
    """`name` is a key of PERIODS, "" for dates of one's own or none; `last` is the last day."""

    name: str
    first: date | None
    last: date | None

    @property
    def since(self) -> int | None:
        return midnight(self.first, zone()) if self.first else None

    @property
    def until(self) -> int | None:
        return midnight(self.last + timedelta(days=1), zone()) if self.last else None


def named(name: str, now: int) -> Period:
    """One of PERIODS; another name is no span at all."""
    today = day_of(now, zone())
    if name == "today":
        return Period(name, today, today)
    if name == "yesterday":
        return Period(name, today - timedelta(days=1), today - timedelta(days=1))
    if name == "month":
        return Period(name, today.replace(day=1), today)
    if name == "12m":
        return Period(name, (today.replace(day=1) - timedelta(days=330)).replace(day=1), today)
    if name in _DAYS:
        return Period(name, today - timedelta(days=_DAYS[name] - 1), today)
    return Period("", None, None)


def today_began(now: int) -> int:
    """The reader's last midnight."""
    return midnight(day_of(now, zone()), zone())


def asked(period: str, first: str, last: str, now: int) -> Period:
    """As an address says: a name, or days like 2026-01-31 (the first, the last or both)."""
    since, until = _day(first), _day(last)
    if since and until and until < since:
        since, until = until, since
    return Period("", since, until) if since or until else named(period, now)


def _day(text: str) -> date | None:
    try:
        day = date.fromisoformat(text[:10])
    except ValueError:
        return None
    return day if 1990 <= day.year <= 2200 else None


def before(span: Span, how: str, now: int, name: str = "") -> Span | None:
    """The span to compare with: `previous` is as many days right before, of the period `month` the month before; `year` the same
    days a year earlier. Of a span that is not over, the same part of it: until the same time of day."""
    if how not in ("previous", "year"):
        return None
    first, last = day_of(span[0], zone()), day_of(span[1] - 1, zone())
    days = 364 if how == "year" else (last - first).days + 1
    if how == "previous" and name == "month":
        days = (first - timedelta(days=1)).day
    shift = timedelta(days=days)
    since, until = midnight(first - shift, zone()), midnight(last - shift + timedelta(days=1), zone())
    if span[0] <= now < span[1]:
        until = min(until, as_many_days_before(now, days, zone()))
    return since, min(until, span[0])


__all__ = ["PERIODS", "Period", "asked", "before", "named", "today_began"]
