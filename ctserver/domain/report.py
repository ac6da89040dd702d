"""What reports reckon with: spans of time in a person's zone, and of which ready-made sums a span is made.

Sums are kept by UTC's hours, days, weeks, months and seasons (three months, from January on), and by quarters of an hour. Every
span is whole seasons, months, weeks and days and two rests of a day; these are whole hours and two rests of an hour, and a rest of an
hour is counted call by call. Of both the smaller side is taken: what is there, or the whole less what is not there.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache

from ctserver.domain.clock import DAY_MS, HOUR_MS, MINUTE_MS, WEEK_MS, day_of, epoch_ms, midnight

QUARTER_MS = 15 * MINUTE_MS
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
PLACE = {name: place for place, name in enumerate(MEASURES)}  # in Sums
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
    """The spans whose sums are valid, by their first milliseconds; of hours, those of days that are not taken whole."""

    days: Collection[int] = frozenset()
    weeks: Collection[int] = frozenset()
    months: Collection[int] = frozenset()
    seasons: Collection[int] = frozenset()
    hours: Collection[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Pieces:
    """A span, cut in two ways; neighbours are joined.

    For sums by value: the seasons, months, weeks, days and hours, more the rest, less what of these lies outside the span: whole
    hours and what is less than that.
    For sums by the clock: the quarters of an hour that are summed, and what is not.
    """

    seasons: list[Span] = field(default_factory=list)
    months: list[Span] = field(default_factory=list)
    weeks: list[Span] = field(default_factory=list)
    days: list[Span] = field(default_factory=list)
    hours: list[Span] = field(default_factory=list)
    rest: list[Span] = field(default_factory=list)
    less_hours: list[Span] = field(default_factory=list)
    less: list[Span] = field(default_factory=list)
    quarters: list[Span] = field(default_factory=list)
    unsummed: list[Span] = field(default_factory=list)

    @property
    def summed(self) -> list[tuple[str, int, int]]:
        """(kind of sums, since, until) of the days and longer spans that are ready by value."""
        kinds = {"season": self.seasons, "month": self.months, "week": self.weeks, "day": self.days}
        return [(kind, *span) for kind, spans in kinds.items() for span in spans]


def pieces(span: Span, ready: Ready) -> Pieces:
    """Cut a span into the seasons, months, weeks, days and hours whose sums are ready, the longest first, and the rest."""
    found = Pieces()
    since, until = span
    while since < until:
        day = since - since % DAY_MS
        kind, after = "", min(day + DAY_MS, until)
        if since in ready.seasons and next_season(since) <= until:
            kind, after = "seasons", next_season(since)
        elif since in ready.months and next_month(since) <= until:
            kind, after = "months", next_month(since)
        elif since in ready.weeks and since + WEEK_MS <= until and not _month_within(since, until, ready):
            kind, after = "weeks", since + WEEK_MS
        if kind:
            _extend(getattr(found, kind), since, after)
            _extend(found.quarters, since, after)
        else:
            _within_day(found, ready, since, after)
        since = after
    return found


def _within_day(found: Pieces, ready: Ready, since: int, until: int) -> None:
    """A day or a part of one."""
    day = since - since % DAY_MS
    if day not in ready.days:
        _hours(ready, since, until, found.hours, found.rest, found.less)
        for start in range(since - since % HOUR_MS, until, HOUR_MS):
            part = max(since, start), min(until, start + HOUR_MS)
            _by_clock(found, *part, ready=start in ready.hours)
        return
    _by_clock(found, since, until, ready=True)
    if until - since > DAY_MS // 2:
        _extend(found.days, day, day + DAY_MS)
        _hours(ready, day, since, found.less_hours, found.less, found.rest)
        _hours(ready, until, day + DAY_MS, found.less_hours, found.less, found.rest)
    else:
        _hours(ready, since, until, found.hours, found.rest, found.less)


def _hours(ready: Ready, since: int, until: int, hours: list[Span], more: list[Span], less: list[Span]) -> None:
    """A part of a day as hours whose sums are ready, more what is to be counted, less what of the hours lies outside the part."""
    for start in range(since - since % HOUR_MS, until, HOUR_MS):
        first, last = max(since, start), min(until, start + HOUR_MS)
        if start in ready.hours and last - first > HOUR_MS // 2:
            _extend(hours, start, start + HOUR_MS)
            _extend(less, start, first)
            _extend(less, last, start + HOUR_MS)
        else:
            _extend(more, first, last)


def _by_clock(found: Pieces, since: int, until: int, *, ready: bool) -> None:
    """The quarters of an hour of a day or an hour whose sums are ready."""
    first, last = -(-since // QUARTER_MS) * QUARTER_MS, until // QUARTER_MS * QUARTER_MS
    if ready and first < last:
        _extend(found.unsummed, since, first)
        _extend(found.quarters, first, last)
        _extend(found.unsummed, last, until)
    else:
        _extend(found.unsummed, since, until)


def _month_within(week: int, until: int, ready: Ready) -> bool:
    """Does a month that can be taken whole begin inside this week?"""
    month = next_month(month_of(week))
    return month < week + WEEK_MS and month in ready.months and next_month(month) <= until


def _extend(spans: list[Span], since: int, until: int) -> None:
    if since == until:
        return
    if spans and spans[-1][1] == since:
        since = spans.pop()[0]
    spans.append((since, until))


def day_start(at: int) -> int:
    """The first millisecond of UTC's day."""
    return at - at % DAY_MS


def month_of(at: int) -> int:
    """The first millisecond of UTC's month."""
    day = datetime.fromtimestamp(at / 1000, tz=UTC)
    return epoch_ms(datetime(day.year, day.month, 1, tzinfo=UTC))


def week_of(at: int) -> int:
    """The first millisecond of UTC's Monday."""
    return at - (at - MONDAY_MS) % WEEK_MS


def season_of(at: int) -> int:
    """The first millisecond of the January, April, July or October that the three months of UTC began with."""
    day = datetime.fromtimestamp(at / 1000, tz=UTC)
    return epoch_ms(datetime(day.year, day.month - (day.month - 1) % 3, 1, tzinfo=UTC))


def next_month(month: int) -> int:
    return month_of(month + 31 * DAY_MS)


def next_season(season: int) -> int:
    return month_of(season + 93 * DAY_MS)


FIRST = {"day": day_start, "week": week_of, "month": month_of, "season": season_of}
AFTER = {
    "day": lambda day: day + DAY_MS,
    "week": lambda week: week + WEEK_MS,
    "month": next_month,
    "season": next_season,
}


@lru_cache(maxsize=4096)  # ten years
def spans_of(day: int) -> tuple[tuple[str, int], ...]:
    """The day itself, and the week, the month and the season that it lies in: (kind, first millisecond)."""
    return tuple((kind, first(day)) for kind, first in FIRST.items())


def add(total: Sums, more: Sequence[int]) -> None:
    total[:] = map(operator.add, total, more)


def nothing() -> Sums:
    return [0] * len(MEASURES)


# ---- the zone of the one who looks


def days_of_hours(span: Span, zone: tzinfo) -> list[list[int]]:
    """How many of the span's days have each hour of the week, from Monday; the last hour counts as soon as it has begun."""
    if span[0] >= span[1]:
        return [[0] * 24 for _ in range(7)]
    first, last = day_of(span[0], zone), datetime.fromtimestamp((span[1] - 1) / 1000, tz=zone)
    weeks, rest = divmod((last.date() - first).days, 7)  # whole days before the last one
    found = [[weeks + ((day - first.weekday()) % 7 < rest)] * 24 for day in range(7)]
    today = found[last.weekday()]
    today[: last.hour + 1] = [days + 1 for days in today[: last.hour + 1]]
    return found


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
