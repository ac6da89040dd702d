"""Spans of time are cut without loss, whatever is ready; slots begin where the clock says."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ctserver.domain import clock, report
from ctserver.domain.clock import DAY_MS, HOUR_MS, WEEK_MS
from ctserver.domain.report import QUARTER_MS, Ready

START = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)
DAYS = [START + day * DAY_MS for day in range(120)]
MONTHS = [report.month_of(day) for day in (DAYS[0], DAYS[40], DAYS[70], DAYS[100])]
WEEKS = [report.week_of(DAYS[7]) + week * WEEK_MS for week in range(16)]
ZONES = [
    "Europe/London",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "America/St_Johns",
    "Pacific/Auckland",
    "UTC",
    "Europe/Moscow",
]


HALF_QUARTER = QUARTER_MS // 2  # a span may begin and end within a quarter of an hour


@given(
    st.integers(0, 119 * 192),
    st.integers(1, 119 * 192),
    st.sets(st.sampled_from(DAYS)),
    st.sets(st.sampled_from(WEEKS)),
    st.sets(st.sampled_from(MONTHS)),
    st.sets(st.sampled_from([MONTHS[0], MONTHS[3]])),
    st.sets(st.integers(0, 239 * 24).map(lambda hour: START + hour * HOUR_MS), max_size=200),
    st.booleans(),
)
# A bit more than half a day: in whole hours, what is taken away is half a day too.
@example(0, 97, {START}, set(), set(), set(), set(), True)
# Half an hour and the beginning of the next one: each is counted, and they are one piece.
@example(4, 5, set(), set(), set(), set(), set(), True)
def test_pieces_cover_the_span_once(
    start: int,
    length: int,
    days: set[int],
    weeks: set[int],
    months: set[int],
    seasons: set[int],
    some: set[int],
    every: bool,
) -> None:
    span = (START + start * HALF_QUARTER, START + (start + length) * HALF_QUARTER)
    hours = range(START, START + 240 * DAY_MS, HOUR_MS) if every else some
    cut = report.pieces(span, Ready(days, weeks, months, seasons, hours))
    by_clock = sorted(cut.quarters + cut.unsummed)
    assert (by_clock[0][0], by_clock[-1][1]) == span
    assert all(before[1] == after[0] for before, after in pairwise(by_clock))
    assert all(moment % QUARTER_MS == 0 for part in cut.quarters for moment in part)
    assert _times(cut) == [(*span, 1)]
    assert (
        all(
            min(until, hour + HOUR_MS) - max(since, hour) <= HOUR_MS // 2
            for since, until in cut.rest + cut.less
            for hour in range(since - since % HOUR_MS, until, HOUR_MS)
        )
        or not every
    )
    assert all(until - since <= DAY_MS // 2 for since, until in cut.less + cut.less_hours)
    assert all(quarter - quarter % DAY_MS in days or quarter - quarter % HOUR_MS in hours or months or weeks or seasons
               for since, until in cut.quarters for quarter in range(since, until, QUARTER_MS))  # fmt: skip
    assert all(hour in hours for since, until in cut.hours + cut.less_hours for hour in range(since, until, HOUR_MS))
    assert all(day in days for since, until in cut.days for day in range(since, until, DAY_MS))
    assert all(week in weeks for since, until in cut.weeks for week in range(since, until, WEEK_MS))
    for since, until in cut.months:
        while since < until:
            assert since in months
            since = report.next_month(since)
        assert since == until
    assert all(since in seasons for since, _ in cut.seasons)


def _times(cut: report.Pieces) -> list[tuple[int, int, int]]:
    """(since, until, how many times it is counted by value); what is counted no time is left out."""
    steps: dict[int, int] = {}
    more = [(since, until) for _, since, until in cut.summed] + cut.hours + cut.rest
    for sign, spans in ((1, more), (-1, cut.less + cut.less_hours)):
        for since, until in spans:
            steps[since] = steps.get(since, 0) + sign
            steps[until] = steps.get(until, 0) - sign
    found: list[tuple[int, int, int]] = []
    times = 0
    for (at, step), (after, _) in pairwise(sorted((at, step) for at, step in steps.items() if step)):
        times += step
        if times:
            found.append((at, after, times))
    return found


@example("America/St_Johns", 17778, 11425)  # ends a quarter of an hour after the clocks were changed
@given(st.sampled_from(ZONES), st.integers(0, 20_000), st.integers(1, 20_000))
def test_offsets_follow_the_clock(name: str, start: int, length: int) -> None:
    zone = ZoneInfo(name)
    span = (START + start * QUARTER_MS, START + (start + length) * QUARTER_MS)
    parts = list(report.offsets(span, zone))
    assert (parts[0][0][0], parts[-1][0][1]) == span
    for (since, until), offset in parts:
        for at in (since, (since + until) // 2, until - 1):
            assert report.offset_at(at, zone) == offset


@pytest.mark.parametrize("unit", report.UNITS)
@pytest.mark.parametrize("name", ZONES)
def test_slots_follow_one_another_and_hold_the_span(unit: str, name: str) -> None:
    zone = ZoneInfo(name)
    span = (clock.midnight(date(2026, 3, 18), zone), clock.midnight(date(2026, 4, 10), zone))
    slots = report.slots(span, unit, zone)
    assert slots == sorted(set(slots))
    assert slots[0] <= span[0] < span[1]
    assert slots[-1] < span[1]
    for start in slots[1:]:
        local = datetime.fromtimestamp(start / 1000, tz=zone)
        assert local.minute == 0
        if unit != "hour":
            assert local.hour == 0
        if unit == "week":
            assert local.weekday() == 0
        if unit == "month":
            assert local.day == 1


def test_a_month_goes_before_the_week_that_reaches_into_it() -> None:
    span = (report.week_of(MONTHS[1]), MONTHS[2] + 3 * DAY_MS)
    cut = report.pieces(span, Ready(DAYS, WEEKS, MONTHS))
    assert cut.months == [(MONTHS[1], MONTHS[2])]
    assert cut.weeks == []
    assert cut.rest == []


def test_weeks_of_utc_begin_on_monday() -> None:
    assert all(clock.day_of(week, UTC).weekday() == 0 for week in WEEKS)


def test_seasons_of_utc() -> None:
    assert [report.season_of(month) for month in MONTHS] == [MONTHS[0]] * 3 + [MONTHS[3]]
    assert report.next_season(MONTHS[0]) == MONTHS[3]
    cut = report.pieces((MONTHS[0], MONTHS[3] + DAY_MS), Ready(DAYS, WEEKS, MONTHS, [MONTHS[0]]))
    assert cut.summed == [("season", MONTHS[0], MONTHS[3]), ("day", MONTHS[3], MONTHS[3] + DAY_MS)]


def test_months_of_utc() -> None:
    december = int(datetime(2026, 12, 31, 23, 59, tzinfo=UTC).timestamp() * 1000)
    assert report.next_month(report.month_of(december)) == int(datetime(2027, 1, 1, tzinfo=UTC).timestamp() * 1000)
    assert clock.day_of(december, timezone(timedelta(hours=3))) == date(2027, 1, 1)


@given(st.integers(0, 120 * 24), st.integers(1, 60 * 24), st.sampled_from(ZONES))
def test_each_hour_of_the_week_is_counted_on_the_days_that_have_it(start: int, hours: int, name: str) -> None:
    zone = ZoneInfo(name)
    first = clock.midnight(clock.day_of(START + start * HOUR_MS, zone), zone)
    until = first + hours * HOUR_MS
    wanted = [[0] * 24 for _ in range(7)]
    last = datetime.fromtimestamp((until - 1) / 1000, tz=zone)
    day = clock.day_of(first, zone)
    while day <= last.date():
        for hour in range(24 if day < last.date() else last.hour + 1):
            wanted[day.weekday()][hour] += 1
        day += timedelta(days=1)
    assert report.days_of_hours((first, until), zone) == wanted


def test_of_nothing_no_hour_has_a_day() -> None:
    assert report.days_of_hours((START, START), ZoneInfo("UTC")) == [[0] * 24] * 7
