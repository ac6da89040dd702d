"""What reports reckon with: spans of time in a person's zone, and of which ready-made sums a span is made.

Sums are kept by UTC's days, weeks and months and by quarters of an hour. Days of any zone begin at a quarter of an hour of
UTC, so every span is whole months, weeks and days and two rests that are counted call by call.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo

QUARTER_MS, HOUR_MS, DAY_MS, WEEK_MS = 900_000, 3_600_000, 86_400_000, 604_800_000
MONDAY_MS = 4 * DAY_MS  # the first of 1970
MEASURES = (
    "sessions",
    "calls",
    "answered",
    "missed",
    "targets",
    "newcomers",
    "talk_ms",
    "ring_ms",
    "deals",
    "revenue",
)
DIMENSIONS = (
    "channel",
    "source",
    "campaign",
    "keyword",
    "ad",
    "landing",
    "region",
    "device",
    "number",
    "line",
    "person",
    "category",
)
OF_VISITORS = DIMENSIONS[:8]  # the others say nothing of sessions
UNITS = ("hour", "day", "week", "month")

Span = tuple[int, int]  # [since, until), epoch milliseconds
Sums = list[int]  # in the order of MEASURES


@dataclass(frozen=True, slots=True)
class Ready:
    """The spans whose sums are valid, by their first milliseconds."""

    days: Collection[int] = frozenset()
    weeks: Collection[int] = frozenset()
    months: Collection[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Pieces:
    """A span, cut; neighbours are joined."""

    months: list[Span]
    weeks: list[Span]
    days: list[Span]
    rest: list[Span]

    @property
    def ready(self) -> list[Span]:
        return self.months + self.weeks + self.days


def pieces(span: Span, ready: Ready) -> Pieces:
    """Cut a span into the months, weeks and days whose sums are ready, the longest first, and the rest."""
    found = Pieces([], [], [], [])
    since, until = span
    while since < until:
        day = since - since % DAY_MS
        if since in ready.months and (after := next_month(since)) <= until:
            _extend(found.months, since, after)
        elif since in ready.weeks and (after := since + WEEK_MS) <= until and not _month_within(since, until, ready):
            _extend(found.weeks, since, after)
        elif since in ready.days and (after := day + DAY_MS) <= until:
            _extend(found.days, since, after)
        else:
            after = min(day + DAY_MS, until)
            _extend(found.rest, since, after)
        since = after
    return found


def _month_within(week: int, until: int, ready: Ready) -> bool:
    """Does a month that can be taken whole begin inside this week?"""
    month = next_month(month_of(week))
    return month < week + WEEK_MS and month in ready.months and next_month(month) <= until


def _extend(spans: list[Span], since: int, until: int) -> None:
    if spans and spans[-1][1] == since:
        since = spans.pop()[0]
    spans.append((since, until))


def month_of(at: int) -> int:
    """The first millisecond of UTC's month."""
    day = datetime.fromtimestamp(at / 1000, tz=UTC)
    return _ms(datetime(day.year, day.month, 1, tzinfo=UTC))


def week_of(at: int) -> int:
    """The first millisecond of UTC's Monday."""
    return at - (at - MONDAY_MS) % WEEK_MS


def next_month(month: int) -> int:
    return month_of(month + 31 * DAY_MS)


def add(total: Sums, more: Sequence[int]) -> None:
    total[:] = map(operator.add, total, more)


def nothing() -> Sums:
    return [0] * len(MEASURES)


# ---- the zone of the one who looks


def midnight(day: date, zone: tzinfo) -> int:
    """When the day begins there; where clocks leave midnight out, its first moment."""
    return _ms(datetime(day.year, day.month, day.day, tzinfo=zone))


def day_of(at: int, zone: tzinfo) -> date:
    return datetime.fromtimestamp(at / 1000, tz=zone).date()


def offsets(span: Span, zone: tzinfo) -> Iterator[tuple[Span, int]]:
    """The stretches of a span in which clocks are not changed, each with its offset from UTC in milliseconds."""
    since, until = span
    while since < until:
        offset = offset_at(since, zone)
        after = since
        while after < until and offset_at(min(after + DAY_MS, until) - 1, zone) == offset:
            after = min(after + DAY_MS, until)
        if after < until:
            after = _change(max(after - 1, since), min(after + DAY_MS, until), offset, zone)
        yield (since, after), offset
        since = after


def _change(low: int, high: int, offset: int, zone: tzinfo) -> int:
    """The first quarter of an hour in (low, high] that has another offset."""
    low, high = low // QUARTER_MS, -(-high // QUARTER_MS)
    while high - low > 1:
        middle = (low + high) // 2
        if offset_at(middle * QUARTER_MS, zone) == offset:
            low = middle
        else:
            high = middle
    return high * QUARTER_MS


def offset_at(at: int, zone: tzinfo) -> int:
    delta = datetime.fromtimestamp(at / 1000, tz=zone).utcoffset() or timedelta()
    return int(delta.total_seconds()) * 1000


def slots(span: Span, unit: str, zone: tzinfo) -> list[int]:
    """When each hour, day, week (from Monday) or month of the span begins; the first may begin before the span."""
    since, until = span
    if unit == "hour":
        return list(range(since - (since + offset_at(since, zone)) % HOUR_MS, until, HOUR_MS))
    day, found = _first(day_of(since, zone), unit), []
    while (start := midnight(day, zone)) < until:
        found.append(start)
        day = _step(day, unit)
    return found


def end_of(slot: int, unit: str, zone: tzinfo) -> int:
    """When the slot that begins then is over."""
    return slot + HOUR_MS if unit == "hour" else midnight(_step(day_of(slot, zone), unit), zone)


def slot_of(unit: str, zone: tzinfo) -> Callable[[date], int]:
    """The beginning of the slot that a day lies in."""
    return lambda day: midnight(_first(day, unit), zone)


def _first(day: date, unit: str) -> date:
    if unit == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if unit == "month" else day


def _step(day: date, unit: str) -> date:
    if unit == "month":
        return (day.replace(day=1) + timedelta(days=32)).replace(day=1)
    return day + timedelta(days=7 if unit == "week" else 1)


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
